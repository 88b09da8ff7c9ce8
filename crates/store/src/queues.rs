//! Table `queues`: the progress and the controls of a campaign.

mod counts;
mod listing;
mod recount;
mod wake;

use chrono::{DateTime, Utc};
use regua_domain::{InstanceId, MessageType, QueueId, QueueStatus, TenantId};
use sqlx::{Error, PgConnection};

pub use counts::{CountChange, change_counts};
pub use listing::{Page, Queue, get, list};
pub use recount::{miscounted, recount};
pub use wake::{Woken, wake_at_hour, wake_of_open, wake_scheduled};

/// A queue whose row is locked until the transaction ends.
#[derive(Clone, Debug)]
pub struct LockedQueue {
    /// Whose it is.
    pub tenant_id: TenantId,
    /// Its id.
    pub queue_id: QueueId,
    /// The number it leaves through.
    pub instance_id: InstanceId,
    /// Its type.
    pub message_type: MessageType,
    /// Its state.
    pub status: QueueStatus,
    /// Not before then.
    pub scheduled_for: Option<DateTime<Utc>>,
}

/// Locks queues in key order. Whoever changes contacts and counts takes these locks first: lane, queue, contact is the
/// order everywhere, so that nobody waits in a circle.
///
/// # Errors
/// The database's.
pub async fn lock(conn: &mut PgConnection, queues: &[(TenantId, QueueId)]) -> Result<Vec<LockedQueue>, Error> {
    let rows = sqlx::query!(
        "select q.tenant_id, q.queue_id, q.instance_id, q.type as message_type, q.status, q.scheduled_for
         from queues q join unnest($1::uuid[], $2::uuid[]) as u (tenant_id, queue_id) using (tenant_id, queue_id)
         order by q.tenant_id, q.queue_id
         for no key update of q",
        &queues.iter().map(|queue| queue.0.0).collect::<Vec<_>>(),
        &queues.iter().map(|queue| queue.1.0).collect::<Vec<_>>()
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(LockedQueue {
                tenant_id: TenantId(row.tenant_id),
                queue_id: QueueId(row.queue_id),
                instance_id: InstanceId(row.instance_id),
                message_type: row.message_type.parse().map_err(|error| Error::Decode(Box::new(error)))?,
                status: row.status.parse().map_err(|error| Error::Decode(Box::new(error)))?,
                scheduled_for: row.scheduled_for,
            })
        })
        .collect()
}

/// Moves a locked queue to the state that an operator asked for.
///
/// # Errors
/// The database's.
pub async fn set_status(
    conn: &mut PgConnection,
    tenant: TenantId,
    queue: QueueId,
    status: QueueStatus,
    reason: Option<&str>,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "update queues set status = $3, reason = $4, resume_at = null,
                           finished_at = case when $5 then $6::timestamptz end
         where tenant_id = $1 and queue_id = $2",
        tenant.0,
        queue.0,
        status.as_str(),
        reason,
        status.is_final(),
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A queue that a lane may claim from.
#[derive(Clone, Debug)]
pub struct Runnable {
    /// Whose it is.
    pub tenant_id: TenantId,
    /// The number it leaves through.
    pub instance_id: InstanceId,
    /// Its id.
    pub queue_id: QueueId,
    /// Its type.
    pub message_type: MessageType,
    /// Its state.
    pub status: QueueStatus,
    /// Not before then.
    pub scheduled_for: Option<DateTime<Utc>>,
    /// Contacts of the batch.
    pub total: i32,
    /// Contacts that are due, up to the caller's bound: no less than there are.
    pub waiting: u32,
    /// When the earliest of those that were tried before is due again.
    pub next_due_at: Option<DateTime<Utc>>,
}

/// The queues that these lanes may claim from: highest priority first, then oldest. With each lane goes the bound up to which
/// waiting contacts are counted. Indexes `queues_of_instance` and `contacts_requeued`.
///
/// # Errors
/// The database's.
pub async fn runnable(
    conn: &mut PgConnection,
    lanes: &[(TenantId, InstanceId, u32)],
    now: DateTime<Utc>,
) -> Result<Vec<Runnable>, Error> {
    let rows = sqlx::query!(
        r#"select q.tenant_id, q.instance_id, q.queue_id, q.type as message_type, q.status, q.scheduled_for, q.total,
                  least(u.bound, q.pending, q.total - q.next_position + (
                      select count(*) from (select from contacts c
                          where c.tenant_id = q.tenant_id and c.queue_id = q.queue_id and c.requeued and c.due_at <= $4
                            and c.status = 'pending'
                          limit u.bound) due)) as "waiting!",
                  (select c.due_at from contacts c
                      where c.tenant_id = q.tenant_id and c.queue_id = q.queue_id and c.requeued and c.status = 'pending'
                      order by c.due_at limit 1) as next_due_at
           from unnest($1::uuid[], $2::uuid[], $3::bigint[]) as u (tenant_id, instance_id, bound)
           join queues q on q.tenant_id = u.tenant_id and q.instance_id = u.instance_id
           where q.status in ('pending', 'running')
           order by q.tenant_id, q.instance_id, q.priority desc, q.created_at"#,
        &lanes.iter().map(|lane| lane.0.0).collect::<Vec<_>>(),
        &lanes.iter().map(|lane| lane.1.0).collect::<Vec<_>>(),
        &lanes.iter().map(|lane| i64::from(lane.2)).collect::<Vec<_>>(),
        now
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Runnable {
                tenant_id: TenantId(row.tenant_id),
                instance_id: InstanceId(row.instance_id),
                queue_id: QueueId(row.queue_id),
                message_type: row.message_type.parse().map_err(|error| Error::Decode(Box::new(error)))?,
                status: row.status.parse().map_err(|error| Error::Decode(Box::new(error)))?,
                scheduled_for: row.scheduled_for,
                total: row.total,
                waiting: u32::try_from(row.waiting).unwrap_or_default(),
                next_due_at: row.next_due_at,
            })
        })
        .collect()
}

/// Notes that lanes took locked queues up, and how far each has come: no contact below that place waits for its first try.
/// It is not noted beyond one that is on its way, so that a takeover finds it. The lanes are locked too, so nothing is marked
/// meanwhile.
///
/// # Errors
/// The database's.
pub async fn start(
    conn: &mut PgConnection,
    queues: &[(TenantId, QueueId, i32)],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "update queues q
         set status = 'running', reason = null, started_at = coalesce(q.started_at, $4),
             next_position = greatest(q.next_position, least(u.next_position, (
                 select min(c.position) from contacts c
                 where c.tenant_id = u.tenant_id and c.queue_id = u.queue_id
                   and c.position >= q.next_position and c.position < u.next_position and c.status = 'sending')))
         from unnest($1::uuid[], $2::uuid[], $3::integer[]) as u (tenant_id, queue_id, next_position)
         where q.tenant_id = u.tenant_id and q.queue_id = u.queue_id and q.status in ('pending', 'running')
           and (q.status = 'pending' or q.next_position < u.next_position)",
        &queues.iter().map(|queue| queue.0.0).collect::<Vec<_>>(),
        &queues.iter().map(|queue| queue.1.0).collect::<Vec<_>>(),
        &queues.iter().map(|queue| queue.2).collect::<Vec<_>>(),
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Holds a runnable queue until business hours begin again.
///
/// # Errors
/// The database's.
pub async fn pause_for_hours(
    conn: &mut PgConnection,
    tenant: TenantId,
    queue: QueueId,
    resume_at: Option<DateTime<Utc>>,
    reason: &str,
) -> Result<(), Error> {
    sqlx::query!(
        "update queues set status = 'paused_hours', resume_at = $3, reason = $4
         where tenant_id = $1 and queue_id = $2 and status in ('pending', 'running')",
        tenant.0,
        queue.0,
        resume_at,
        reason
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Completes queues that have nothing left to send, as [`change_counts`] does with the last outcome; answers how many.
/// Index `queues_unfinished`.
///
/// # Errors
/// The database's.
pub async fn complete_finished(conn: &mut PgConnection, now: DateTime<Utc>, limit: i64) -> Result<u64, Error> {
    let done = sqlx::query!(
        "with finished as materialized (
             select tenant_id, queue_id from queues
             where status not in ('completed', 'cancelled', 'failed') and pending = 0 and sending = 0
             limit $2 for no key update skip locked
         )
         update queues q
         set status = case when q.failed = q.total then 'failed' else 'completed' end, reason = null, resume_at = null,
             finished_at = $1
         from finished f where q.tenant_id = f.tenant_id and q.queue_id = f.queue_id",
        now,
        limit
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// How many unfinished queues each tenant has in each state: the gauge of active queues. Index `queues_unfinished`.
///
/// # Errors
/// The database's.
pub async fn active(conn: &mut PgConnection) -> Result<Vec<(TenantId, String, i64)>, Error> {
    let rows = sqlx::query!(
        r#"select tenant_id, status, count(*) as "count!" from queues
           where status not in ('completed', 'cancelled', 'failed')
           group by tenant_id, status"#
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (TenantId(row.tenant_id), row.status, row.count)).collect())
}

/// The number and the type that a doorbell's queue is about; none when there is no such queue.
///
/// # Errors
/// The database's.
pub async fn instance_of(
    conn: &mut PgConnection,
    tenant: TenantId,
    queue: QueueId,
) -> Result<Option<InstanceId>, Error> {
    let row = sqlx::query!("select instance_id from queues where tenant_id = $1 and queue_id = $2", tenant.0, queue.0)
        .fetch_optional(conn)
        .await?;
    Ok(row.map(|row| InstanceId(row.instance_id)))
}
