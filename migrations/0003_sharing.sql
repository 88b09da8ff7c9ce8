-- How workers share the lanes: who they are, and the lanes that one of them let go for another.

-- The worker processes that live. A table of the platform: it says nothing of any tenant, so it is the one whose key does
-- not begin with tenant_id.
create table workers (
    name        text primary key,
    started_at  timestamptz not null default now(),
    -- moved on by every heartbeat; a worker whose row ran out has no share, and somebody removes the row
    expires_at  timestamptz not null
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

alter table lanes
    -- when its owner let the lane go for somebody else to take; null: it is held, or there was nothing more to do
    add column offered_at timestamptz,
    add check (offered_at is null or leased_by is null);
-- What a worker below its share takes. Few rows, and none most of the time.
create index lanes_offered on lanes (offered_at) where offered_at is not null;
