-- Who may touch which rows and columns (docs/adr/0011). The programs take these roles when they connect or begin a transaction;
-- whoever owns the tables only migrates.
--   regua_api       requests, each for one tenant (the setting regua.tenant_id)
--   regua_relay     publishes doorbells from within the API
--   regua_fleet     worker and periodic
--   regua_platform  whoever runs the platform, at the command line
-- A table without a policy shows nothing to anybody: a new table brings its own.

do $$
declare
    role text;
begin
    -- Roles belong to the server, not to the database; another database's migration may make them at the same moment.
    foreach role in array array['regua_api', 'regua_relay', 'regua_fleet', 'regua_platform'] loop
        begin
            if not exists (select from pg_roles where rolname = role) then
                execute format('create role %I nologin', role);
            end if;
        exception
            when duplicate_object or unique_violation then null;
            when insufficient_privilege then
                raise exception 'the login % may not create the role %', current_user, role
                    using hint = format('have a superuser run: create role %I; grant %I to %I', role, role, current_user);
        end;
        -- So that a login that is not a superuser may take the role, and so that its later migrations see all rows.
        if not pg_has_role(current_user, role, 'usage') then
            begin
                execute format('grant %I to current_user', role);
            exception when insufficient_privilege then
                raise exception 'the login % must be a member of the role %', current_user, role
                    using hint = format('have a superuser run: grant %I to %I', role, current_user);
            end;
        end if;
    end loop;
end $$;

-- Rows. One policy a role and table.
do $$
declare
    name text;
begin
    for name in
        select c.relname from pg_class c
        where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and c.relname <> '_sqlx_migrations'
    loop
        execute format('alter table %I enable row level security, force row level security', name);
        execute format('create policy platform on %I to regua_platform using (true)', name);
        if name = 'workers' then
            continue;
        end if;
        -- The setting is read once a statement, and an empty one (what is left of it after a transaction) is nobody's.
        execute format(
            'create policy of_one_tenant on %I to regua_api
                 using (tenant_id = (select nullif(current_setting(''regua.tenant_id'', true), '''')::uuid))', name);
    end loop;
    foreach name in array array['tenants', 'tenant_configs', 'business_hours', 'holidays', 'instances', 'lanes', 'queues',
                                'contacts', 'attempts', 'evidence', 'outbox', 'dead_letters', 'webhook_events', 'workers']
    loop
        execute format('create policy of_all_tenants on %I to regua_fleet using (true)', name);
    end loop;
end $$;
create policy relay on outbox to regua_relay using (true);

-- A caller is known by what it shows before anybody knows whose it is.
create policy by_prefix on api_keys for select to regua_api
    using (lookup_prefix = (select nullif(current_setting('regua.lookup', true), '')));
create policy by_prefix on tenants for select to regua_api
    using (exists (select from api_keys k
                   where k.tenant_id = tenants.tenant_id
                     and k.lookup_prefix = (select nullif(current_setting('regua.lookup', true), ''))));

-- Columns.
grant select, insert, update, delete on all tables in schema public to regua_platform;

grant select on tenants, tenant_configs, business_hours, holidays, api_keys, instances, lanes, templates,
    template_variations, type_defaults, campaigns, queues, contacts, attempts, evidence, outbox, webhook_events
    to regua_api;
grant insert on campaigns, queues, contacts, evidence, outbox, webhook_events to regua_api;
grant update (references_used) on tenants to regua_api;
grant update (last_used_at) on api_keys to regua_api;
-- To be locked, a row must be one that could be updated; ringing counts.
grant update (bell) on lanes to regua_api;
grant update (status, reason, resume_at, started_at, finished_at, pending, sending, sent, delivered, read, failed,
    unconfirmed, skipped, cancelled) on queues to regua_api;
grant update (status, requeued, due_at, resends, reason, message_id, sent_at, delivered_at, read_at, updated_at) on contacts
    to regua_api;
grant update (outcome, reason, message_id, settled_by, looks, next_look_at) on attempts to regua_api;
grant update (revision, visible_at) on outbox to regua_api;

grant select, update (revision, visible_at), delete on outbox to regua_relay;

grant select on workers, tenant_configs, business_hours, holidays, lanes, queues, attempts, evidence, outbox, dead_letters,
    webhook_events to regua_fleet;
grant select (tenant_id, status) on tenants to regua_fleet;
grant select (tenant_id, instance_id, name, base_url, token, messages_per_minute, daily_cap, lane_concurrency, state,
    state_reason, state_checked_at, next_check_at) on instances to regua_fleet;
-- Nothing of a debtor but where a message goes and what it says.
grant select (tenant_id, contact_id, queue_id, position, phone, reference, text, status, requeued, due_at, attempts, resends,
    reason, message_id, sent_at, delivered_at, read_at, created_at, updated_at, attempt_id, attempt_epoch, attempt_worker,
    attempt_started_at) on contacts to regua_fleet;
grant insert on workers, attempts, evidence, outbox, dead_letters to regua_fleet;
grant delete on workers, outbox, webhook_events to regua_fleet;
grant update (expires_at) on workers to regua_fleet;
grant update (state, state_reason, state_checked_at, next_check_at) on instances to regua_fleet;
grant update (leased_by, lease_epoch, lease_expires_at, last_heartbeat, bell, rung_at, next_send_at, sent_on, sent_that_day,
    offered_at) on lanes to regua_fleet;
grant update (status, reason, resume_at, started_at, finished_at, next_position, pending, sending, sent, delivered, read,
    failed, unconfirmed, skipped, cancelled) on queues to regua_fleet;
grant update (status, requeued, due_at, attempts, resends, reason, message_id, sent_at, delivered_at, read_at, updated_at,
    attempt_id, attempt_epoch, attempt_worker, attempt_started_at) on contacts to regua_fleet;
grant update (outcome, reason, message_id, settled_by, looks, next_look_at) on attempts to regua_fleet;
grant update (revision, visible_at) on outbox to regua_fleet;
grant update (next_match_at) on webhook_events to regua_fleet;
