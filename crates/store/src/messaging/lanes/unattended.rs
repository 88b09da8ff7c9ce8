//! Lanes that need a worker. Periodic finds them here and rings for each. `rung_at` hides a found lane for a pause, so
//! that doorbells do not pile up while no worker consumes them.

use std::time::Duration;

use chrono::{DateTime, Utc};
use regua_domain::{QueueId, TenantId};
use sqlx::{Error, PgConnection};

use super::handover::RING_AFTER;

/// Finds lanes whose lease has expired; returns for each a queue of its instance to ring for, an unfinished one if
/// there is one. Takes no lease. Index `lanes_by_owner`.
pub async fn find_expired_to_ring(
    conn: &mut PgConnection,
    pause: Duration,
    limit: i64,
) -> Result<Vec<(TenantId, QueueId)>, Error> {
    let rows = sqlx::query!(
        r#"with stale as materialized (
             select tenant_id, instance_id from lanes
             where leased_by is not null and lease_expires_at < now() and (rung_at is null or rung_at < now() - $1::interval)
             order by lease_expires_at limit $2
             for no key update skip locked
         ), rung as (
             update lanes l set rung_at = now() from stale s
             where l.tenant_id = s.tenant_id and l.instance_id = s.instance_id
         )
         select s.tenant_id as "tenant_id: TenantId", q.queue_id as "queue_id!: QueueId"
         from stale s cross join lateral (
             select queue_id from queues q
             where q.tenant_id = s.tenant_id and q.instance_id = s.instance_id
             order by q.status in ('completed', 'cancelled', 'failed'), q.created_at desc
             limit 1
         ) q"#,
        pause as Duration,
        limit
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.tenant_id, row.queue_id)).collect())
}

/// Finds free lanes with a due contact; returns for each its most urgent queue to ring for. Their doorbell was lost, or
/// a retry is due. Leaves out a lane that was offered less than six seconds ago, because workers take it. Takes no
/// lease.
pub async fn find_unattended_to_ring(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    pause: Duration,
    limit: i64,
) -> Result<Vec<(TenantId, QueueId)>, Error> {
    let rows = sqlx::query!(
        r#"with waiting as materialized (
             select distinct on (q.tenant_id, q.instance_id) q.tenant_id, q.instance_id, q.queue_id
             from queues q
             join lanes l on l.tenant_id = q.tenant_id and l.instance_id = q.instance_id and l.leased_by is null
                         and (l.rung_at is null or l.rung_at < now() - $2::interval)
                         and (l.offered_at is null or l.offered_at < now() - $4::interval)
             join tenants t on t.tenant_id = q.tenant_id and t.status = 'active'
             where q.status in ('pending', 'running')
               and q.pending > 0
               and (q.next_position < q.total
                    or exists (select from contacts c
                               where c.tenant_id = q.tenant_id and c.queue_id = q.queue_id
                                 and c.requeued and c.due_at <= $1 and c.status = 'pending'))
             order by q.tenant_id, q.instance_id, q.priority desc
             limit $3
         )
         update lanes l set rung_at = now() from waiting w
         where l.tenant_id = w.tenant_id and l.instance_id = w.instance_id
         returning l.tenant_id as "tenant_id: TenantId", w.queue_id as "queue_id: QueueId""#,
        now,
        pause as Duration,
        limit,
        RING_AFTER as Duration
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.tenant_id, row.queue_id)).collect())
}

/// The number of leases that expired longer than `since` ago and that no worker has taken over.
pub async fn count_expired(conn: &mut PgConnection, since: Duration) -> Result<i64, Error> {
    sqlx::query_scalar!(
        r#"select count(*) as "count!" from lanes
           where leased_by is not null and lease_expires_at < now() - $1::interval"#,
        since as Duration
    )
    .fetch_one(conn)
    .await
}
