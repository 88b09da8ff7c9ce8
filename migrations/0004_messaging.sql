-- Messaging: the WhatsApp numbers (instances) and their lanes, the workers, doorbells, dead letters, and webhooks of
-- the gateway.

create table instances (
    tenant_id            uuid not null references tenants (tenant_id) on delete cascade,
    instance_id          uuid not null,
    name                 text not null check (name ~ '^[A-Za-z0-9._-]{1,64}$'),
    base_url             text not null,
    token                text not null,
    -- SHA-256 of the secret in the gateway's webhooks; null: webhooks are refused
    webhook_secret_hash  bytea check (length(webhook_secret_hash) = 32),
    -- null: the tenant's rate
    messages_per_minute  integer check (messages_per_minute between 1 and 6000000),
    daily_cap            integer check (daily_cap > 0),
    -- how many sends of this number may run at once; above 1 only for numbers that may send fast
    lane_concurrency     smallint not null default 1 check (lane_concurrency between 1 and 256),
    state                text not null default 'unknown'
                         check (state in ('unknown', 'open', 'connecting', 'close', 'unreachable')),
    state_reason         text,
    state_checked_at     timestamptz,
    -- when periodic checks an instance that is down again; null: the instance is not down
    next_check_at        timestamptz,
    created_at           timestamptz not null,
    primary key (tenant_id, instance_id),
    unique (tenant_id, name)
);
create index instances_to_check on instances (next_check_at) where next_check_at is not null;
alter table instances enable row level security, force row level security;
create policy platform on instances to regua_platform using (true);
create policy of_all_tenants on instances to regua_fleet using (true);
create policy of_one_tenant on instances to regua_api
    using (tenant_id = (select nullif(current_setting('regua.tenant_id', true), '')::uuid));
-- A number belongs to one tenant: before a number is added, its server and name are looked up among all tenants.
create policy by_number on instances for select to regua_api
    using (lower(rtrim(base_url, '/')) || ' ' || name = (select nullif(current_setting('regua.number', true), '')));
grant select, insert, update, delete on instances to regua_platform;
grant select, insert, delete,
    update (base_url, token, webhook_secret_hash, messages_per_minute, daily_cap, lane_concurrency, state,
        state_reason, state_checked_at, next_check_at) on instances to regua_api;
grant select (tenant_id, instance_id, name, base_url, token, messages_per_minute, daily_cap, lane_concurrency, state,
        state_reason, state_checked_at, next_check_at),
    update (state, state_reason, state_checked_at, next_check_at) on instances to regua_fleet;

-- The stream of sends of one instance, and the lease of the worker that owns it. Not columns of instances, because
-- every heartbeat rewrites the row (docs/adr/0001-lanes-in-a-table-of-their-own.md).
create table lanes (
    tenant_id         uuid not null,
    instance_id       uuid not null,
    leased_by         text,
    -- the fence: grows with every change of owner, and a write that carries an older epoch is void
    lease_epoch       bigint not null default 0,
    lease_expires_at  timestamptz,
    last_heartbeat    timestamptz,
    -- when the owner offered the lane to other workers; null: the lane has an owner, or had nothing more to send
    offered_at        timestamptz,
    -- grows when a doorbell finds the lane owned: the owner looks for contacts once more before it releases the lane
    bell              bigint not null default 0,
    -- when periodic last rang for the lane: doorbells do not pile up while no worker runs
    rung_at           timestamptz,
    next_send_at      timestamptz,
    sent_on           date,
    sent_that_day     integer not null default 0,
    primary key (tenant_id, instance_id),
    foreign key (tenant_id, instance_id) references instances (tenant_id, instance_id) on delete cascade,
    check ((leased_by is null) = (lease_expires_at is null)),
    check (offered_at is null or leased_by is null)
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);
-- The lanes of each worker (the seed's processing_by), and expired leases. lease_expires_at stays out of every index,
-- so that a heartbeat is a HOT update.
create index lanes_by_owner on lanes (leased_by) where leased_by is not null;
-- What a worker below its share takes. Few lanes are offered, and most of the time none.
create index lanes_offered on lanes (offered_at) where offered_at is not null;
alter table lanes enable row level security, force row level security;
create policy platform on lanes to regua_platform using (true);
create policy of_all_tenants on lanes to regua_fleet using (true);
create policy of_one_tenant on lanes to regua_api
    using (tenant_id = (select nullif(current_setting('regua.tenant_id', true), '')::uuid));
grant select, insert, update, delete on lanes to regua_platform;
-- PostgreSQL locks a row only for a role that may update a column of it: the API locks lanes, and rings.
grant select, insert, update (bell) on lanes to regua_api;
grant select,
    update (leased_by, lease_epoch, lease_expires_at, last_heartbeat, offered_at, bell, rung_at, next_send_at,
        sent_on, sent_that_day) on lanes to regua_fleet;

-- The worker processes that run. A table of the platform: it holds nothing of a tenant, so its key is the only one that
-- does not begin with tenant_id.
create table workers (
    name        text primary key,
    started_at  timestamptz not null default now(),
    -- every heartbeat moves it; an expired worker has no share of the lanes, and another worker deletes its row
    expires_at  timestamptz not null
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
alter table workers enable row level security, force row level security;
create policy platform on workers to regua_platform using (true);
create policy of_all_tenants on workers to regua_fleet using (true);
grant select, insert, update, delete on workers to regua_platform;
grant select, insert, delete, update (expires_at) on workers to regua_fleet;

-- Doorbells that wait to be published or, with the embedded broker, to be consumed. A doorbell is one row: a second ring
-- before the row is deleted only raises `revision`, and a process deletes a row only at the revision that it has read.
create table doorbells (
    tenant_id    uuid not null,
    doorbell_id  uuid not null,
    routing_key  text not null,
    priority     smallint not null,
    body         jsonb not null,
    revision     bigint not null default 1,
    -- until then the process that has read the row publishes it, and other processes do not see it
    visible_at   timestamptz not null default now(),
    created_at   timestamptz not null default now(),
    primary key (tenant_id, doorbell_id),
    unique (tenant_id, routing_key, body)
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
create index doorbells_waiting on doorbells (routing_key, priority desc, visible_at);
alter table doorbells enable row level security, force row level security;
create policy platform on doorbells to regua_platform using (true);
create policy of_all_tenants on doorbells to regua_fleet using (true);
create policy of_one_tenant on doorbells to regua_api
    using (tenant_id = (select nullif(current_setting('regua.tenant_id', true), '')::uuid));
create policy relay on doorbells to regua_relay using (true);
grant select, insert, update, delete on doorbells to regua_platform;
grant select, insert, update (revision, visible_at) on doorbells to regua_api;
grant select, delete, update (revision, visible_at) on doorbells to regua_relay;
grant select, insert, delete, update (revision, visible_at) on doorbells to regua_fleet;

-- Messages that the embedded broker cannot read: RabbitMQ's billing.dead.
create table dead_letters (
    tenant_id       uuid not null,
    dead_letter_id  uuid not null,
    routing_key     text not null,
    body            jsonb not null,
    reason          text not null,
    died_at         timestamptz not null default now(),
    primary key (tenant_id, dead_letter_id)
);
alter table dead_letters enable row level security, force row level security;
create policy platform on dead_letters to regua_platform using (true);
create policy of_all_tenants on dead_letters to regua_fleet using (true);
create policy of_one_tenant on dead_letters to regua_api
    using (tenant_id = (select nullif(current_setting('regua.tenant_id', true), '')::uuid));
grant select, insert, update, delete on dead_letters to regua_platform;
grant select, insert, delete on dead_letters to regua_fleet;

-- Webhooks of the gateway as received, until periodic has matched them with their attempts.
create table webhook_events (
    tenant_id         uuid not null,
    webhook_event_id  uuid not null,
    instance_id       uuid not null,
    event             text not null check (event in ('send.message', 'messages.update')),
    data              jsonb not null,
    received_at       timestamptz not null,
    -- an event whose message is not stored yet is tried again then
    next_match_at     timestamptz not null,
    primary key (tenant_id, webhook_event_id),
    foreign key (tenant_id, instance_id) references instances (tenant_id, instance_id) on delete cascade
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
create index webhook_events_to_match on webhook_events (next_match_at);
create index webhook_events_of_instance on webhook_events (tenant_id, instance_id) where event = 'send.message';
alter table webhook_events enable row level security, force row level security;
create policy platform on webhook_events to regua_platform using (true);
create policy of_all_tenants on webhook_events to regua_fleet using (true);
create policy of_one_tenant on webhook_events to regua_api
    using (tenant_id = (select nullif(current_setting('regua.tenant_id', true), '')::uuid));
grant select, insert, update, delete on webhook_events to regua_platform;
grant select, insert, delete on webhook_events to regua_api;
grant select, delete, update (next_match_at) on webhook_events to regua_fleet;
