//! Lanes that a worker must take: periodic finds them, and rings a doorbell for each. `rung_at` keeps the same lane
//! from being found again within a pause, so that doorbells do not pile up while no worker consumes them.

use std::time::Duration;

use chrono::{DateTime, Utc};
use regua_domain::{QueueId, TenantId};
use sqlx::{Error, PgConnection};

use super::handover::RING_AFTER;

/// Lanes whose lease has expired, each with a queue of its instance to ring for (unfinished ones first). Index
/// `lanes_by_owner`.
pub async fn take_expired(
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

/// Free lanes whose runnable queue has a due contact, each with that queue to ring for: a doorbell was lost, or a retry
/// is due. A lane that was offered a moment ago is left to the workers.
pub async fn take_unattended(
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
