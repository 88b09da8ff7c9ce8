-- Tenants: their settings, hours and holidays, and the API keys of their programs.
--
-- Rules for every table of the schema:
-- * The primary key begins with tenant_id and every foreign key carries it, so a row cannot refer to a row of another
--   tenant.
-- * Row level security is enabled and forced: a table without a policy shows no rows, to its owner either.
-- * Policies: `platform` and `of_all_tenants` show all rows to their role, `of_one_tenant` the rows of regua.tenant_id.
--   The subselect in `of_one_tenant` makes PostgreSQL read the setting once a statement. After a transaction the
--   setting is empty and not null, and an empty setting matches no tenant.
-- * Time: business time (due_at, scheduled_for, resume_at, next_send_at, …) is written by the programs from their
--   clock, which tests can set. Lease time is PostgreSQL's now(), one clock for all machines.

create table tenants (
    tenant_id        uuid primary key,
    slug             text not null unique check (slug ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    name             text not null check (length(name) between 1 and 200),
    status           text not null default 'active' check (status in ('active', 'suspended')),
    -- references given to messages so far: the next block begins here (Reference::nth in domain makes a reference of a
    -- number)
    references_used  bigint not null default 0,
    created_at       timestamptz not null
);
alter table tenants enable row level security, force row level security;
create policy platform on tenants to regua_platform using (true);
create policy of_all_tenants on tenants to regua_fleet using (true);
create policy of_one_tenant on tenants to regua_api
    using (tenant_id = (select nullif(current_setting('regua.tenant_id', true), '')::uuid));
-- A person who logs in names the tenant by its slug.
create policy by_slug on tenants for select to regua_api
    using (slug = (select nullif(current_setting('regua.slug', true), '')));
-- Users of the platform list the tenants.
create policy all_for_the_platform on tenants for select to regua_api
    using ((select current_setting('regua.platform', true) = 'on'));
grant select, insert, update, delete on tenants to regua_platform;
grant select, insert, update (name, status, references_used) on tenants to regua_api;
grant select (tenant_id, status) on tenants to regua_fleet;

-- Throttle, hours and limits of a tenant: the seed's BillingConfig.
create table tenant_configs (
    tenant_id            uuid primary key references tenants (tenant_id) on delete cascade,
    time_zone            text not null default 'America/Sao_Paulo',
    -- false: the tenant sends at every hour of every day, and the hours in business_hours are ignored
    keeps_hours          boolean not null default true,
    -- Brazil's national holidays count as closed days
    national_holidays    boolean not null default true,
    -- above 1,000 a second only for numbers that may send so fast (the largest tier of the official Cloud API)
    messages_per_minute  integer not null default 20 check (messages_per_minute between 1 and 6000000),
    jitter_percent       smallint not null default 20 check (jitter_percent between 0 and 50),
    daily_cap            integer check (daily_cap > 0),
    max_attempts         smallint not null default 5 check (max_attempts between 1 and 20),
    -- message types whose contacts are sent once more when the gateway's history has no trace of the message
    resend_unconfirmed   text[] not null default '{upcoming,notification}'
                         check (resend_unconfirmed <@ '{overdue,upcoming,notification}'::text[]),
    -- requests a minute of an API key that has no rate of its own
    requests_per_minute  integer not null default 1200 check (requests_per_minute between 1 and 6000000),
    -- days after the end of its batch after which a contact's personal data is erased
    personal_data_days   integer not null default 365 check (personal_data_days between 1 and 36500),
    -- days after the end of a batch after which the batch is deleted, with the proof of sending
    proof_days           integer not null default 1826 check (proof_days between 1 and 36500),
    constraint tenant_configs_proof_outlives_the_person check (proof_days >= personal_data_days)
);
alter table tenant_configs enable row level security, force row level security;
create policy platform on tenant_configs to regua_platform using (true);
create policy of_all_tenants on tenant_configs to regua_fleet using (true);
create policy of_one_tenant on tenant_configs to regua_api
    using (tenant_id = (select nullif(current_setting('regua.tenant_id', true), '')::uuid));
grant select, insert, update, delete on tenant_configs to regua_platform;
grant select, insert, update on tenant_configs to regua_api;
grant select on tenant_configs to regua_fleet;

create table business_hours (
    tenant_id      uuid not null references tenants (tenant_id) on delete cascade,
    weekday        smallint not null check (weekday between 1 and 7),
    opens_minute   smallint not null check (opens_minute between 0 and 1439),
    closes_minute  smallint not null check (closes_minute between 1 and 1440),
    primary key (tenant_id, weekday, opens_minute),
    check (opens_minute < closes_minute)
);
comment on column business_hours.weekday is 'ISO: 1 is Monday';
comment on column business_hours.opens_minute is 'minutes after local midnight, first open one';
comment on column business_hours.closes_minute is 'minutes after local midnight, first closed one';
alter table business_hours enable row level security, force row level security;
create policy platform on business_hours to regua_platform using (true);
create policy of_all_tenants on business_hours to regua_fleet using (true);
create policy of_one_tenant on business_hours to regua_api
    using (tenant_id = (select nullif(current_setting('regua.tenant_id', true), '')::uuid));
grant select, insert, update, delete on business_hours to regua_platform;
grant select, insert, delete on business_hours to regua_api;
grant select on business_hours to regua_fleet;

create table holidays (
    tenant_id  uuid not null references tenants (tenant_id) on delete cascade,
    day        date not null,
    name       text not null,
    primary key (tenant_id, day)
);
alter table holidays enable row level security, force row level security;
create policy platform on holidays to regua_platform using (true);
create policy of_all_tenants on holidays to regua_fleet using (true);
create policy of_one_tenant on holidays to regua_api
    using (tenant_id = (select nullif(current_setting('regua.tenant_id', true), '')::uuid));
grant select, insert, update, delete on holidays to regua_platform;
grant select, insert, update, delete on holidays to regua_api;
grant select on holidays to regua_fleet;

create table api_keys (
    tenant_id            uuid not null references tenants (tenant_id) on delete cascade,
    api_key_id           uuid not null,
    name                 text not null,
    lookup_prefix        text not null,
    secret_hash          bytea not null check (length(secret_hash) = 32),
    allowed_types        text[] not null default '{overdue,upcoming,notification}'
                         check (allowed_types <@ '{overdue,upcoming,notification}'::text[]
                                and cardinality(allowed_types) > 0),
    allowed_networks     cidr[] not null default '{}',
    -- null: the tenant's rate
    requests_per_minute  integer check (requests_per_minute between 1 and 6000000),
    active               boolean not null default true,
    expires_at           timestamptz,
    last_used_at         timestamptz,
    created_at           timestamptz not null,
    primary key (tenant_id, api_key_id)
);
-- The one look-up that cannot carry a tenant: it finds the tenant.
create unique index api_keys_by_prefix on api_keys (lookup_prefix);
alter table api_keys enable row level security, force row level security;
create policy platform on api_keys to regua_platform using (true);
create policy of_one_tenant on api_keys to regua_api
    using (tenant_id = (select nullif(current_setting('regua.tenant_id', true), '')::uuid));
-- A key is looked up before its tenant is known: the transaction sees the rows of the prefix that the caller sent. With
-- the key it reads the tenant's status and the tenant's rate.
create policy by_prefix on api_keys for select to regua_api
    using (lookup_prefix = (select nullif(current_setting('regua.lookup', true), '')));
create policy by_prefix on tenants for select to regua_api
    using (exists (select from api_keys k
                   where k.tenant_id = tenants.tenant_id
                     and k.lookup_prefix = (select nullif(current_setting('regua.lookup', true), ''))));
create policy by_prefix on tenant_configs for select to regua_api
    using (exists (select from api_keys k
                   where k.tenant_id = tenant_configs.tenant_id
                     and k.lookup_prefix = (select nullif(current_setting('regua.lookup', true), ''))));
grant select, insert, update, delete on api_keys to regua_platform;
grant select, insert,
    update (name, allowed_types, allowed_networks, requests_per_minute, active, expires_at, last_used_at) on api_keys
        to regua_api;
