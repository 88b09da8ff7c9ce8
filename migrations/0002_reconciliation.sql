-- How attempts of unknown outcome are settled: looks at the gateway's history, its webhooks, late answers and people.

alter table tenants
    -- references given to messages so far: the next block begins here (domain's Reference::nth makes them of it)
    add column references_used bigint not null default 0;

alter table tenant_configs
    -- types of which a contact whose message was nowhere to be found is sent once more; of the others it never is
    add column resend_unconfirmed text[] not null default '{upcoming,notification}'
        check (resend_unconfirmed <@ '{overdue,upcoming,notification}'::text[]);

alter table instances
    -- SHA-256 of the secret that the gateway's webhooks carry; null: none is taken
    add column webhook_secret_hash bytea check (length(webhook_secret_hash) = 32);

alter table contacts
    -- times that it was sent again after an attempt of which nobody could say whether it left
    add column resends smallint not null default 0;
-- The short reference in its text is the contact's alone within its tenant, for as long as the row is kept.
create unique index contacts_by_reference on contacts (tenant_id, reference);

alter table attempts
    -- looks at the gateway's history that could see and saw nothing
    add column looks smallint not null default 0,
    -- when to look next; null: nobody looks
    add column next_look_at timestamptz,
    -- what decided an unknown outcome, or why nobody looks any more
    add column settled_by text check (settled_by in ('late_answer', 'gateway_history', 'webhook', 'operator', 'resent',
                                                     'gave_up'));
-- What the reconciler looks for next.
create index attempts_to_look_for on attempts (next_look_at) where next_look_at is not null;
-- Statuses that come by webhook name the message alone.
create index attempts_by_message_id on attempts (tenant_id, message_id) where message_id is not null;

-- What was learnt of an attempt beside its own answer. Rows are only added: a proof that comes too late to change
-- anything is kept all the same.
create table evidence (
    tenant_id    uuid not null,
    evidence_id  uuid not null,
    attempt_id   uuid not null,
    source       text not null check (source in ('late_answer', 'gateway_history', 'webhook', 'operator')),
    -- what it says: the message left, or it did not
    has_left     boolean not null,
    reason       text,
    message_id   text,
    -- who said so, where it was a person
    said_by      text,
    created_at   timestamptz not null,
    primary key (tenant_id, evidence_id),
    foreign key (tenant_id, attempt_id) references attempts (tenant_id, attempt_id) on delete cascade
);
create index evidence_of_attempt on evidence (tenant_id, attempt_id);

-- Webhooks of the gateway as they came, until they have been matched with what they are about.
create table webhook_events (
    tenant_id         uuid not null,
    webhook_event_id  uuid not null,
    instance_id       uuid not null,
    event             text not null check (event in ('send.message', 'messages.update')),
    data              jsonb not null,
    received_at       timestamptz not null,
    -- one that is early (its message is not written down yet) is looked at again
    next_match_at     timestamptz not null,
    primary key (tenant_id, webhook_event_id),
    foreign key (tenant_id, instance_id) references instances (tenant_id, instance_id) on delete cascade
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
create index webhook_events_to_match on webhook_events (next_match_at);
create index webhook_events_of_instance on webhook_events (tenant_id, instance_id) where event = 'send.message';
