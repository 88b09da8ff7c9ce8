-- Webhook events of any source: the gateway, later the payment providers. An event of a payment provider belongs to no
-- tenant until it is read. The role that stores events can only insert them (docs/adr/0013-webhooks-of-any-source.md).
--
-- webhook_events holds an event for seconds, and for a day at most. So its indexes are built here, in the transaction
-- that changes the table, and its checks are validated at once.
set local lock_timeout = '2s';

-- regua_webhooks  stores a webhook event and rings its doorbell
--
-- regua_api is a member, so that every login of the API may take the new role. regua_api inherits nothing from it.
do $$
begin
    if not exists (select from pg_roles where rolname = 'regua_webhooks') then
        create role regua_webhooks nologin;
    end if;
    if (select rolinherit from pg_roles where rolname = 'regua_api') then
        alter role regua_api noinherit;
    end if;
    if not pg_has_role('regua_api', 'regua_webhooks', 'member') then
        grant regua_webhooks to regua_api;
    end if;
exception
    -- A migration of another database created the role at the same moment.
    when duplicate_object or unique_violation then null;
    when insufficient_privilege then
        raise exception 'the login % may not create the role regua_webhooks', current_user
            using hint = 'have a superuser run: create role regua_webhooks nologin; alter role regua_api noinherit; '
                         'grant regua_webhooks to regua_api';
end $$;

-- A key cannot contain a column without a value.
alter table webhook_events
    drop constraint webhook_events_pkey,
    add primary key (webhook_event_id),
    alter column tenant_id drop not null,
    alter column instance_id drop not null,
    -- The default is for programs of v0.2.0, which store events of the gateway only.
    add column source text not null default 'evolution' check (source in ('evolution', 'stripe', 'paddle')),
    drop constraint webhook_events_event_check,
    add constraint webhook_events_event_check check (case source
        when 'evolution' then event in ('send.message', 'messages.update')
        -- Such as `invoice.paid`: a provider adds names at any time.
        else event ~ '^[a-z0-9_]+(\.[a-z0-9_]+)*$' and length(event) <= 100
    end),
    add constraint webhook_events_instance_check check (
        (source = 'evolution') = (instance_id is not null) and (instance_id is null or tenant_id is not null)
    );
-- A source that no program reads yet must not delay the others. webhook_events_to_match serves programs of v0.2.0 and is
-- dropped in a later release.
create index webhook_events_due on webhook_events (source, next_match_at);
-- Replaces the tenant's part of the former primary key: export and erasure read one tenant's events.
create index webhook_events_of_tenant on webhook_events (tenant_id) where tenant_id is not null;

-- Only regua_fleet, which reads events, sees an event without a tenant. of_one_tenant shows none: null equals no tenant.
alter policy platform on webhook_events using (tenant_id is not null);

-- regua_api keeps its grant to insert for programs of v0.2.0, until a later release.
grant insert on webhook_events to regua_webhooks;
create policy storing on webhook_events for insert to regua_webhooks
    with check (tenant_id is not distinct from (select nullif(current_setting('regua.tenant_id', true), '')::uuid));

-- The doorbell of webhook events belongs to no tenant: its reader looks at the events of all tenants.
grant insert (tenant_id, doorbell_id, routing_key, priority, body) on doorbells to regua_webhooks;
create policy storing on doorbells for insert to regua_webhooks
    with check (routing_key = 'billing.webhook_events' and tenant_id = '00000000-0000-0000-0000-000000000000');
