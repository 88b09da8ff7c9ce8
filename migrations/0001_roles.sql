-- The database roles of the programs (docs/adr/0011-the-database-keeps-tenants-apart.md).
--
-- regua_api       a request, for one tenant (the setting regua.tenant_id)
-- regua_relay     the relay of doorbells inside the API
-- regua_fleet     worker and periodic
-- regua_platform  the command line
--
-- No role can log in, and no role owns a table. A program takes its role when it connects or when it begins a
-- transaction; the owner of the tables only migrates.

do $$
declare
    role text;
begin
    -- Roles belong to the server, not to the database: a migration of another database may create a role at the same
    -- moment.
    foreach role in array array['regua_api', 'regua_relay', 'regua_fleet', 'regua_platform'] loop
        begin
            if not exists (select from pg_roles where rolname = role) then
                execute format('create role %I nologin', role);
            end if;
        exception
            when duplicate_object or unique_violation then null;
            when insufficient_privilege then
                raise exception 'the login % may not create the role %', current_user, role
                    using hint = format('have a superuser run: create role %I; grant %I to %I', role, role,
                                        current_user);
        end;
        -- A login that is no superuser takes a role only as its member, and a later migration sees rows only as a
        -- member of regua_platform.
        if not pg_has_role(current_user, role, 'usage') then
            begin
                execute format('grant %I to current_user', role);
            exception when insufficient_privilege then
                raise exception 'the login % must be a member of the role %', current_user, role
                    using hint = format('have a superuser run: grant %I to %I', role, current_user);
            end;
        end if;
    end loop;
    -- `regua doctor` reads which migrations were applied. The table is the migrator's; psql applies these files without
    -- it.
    if to_regclass('public._sqlx_migrations') is not null then
        grant select, insert, update, delete on public._sqlx_migrations to regua_platform;
    end if;
end $$;
