//! Lanes that somebody ought to take: periodic looks for them, and rings.

use std::time::Duration;

use chrono::{DateTime, Utc};
use regua_domain::{QueueId, TenantId};
use sqlx::postgres::types::PgInterval;
use sqlx::{Error, PgConnection};

use super::shared::LEFT_TO_WORKERS;

/// Lanes whose lease ran out, each with a queue of its instance to ring for (unfinished ones first). A lane is answered
/// once in `pause`, so that doorbells do not pile up while no worker hears them. Index `lanes_by_owner`.
///
/// # Errors
/// The database's.
pub async fn expired(conn: &mut PgConnection, pause: Duration, limit: i64) -> Result<Vec<(TenantId, QueueId)>, Error> {
    let pause = PgInterval::try_from(pause).map_err(Error::Encode)?;
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
         select s.tenant_id, q.queue_id as "queue_id!"
         from stale s cross join lateral (
             select queue_id from queues q
             where q.tenant_id = s.tenant_id and q.instance_id = s.instance_id
             order by q.status in ('completed', 'cancelled', 'failed'), q.created_at desc
             limit 1
         ) q"#,
        pause,
        limit
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (TenantId(row.tenant_id), QueueId(row.queue_id))).collect())
}

/// Lanes that nobody holds although a runnable queue of theirs has a contact that is due: a doorbell was lost, or a retry
/// has come. One queue each, to ring for, once in `pause`; one that was offered a moment ago is left to the workers.
///
/// # Errors
/// The database's.
pub async fn unattended(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    pause: Duration,
    limit: i64,
) -> Result<Vec<(TenantId, QueueId)>, Error> {
    let pause = PgInterval::try_from(pause).map_err(Error::Encode)?;
    let left_to_workers = PgInterval::try_from(LEFT_TO_WORKERS).map_err(Error::Encode)?;
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
         returning l.tenant_id, w.queue_id"#,
        now,
        pause,
        limit,
        left_to_workers
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (TenantId(row.tenant_id), QueueId(row.queue_id))).collect())
}
