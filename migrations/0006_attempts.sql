-- Attempts: each try to send a contact, and the evidence about tries whose outcome was unknown.

-- One row for each attempt, written once, with its outcome. An attempt that is under way is in its contact's row.
create table attempts (
    tenant_id     uuid not null,
    contact_id    uuid not null,
    number        smallint not null check (number > 0),
    -- no index: an attempt is found by its contact and its number
    attempt_id    uuid not null,
    instance_id   uuid not null,
    lease_epoch   bigint not null,
    worker        text not null,
    started_at    timestamptz not null,
    finished_at   timestamptz not null,
    outcome       text not null check (outcome in ('sent', 'not_sent', 'refused', 'unknown')),
    reason        text,
    message_id    text,
    -- searches of the gateway's history that found no trace of the message
    looks         smallint not null default 0,
    -- when to search next; null: no search is due
    next_look_at  timestamptz,
    -- what decided an unknown outcome, or why the search ended
    settled_by    text check (settled_by in ('late_answer', 'gateway_history', 'webhook', 'operator', 'resent',
                                        'gave_up')),
    primary key (tenant_id, contact_id, number),
    foreign key (tenant_id, contact_id) references contacts (tenant_id, contact_id) on delete cascade
);
-- What the reconciler `unconfirmed` searches for next.
create index attempts_to_look_for on attempts (next_look_at) where next_look_at is not null;
-- Webhooks about delivery name the message alone.
create index attempts_by_message_id on attempts (tenant_id, message_id) where message_id is not null;
alter table attempts enable row level security, force row level security;
create policy platform on attempts to regua_platform using (true);
create policy of_all_tenants on attempts to regua_fleet using (true);
create policy of_one_tenant on attempts to regua_api
    using (tenant_id = (select nullif(current_setting('regua.tenant_id', true), '')::uuid));
grant select, insert, update, delete on attempts to regua_platform;
grant select, update (outcome, reason, message_id, looks, next_look_at, settled_by) on attempts to regua_api;
grant select, insert, update (outcome, reason, message_id, looks, next_look_at, settled_by) on attempts to regua_fleet;

-- Proofs about an attempt that are not its own answer. Rows are only added: a proof that comes too late to change a
-- state is stored all the same. A proof refers to the contact and names the attempt, because the attempt may still be
-- under way.
create table evidence (
    tenant_id    uuid not null,
    evidence_id  uuid not null,
    contact_id   uuid not null,
    attempt_id   uuid not null,
    source       text not null check (source in ('late_answer', 'gateway_history', 'webhook', 'operator')),
    -- true: the message left; false: the message did not leave
    has_left     boolean not null,
    reason       text,
    message_id   text,
    -- the operator
    said_by      text,
    created_at   timestamptz not null,
    primary key (tenant_id, evidence_id),
    foreign key (tenant_id, contact_id) references contacts (tenant_id, contact_id) on delete cascade
);
create index evidence_of_contact on evidence (tenant_id, contact_id);
alter table evidence enable row level security, force row level security;
create policy platform on evidence to regua_platform using (true);
create policy of_all_tenants on evidence to regua_fleet using (true);
create policy of_one_tenant on evidence to regua_api
    using (tenant_id = (select nullif(current_setting('regua.tenant_id', true), '')::uuid));
grant select, insert, update, delete on evidence to regua_platform;
grant select, insert on evidence to regua_api;
grant select, insert on evidence to regua_fleet;
