//! Table `queues`: the progress and the controls of a campaign.

mod counts;
mod read;
mod recount;
mod wake;

use chrono::{DateTime, Utc};
use regua_domain::{CampaignId, EventKind, InstanceId, LaneKey, MessageType, QueueId, QueueStatus, Rule, TenantId};
use sqlx::{Error, PgConnection};

use crate::columns::column;

pub use counts::{ContactMove, record_moves};
pub use read::{Page, Queue, get, list};
pub use recount::{list_miscounted, recount};
pub use wake::{Woken, wake_connected, wake_paused_hours, wake_scheduled};

/// A queue whose row is locked until the transaction ends.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are the table's columns")]
pub struct LockedQueue {
    pub tenant_id: TenantId,
    pub queue_id: QueueId,
    pub instance_id: InstanceId,
    pub message_type: MessageType,
    pub status: QueueStatus,
    /// The earliest time of the first send.
    pub scheduled_for: Option<DateTime<Utc>>,
}

/// Locks queues in key order. A transaction that changes contacts locks their queues first. The order of all locks is
/// lane, queue, contact, so that no deadlock occurs.
pub async fn lock(conn: &mut PgConnection, queues: &[(TenantId, QueueId)]) -> Result<Vec<LockedQueue>, Error> {
    sqlx::query_as!(
        LockedQueue,
        r#"select q.tenant_id as "tenant_id: TenantId", q.queue_id as "queue_id: QueueId",
                  q.instance_id as "instance_id: InstanceId", q.type as "message_type: MessageType",
                  q.status as "status: QueueStatus", q.scheduled_for
           from queues q join unnest($1::uuid[], $2::uuid[]) as u (tenant_id, queue_id) using (tenant_id, queue_id)
           order by q.tenant_id, q.queue_id
           for no key update of q"#,
        &column(queues, |queue| queue.0) as &[TenantId],
        &column(queues, |queue| queue.1) as &[QueueId]
    )
    .fetch_all(conn)
    .await
}

/// Moves a locked queue to the state that an operator asked for.
pub async fn set_status(
    conn: &mut PgConnection,
    tenant: TenantId,
    queue: QueueId,
    status: QueueStatus,
    reason: Option<&str>,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "with changed as (
             update queues q
             set status = $3, reason = $4, resume_at = null, finished_at = case when $5 then $6::timestamptz end
             from queues former
             where q.tenant_id = $1 and q.queue_id = $2 and former.tenant_id = $1 and former.queue_id = $2
             returning former.status as former_status
         )
         insert into events (tenant_id, kind, at, queue_id)
         select $1, $7, $6, $2 from changed where former_status <> $3",
        tenant as TenantId,
        queue as QueueId,
        status as QueueStatus,
        reason,
        status.is_final(),
        now,
        EventKind::of_queue(status) as EventKind
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A queue that a lane may claim from.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are the table's columns")]
pub struct Runnable {
    pub tenant_id: TenantId,
    pub instance_id: InstanceId,
    pub queue_id: QueueId,
    pub campaign_id: CampaignId,
    pub message_type: MessageType,
    pub status: QueueStatus,
    /// The earliest time of the first send.
    pub scheduled_for: Option<DateTime<Utc>>,
    /// Contacts of the batch.
    pub total: i32,
    /// An upper estimate of the number of due contacts, at most the caller's bound.
    pub waiting: i64,
    /// When the earliest requeued contact is due.
    pub next_due_at: Option<DateTime<Utc>>,
}

/// The queues that these lanes may claim from: highest priority first, then oldest. Each lane has the bound up to which
/// its waiting contacts are counted. Indexes `queues_of_instance` and `contacts_requeued`.
pub async fn runnable(
    conn: &mut PgConnection,
    lanes: &[(LaneKey, u32)],
    now: DateTime<Utc>,
) -> Result<Vec<Runnable>, Error> {
    sqlx::query_as!(
        Runnable,
        r#"select q.tenant_id as "tenant_id: TenantId", q.instance_id as "instance_id: InstanceId",
                  q.queue_id as "queue_id: QueueId", q.campaign_id as "campaign_id: CampaignId",
                  q.type as "message_type: MessageType", q.status as "status: QueueStatus", q.scheduled_for, q.total,
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
        &column(lanes, |(lane, _)| lane.tenant) as &[TenantId],
        &column(lanes, |(lane, _)| lane.instance) as &[InstanceId],
        &column(lanes, |(_, bound)| i64::from(*bound)),
        now
    )
    .fetch_all(conn)
    .await
}

/// Makes locked queues `running`, and advances each to a position below which no contact waits for its first attempt.
/// The position does not pass a contact that is `sending`, so that a takeover finds it. The lanes are locked too, so no
/// contact is marked meanwhile.
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
        &column(queues, |queue| queue.0) as &[TenantId],
        &column(queues, |queue| queue.1) as &[QueueId],
        &column(queues, |queue| queue.2),
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Makes a runnable queue `paused_hours` until `resume_at`.
pub async fn pause_for_hours(
    conn: &mut PgConnection,
    tenant: TenantId,
    queue: QueueId,
    resume_at: Option<DateTime<Utc>>,
    rule: Rule,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "with paused as (
             update queues set status = 'paused_hours', resume_at = $3, reason = $4
             where tenant_id = $1 and queue_id = $2 and status in ('pending', 'running')
             returning tenant_id, queue_id
         )
         insert into events (tenant_id, kind, at, queue_id) select tenant_id, $5, $6, queue_id from paused",
        tenant as TenantId,
        queue as QueueId,
        resume_at,
        rule as Rule,
        EventKind::QueuePausedHours as EventKind,
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Completes queues without unfinished contacts, as [`record_moves`] does with the last outcome; returns their number.
/// Index `queues_unfinished`.
pub async fn complete_finished(conn: &mut PgConnection, now: DateTime<Utc>, limit: i64) -> Result<u64, Error> {
    let done = sqlx::query!(
        "with finished as materialized (
             select tenant_id, queue_id from queues
             where status not in ('completed', 'cancelled', 'failed') and pending = 0 and sending = 0
             limit $2 for no key update skip locked
         ), completed as (
             update queues q
             set status = case when q.failed = q.total then 'failed' else 'completed' end, reason = null,
                 resume_at = null, finished_at = $1
             from finished f where q.tenant_id = f.tenant_id and q.queue_id = f.queue_id
             returning q.tenant_id, q.queue_id, q.status
         )
         insert into events (tenant_id, kind, at, queue_id)
         select tenant_id, 'queue.' || status, $1, queue_id from completed",
        now,
        limit
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// Unfinished queues of one tenant in one state.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the fields are the table's columns")]
pub struct ActiveQueues {
    pub tenant_id: TenantId,
    pub status: QueueStatus,
    pub count: i64,
}

/// Counts the unfinished queues of every tenant by state, for the gauge of active queues. Index `queues_unfinished`.
pub async fn count_active(conn: &mut PgConnection) -> Result<Vec<ActiveQueues>, Error> {
    sqlx::query_as!(
        ActiveQueues,
        r#"select tenant_id as "tenant_id: TenantId", status as "status: QueueStatus", count(*) as "count!" from queues
           where status not in ('completed', 'cancelled', 'failed')
           group by tenant_id, status"#
    )
    .fetch_all(conn)
    .await
}

/// The instance of a queue; none when there is no such queue.
pub async fn instance_of(
    conn: &mut PgConnection,
    tenant: TenantId,
    queue: QueueId,
) -> Result<Option<InstanceId>, Error> {
    sqlx::query_scalar!(
        r#"select instance_id as "instance_id: InstanceId" from queues where tenant_id = $1 and queue_id = $2"#,
        tenant as TenantId,
        queue as QueueId
    )
    .fetch_optional(conn)
    .await
}
