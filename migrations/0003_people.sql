-- People: the users of a tenant, their sessions, their failed logins, and the log of their changes.

create table users (
    tenant_id              uuid not null references tenants (tenant_id) on delete cascade,
    user_id                uuid not null,
    -- lower case
    email                  text not null check (email = lower(email) and length(email) between 3 and 254),
    name                   text not null check (length(name) between 1 and 200),
    -- platform: may act for every tenant; given at the command line, or by a user who has it
    role                   text not null check (role in ('viewer', 'operator', 'owner', 'platform')),
    active                 boolean not null default true,
    -- Argon2id in the PHC format; null until the invitation is accepted
    password_hash          text,
    -- SHA-256 of the secret in the invitation
    invitation_hash        bytea check (length(invitation_hash) = 32),
    invitation_expires_at  timestamptz,
    -- sealed; logins need it from the first correct code on (totp_confirmed)
    totp_seed              text,
    totp_confirmed         boolean not null default false,
    -- the latest time step whose code was accepted: a code is accepted once
    totp_step              bigint not null default 0,
    -- SHA-256 of each unused recovery code
    recovery_hashes        bytea[] not null default '{}',
    last_login_at          timestamptz,
    created_at             timestamptz not null,
    updated_at             timestamptz not null,
    primary key (tenant_id, user_id),
    unique (tenant_id, email),
    check ((invitation_hash is null) = (invitation_expires_at is null)),
    check (not totp_confirmed or totp_seed is not null)
);
alter table users enable row level security, force row level security;
create policy platform on users to regua_platform using (true);
create policy of_one_tenant on users to regua_api
    using (tenant_id = (select nullif(current_setting('regua.tenant_id', true), '')::uuid));
grant select, insert, update, delete on users to regua_platform;
grant select, insert, update on users to regua_api;

-- A request gives the role platform only when its transaction acts for a user of the platform.
create function only_the_platform_makes_its_own() returns trigger language plpgsql as $$
begin
    if current_user = 'regua_api' and coalesce(current_setting('regua.platform', true), '') <> 'on' then
        raise insufficient_privilege using message = 'only a user of the platform gives the role platform';
    end if;
    return new;
end $$;
create trigger only_the_platform_makes_its_own before insert on users
    for each row when (new.role = 'platform') execute function only_the_platform_makes_its_own();
create trigger only_the_platform_raises_to_it before update of role on users
    for each row when (new.role = 'platform' and old.role <> 'platform')
    execute function only_the_platform_makes_its_own();

create table sessions (
    tenant_id     uuid not null,
    session_id    uuid not null,
    user_id       uuid not null,
    -- console: a cookie; api: a refresh token
    kind          text not null check (kind in ('console', 'api')),
    -- SHA-256 of the current secret
    secret_hash   bytea not null check (length(secret_hash) = 32),
    -- SHA-256 of earlier secrets: a caller that sends one of them has a copy, and the session ends
    spent_hashes  bytea[] not null default '{}',
    client        inet,
    user_agent    text,
    created_at    timestamptz not null,
    last_used_at  timestamptz not null,
    expires_at    timestamptz not null,
    ended_at      timestamptz,
    ended_by      text check (ended_by in ('logout', 'reuse', 'password', 'administrator')),
    primary key (tenant_id, session_id),
    foreign key (tenant_id, user_id) references users (tenant_id, user_id) on delete cascade,
    check ((ended_at is null) = (ended_by is null))
);
create index sessions_of_user on sessions (tenant_id, user_id);
-- Retention: sessions that ended long ago, of all tenants.
create index sessions_by_expires_at on sessions (expires_at);
alter table sessions enable row level security, force row level security;
create policy platform on sessions to regua_platform using (true);
create policy of_all_tenants on sessions to regua_fleet using (true);
create policy of_one_tenant on sessions to regua_api
    using (tenant_id = (select nullif(current_setting('regua.tenant_id', true), '')::uuid));
grant select, insert, update, delete on sessions to regua_platform;
grant select, insert, update on sessions to regua_api;
grant select (tenant_id, session_id, expires_at), delete on sessions to regua_fleet;

-- Failed passwords by account and network, so that guesses from one network do not lock the account's owner out of
-- another.
create table login_failures (
    tenant_id  uuid not null references tenants (tenant_id) on delete cascade,
    email      text not null,
    network    inet not null,
    failures   integer not null,
    -- time of the first failure
    since      timestamptz not null,
    primary key (tenant_id, email, network)
);
-- Retention: failures of yesterday, of all tenants.
create index login_failures_by_since on login_failures (since);
alter table login_failures enable row level security, force row level security;
create policy platform on login_failures to regua_platform using (true);
create policy of_all_tenants on login_failures to regua_fleet using (true);
create policy of_one_tenant on login_failures to regua_api
    using (tenant_id = (select nullif(current_setting('regua.tenant_id', true), '')::uuid));
grant select, insert, update, delete on login_failures to regua_platform;
grant select, insert, update, delete on login_failures to regua_api;
grant select (tenant_id, email, network, since), delete on login_failures to regua_fleet;

-- Changes that people and the command line make. Rows are only added.
create table audit_log (
    tenant_id   uuid not null,
    audit_id    uuid not null,
    at          timestamptz not null,
    -- with the actor's id, and its name at that time
    actor_kind  text not null check (actor_kind in ('user', 'api_key', 'command_line', 'nobody')),
    actor_id    uuid,
    actor_name  text not null,
    client      inet,
    request_id  text not null,
    -- such as instance.updated
    action      text not null check (action ~ '^[a-z_]+\.[a-z_]+$'),
    object_id   text,
    -- the object, secrets masked
    before      jsonb,
    after       jsonb,
    primary key (tenant_id, audit_id)
);
create function audit_log_only_grows() returns trigger language plpgsql as $$
begin
    raise exception 'the audit log only grows';
end $$;
create trigger audit_log_only_grows before update or delete or truncate on audit_log
    for each statement execute function audit_log_only_grows();
alter table audit_log enable row level security, force row level security;
create policy platform on audit_log to regua_platform using (true);
create policy of_one_tenant on audit_log to regua_api
    using (tenant_id = (select nullif(current_setting('regua.tenant_id', true), '')::uuid));
grant select, insert on audit_log to regua_platform;
grant select, insert on audit_log to regua_api;
