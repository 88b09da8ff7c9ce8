-- Budgets of webhook events that wait for their reader: how large each is, which may be deleted when too many wait, and
-- how often its reader failed (docs/adr/0015-waiting-webhook-events-are-bounded.md).
--
-- webhook_events holds an event for seconds, and for a day at most, so its index is built here.
set local lock_timeout = '2s';

alter table webhook_events
    -- Bytes of `data` as JSON. Null: a program of an earlier version stored the event as it arrived.
    add column bytes integer check (bytes >= 0),
    -- False: a status alone, which may be deleted. The default is for programs of an earlier version.
    add column proves_sending boolean not null default true,
    -- Passes of the reader that failed at this event, without one in between that did not.
    add column failures smallint not null default 0 check (failures >= 0);
grant update (failures) on webhook_events to regua_fleet;

-- The reader takes turns among tenants. The index replaces webhook_events_of_tenant, whose only column is its first.
create index webhook_events_due_of_tenant on webhook_events (tenant_id, source, next_match_at)
    where tenant_id is not null;
drop index webhook_events_of_tenant;

-- A webhook event at which its reader failed becomes a dead letter, so a debtor's export and erasure reach dead letters.
grant select, delete on dead_letters to regua_api;
-- The body is removed after a day.
grant update (body) on dead_letters to regua_fleet;
