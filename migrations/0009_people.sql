-- People who look after a tenant, how they come in, and what was changed by whom.

create table users (
    tenant_id              uuid not null references tenants (tenant_id) on delete cascade,
    user_id                uuid not null,
    -- lower case
    email                  text not null check (email = lower(email) and length(email) between 3 and 254),
    name                   text not null check (length(name) between 1 and 200),
    -- platform: may act for every tenant; given at the command line, or by somebody who has it
    role                   text not null check (role in ('viewer', 'operator', 'owner', 'platform')),
    active                 boolean not null default true,
    -- Argon2id in the PHC format; null until the invitation was accepted
    password_hash          text,
    -- SHA-256 of the secret in the invitation
    invitation_hash        bytea check (length(invitation_hash) = 32),
    invitation_expires_at  timestamptz,
    -- sealed; it counts once a code of it was shown
    totp_seed              text,
    totp_confirmed         boolean not null default false,
    -- the latest step whose code was taken: a code is good for once
    totp_step              bigint not null default 0,
    -- SHA-256 of each recovery code that was not used
    recovery_hashes        bytea[] not null default '{}',
    last_login_at          timestamptz,
    created_at             timestamptz not null,
    updated_at             timestamptz not null,
    primary key (tenant_id, user_id),
    unique (tenant_id, email),
    check ((invitation_hash is null) = (invitation_expires_at is null)),
    check (not totp_confirmed or totp_seed is not null)
);

create table sessions (
    tenant_id      uuid not null,
    session_id     uuid not null,
    user_id        uuid not null,
    -- console: a cookie; api: a refresh token
    kind           text not null check (kind in ('console', 'api')),
    -- SHA-256 of the secret that is good now
    secret_hash    bytea not null check (length(secret_hash) = 32),
    -- of those that were good before: whoever shows one has a copy
    spent_hashes   bytea[] not null default '{}',
    client         inet,
    user_agent     text,
    created_at     timestamptz not null,
    last_used_at   timestamptz not null,
    expires_at     timestamptz not null,
    ended_at       timestamptz,
    ended_by       text check (ended_by in ('logout', 'reuse', 'password', 'administrator')),
    primary key (tenant_id, session_id),
    foreign key (tenant_id, user_id) references users (tenant_id, user_id) on delete cascade,
    check ((ended_at is null) = (ended_by is null))
);
create index sessions_of_user on sessions (tenant_id, user_id);
create index sessions_by_expires_at on sessions (expires_at);

-- Wrong passwords by account and by where they came from, so that somebody else's guesses lock nobody out.
create table login_failures (
    tenant_id  uuid not null references tenants (tenant_id) on delete cascade,
    email      text not null,
    network    inet not null,
    failures   integer not null,
    -- when the first of them was
    since      timestamptz not null,
    primary key (tenant_id, email, network)
);
create index login_failures_by_since on login_failures (since);

-- What was changed, by whom, from where. Rows are only added.
create table audit_log (
    tenant_id    uuid not null,
    audit_id     uuid not null,
    at           timestamptz not null,
    -- user, api_key or command_line, with its id and its name at that time
    actor_kind   text not null check (actor_kind in ('user', 'api_key', 'command_line', 'nobody')),
    actor_id     uuid,
    actor_name   text not null,
    client       inet,
    request_id   text not null,
    -- such as instance.updated
    action       text not null check (action ~ '^[a-z_]+\.[a-z_]+$'),
    object_id    text,
    -- what was changed, secrets masked
    before       jsonb,
    after        jsonb,
    primary key (tenant_id, audit_id)
);
create function audit_log_only_grows() returns trigger language plpgsql as $$
begin
    raise exception 'the audit log only grows';
end $$;
create trigger audit_log_only_grows before update or delete or truncate on audit_log
    for each statement execute function audit_log_only_grows();

do $$
declare
    name text;
begin
    foreach name in array array['users', 'sessions', 'login_failures', 'audit_log'] loop
        execute format('alter table %I enable row level security, force row level security', name);
        execute format('create policy platform on %I to regua_platform using (true)', name);
        execute format(
            'create policy of_one_tenant on %I to regua_api
                 using (tenant_id = (select nullif(current_setting(''regua.tenant_id'', true), '''')::uuid))', name);
    end loop;
end $$;
-- Whether another tenant has a number is asked by what would be the same number.
create policy by_number on instances for select to regua_api
    using (lower(rtrim(base_url, '/')) || ' ' || name = (select nullif(current_setting('regua.number', true), '')));
-- A key's rate may be its tenant's (migrations/0007).
create policy by_prefix on tenant_configs for select to regua_api
    using (exists (select from api_keys k
                   where k.tenant_id = tenant_configs.tenant_id
                     and k.lookup_prefix = (select nullif(current_setting('regua.lookup', true), ''))));
-- A person names the tenant by its slug; the platform's people see which tenants there are.
create policy by_slug on tenants for select to regua_api
    using (slug = (select nullif(current_setting('regua.slug', true), '')));
create policy all_for_the_platform on tenants for select to regua_api
    using ((select current_setting('regua.platform', true) = 'on'));
-- Nobody makes people of the platform but they, and the command line.
create function only_the_platform_makes_its_own() returns trigger language plpgsql as $$
begin
    if current_user = 'regua_api' and coalesce(current_setting('regua.platform', true), '') <> 'on' then
        raise insufficient_privilege using message = 'only somebody of the platform gives the role platform';
    end if;
    return new;
end $$;
create trigger only_the_platform_makes_its_own before insert on users
    for each row when (new.role = 'platform') execute function only_the_platform_makes_its_own();
create trigger only_the_platform_raises_to_it before update of role on users
    for each row when (new.role = 'platform' and old.role <> 'platform') execute function only_the_platform_makes_its_own();

grant select, insert, update, delete on users, sessions, login_failures to regua_platform;
grant select, insert on audit_log to regua_platform;
grant select, insert, update on users, sessions to regua_api;
grant select, insert, update, delete on login_failures to regua_api;
grant select, insert on audit_log to regua_api;
-- What an administrator changes.
grant insert, update (name, status) on tenants to regua_api;
grant insert, update on tenant_configs to regua_api;
grant insert, delete on business_hours to regua_api;
grant insert, update, delete on holidays to regua_api;
grant insert, update (name, allowed_types, allowed_networks, active, expires_at, requests_per_minute) on api_keys to regua_api;
grant insert, delete, update (base_url, token, messages_per_minute, daily_cap, lane_concurrency, next_check_at, state, state_reason,
    state_checked_at, webhook_secret_hash) on instances to regua_api;
grant insert on lanes to regua_api;
grant insert, update, delete on templates, template_variations, type_defaults to regua_api;
-- Periodic forgets what is over.
create policy of_all_tenants on sessions to regua_fleet using (true);
create policy of_all_tenants on login_failures to regua_fleet using (true);
grant select (tenant_id, session_id, expires_at), delete on sessions to regua_fleet;
grant select (tenant_id, email, network, since), delete on login_failures to regua_fleet;
