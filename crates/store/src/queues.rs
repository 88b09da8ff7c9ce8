//! Table `queues`: the progress and the controls of a campaign.

use chrono::{DateTime, Utc};
use regua_domain::{CampaignId, InstanceId, MessageType, QueueId, QueueStatus, TenantId};
use sqlx::{Error, PgConnection};

/// A queue as people see it, with the names and the pace of what it belongs to.
#[derive(Clone, Debug)]
pub struct Queue {
    /// Its id.
    pub queue_id: QueueId,
    /// Its campaign's id.
    pub campaign_id: CampaignId,
    /// The caller's id of the batch.
    pub external_id: String,
    /// For people.
    pub name: String,
    /// Its type.
    pub message_type: String,
    /// Its state.
    pub status: String,
    /// Why it is in that state, where there is something to say.
    pub reason: Option<String>,
    /// When it goes on by itself.
    pub resume_at: Option<DateTime<Utc>>,
    /// Not before then.
    pub scheduled_for: Option<DateTime<Utc>>,
    /// From intake.
    pub created_at: DateTime<Utc>,
    /// When a lane first took it up.
    pub started_at: Option<DateTime<Utc>>,
    /// When nothing was left to do.
    pub finished_at: Option<DateTime<Utc>>,
    /// Accepted contacts.
    pub total: i32,
    /// To be sent.
    pub pending: i32,
    /// Written down as being sent.
    pub sending: i32,
    /// Left.
    pub sent: i32,
    /// Of those, delivered.
    pub delivered: i32,
    /// Of those, read.
    pub read: i32,
    /// Refused, or tries used up.
    pub failed: i32,
    /// Nobody can say.
    pub unconfirmed: i32,
    /// A rule said no.
    pub skipped: i32,
    /// The queue was cancelled before.
    pub cancelled: i32,
    /// The worker that holds the lane.
    pub processing_by: Option<String>,
    /// When it was last heard of.
    pub last_heartbeat: Option<DateTime<Utc>>,
    /// The number's pace.
    pub rate_per_minute: i32,
}

/// What a caller filters and pages by. Newest first.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Only this queue.
    pub only: Option<QueueId>,
    /// Only of this type.
    pub message_type: Option<MessageType>,
    /// Only in this state.
    pub status: Option<QueueStatus>,
    /// Older than this one.
    pub after: Option<QueueId>,
    /// At most so many.
    pub limit: i64,
}

/// One queue; none when the tenant has no such queue.
///
/// # Errors
/// The database's.
pub async fn get(conn: &mut PgConnection, tenant: TenantId, queue: QueueId) -> Result<Option<Queue>, Error> {
    let page = Page { only: Some(queue), limit: 1, ..Page::default() };
    Ok(list(conn, tenant, &page).await?.into_iter().next())
}

/// A page of a tenant's queues. Ids are time-ordered, so the primary key is the index.
///
/// # Errors
/// The database's.
pub async fn list(conn: &mut PgConnection, tenant: TenantId, page: &Page) -> Result<Vec<Queue>, Error> {
    let rows = sqlx::query!(
        r#"select q.*, c.external_id, c.name, l.leased_by, l.last_heartbeat as heartbeat,
                  coalesce(i.messages_per_minute, t.messages_per_minute) as "rate_per_minute!"
           from queues q
           join campaigns c using (tenant_id, campaign_id)
           join lanes l on l.tenant_id = q.tenant_id and l.instance_id = q.instance_id
           join instances i on i.tenant_id = q.tenant_id and i.instance_id = q.instance_id
           join tenant_configs t on t.tenant_id = q.tenant_id
           where q.tenant_id = $1 and ($2::uuid is null or q.queue_id = $2)
             and ($3::text is null or q.type = $3) and ($4::text is null or q.status = $4)
             and ($5::uuid is null or q.queue_id < $5)
           order by q.queue_id desc limit $6"#,
        tenant.0,
        page.only.map(|id| id.0),
        page.message_type.map(MessageType::as_str),
        page.status.map(QueueStatus::as_str),
        page.after.map(|id| id.0),
        page.limit
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Queue {
            queue_id: QueueId(row.queue_id),
            campaign_id: CampaignId(row.campaign_id),
            external_id: row.external_id,
            name: row.name,
            message_type: row.r#type,
            // The lane serves all queues of the number; only those under way are being processed by its owner.
            processing_by: row.leased_by.filter(|_| row.status == "running"),
            last_heartbeat: row.heartbeat.filter(|_| row.started_at.is_some()),
            status: row.status,
            reason: row.reason,
            resume_at: row.resume_at,
            scheduled_for: row.scheduled_for,
            created_at: row.created_at,
            started_at: row.started_at,
            finished_at: row.finished_at,
            total: row.total,
            pending: row.pending,
            sending: row.sending,
            sent: row.sent,
            delivered: row.delivered,
            read: row.read,
            failed: row.failed,
            unconfirmed: row.unconfirmed,
            skipped: row.skipped,
            cancelled: row.cancelled,
            rate_per_minute: row.rate_per_minute,
        })
        .collect())
}

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
    /// Its id.
    pub queue_id: QueueId,
    /// Its type.
    pub message_type: MessageType,
    /// Its state.
    pub status: QueueStatus,
    /// Not before then.
    pub scheduled_for: Option<DateTime<Utc>>,
    /// Contacts that are due, counted up to the caller's bound.
    pub waiting: u32,
    /// When its earliest claimable contact is due.
    pub next_due_at: Option<DateTime<Utc>>,
}

/// The queues that a lane may claim from: highest priority first, then oldest. Indexes `queues_of_instance` and
/// `contacts_claimable`.
///
/// # Errors
/// The database's.
pub async fn runnable(
    conn: &mut PgConnection,
    tenant: TenantId,
    instance: InstanceId,
    now: DateTime<Utc>,
    bound: i64,
) -> Result<Vec<Runnable>, Error> {
    let rows = sqlx::query!(
        r#"select q.queue_id, q.type as message_type, q.status, q.scheduled_for,
                  (select count(*) from (select from contacts c
                      where c.tenant_id = q.tenant_id and c.queue_id = q.queue_id and c.claimable and c.due_at <= $3
                      limit $4) due) as "waiting!",
                  (select c.due_at from contacts c
                      where c.tenant_id = q.tenant_id and c.queue_id = q.queue_id and c.claimable
                      order by c.due_at limit 1) as next_due_at
           from queues q
           where q.tenant_id = $1 and q.instance_id = $2 and q.status in ('pending', 'running')
           order by q.priority desc, q.created_at"#,
        tenant.0,
        instance.0,
        now,
        bound
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Runnable {
                queue_id: QueueId(row.queue_id),
                message_type: row.message_type.parse().map_err(|error| Error::Decode(Box::new(error)))?,
                status: row.status.parse().map_err(|error| Error::Decode(Box::new(error)))?,
                scheduled_for: row.scheduled_for,
                waiting: u32::try_from(row.waiting).unwrap_or(u32::MAX),
                next_due_at: row.next_due_at,
            })
        })
        .collect()
}

/// Notes that a lane took pending queues up.
///
/// # Errors
/// The database's.
pub async fn start(
    conn: &mut PgConnection,
    tenant: TenantId,
    queues: &[QueueId],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "with ordered as materialized (
             select queue_id from queues
             where tenant_id = $1 and queue_id = any($2) and status = 'pending'
             order by queue_id for no key update
         )
         update queues q set status = 'running', reason = null, started_at = coalesce(q.started_at, $3)
         from ordered o where q.tenant_id = $1 and q.queue_id = o.queue_id",
        tenant.0,
        &queues.iter().map(|queue| queue.0).collect::<Vec<_>>(),
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

/// A queue that was moved on and is to be rung for.
#[derive(Clone, Copy, Debug)]
pub struct Woken {
    /// Whose it is.
    pub tenant_id: TenantId,
    /// Its id.
    pub queue_id: QueueId,
    /// Its type.
    pub message_type: MessageType,
}

/// Lets scheduled queues whose time has come be sent. Index `queues_by_scheduled_for`.
///
/// # Errors
/// The database's.
pub async fn wake_scheduled(conn: &mut PgConnection, now: DateTime<Utc>, limit: i64) -> Result<Vec<Woken>, Error> {
    let rows = sqlx::query!(
        "with due as materialized (
             select tenant_id, queue_id from queues where status = 'scheduled' and scheduled_for <= $1
             order by scheduled_for limit $2 for no key update skip locked
         )
         update queues q set status = 'pending', reason = null from due d
         where q.tenant_id = d.tenant_id and q.queue_id = d.queue_id
         returning q.tenant_id, q.queue_id, q.type as message_type",
        now,
        limit
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(|row| woken(row.tenant_id, row.queue_id, &row.message_type)).collect()
}

/// Lets queues that waited for an hour go on. Index `queues_by_resume_at`.
///
/// # Errors
/// The database's.
pub async fn wake_at_hour(conn: &mut PgConnection, now: DateTime<Utc>, limit: i64) -> Result<Vec<Woken>, Error> {
    let rows = sqlx::query!(
        "with due as materialized (
             select tenant_id, queue_id from queues where status = 'paused_hours' and resume_at <= $1
             order by resume_at limit $2 for no key update skip locked
         )
         update queues q set status = 'pending', reason = null, resume_at = null from due d
         where q.tenant_id = d.tenant_id and q.queue_id = d.queue_id
         returning q.tenant_id, q.queue_id, q.type as message_type",
        now,
        limit
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(|row| woken(row.tenant_id, row.queue_id, &row.message_type)).collect()
}

fn woken(tenant: uuid::Uuid, queue: uuid::Uuid, message_type: &str) -> Result<Woken, Error> {
    Ok(Woken {
        tenant_id: TenantId(tenant),
        queue_id: QueueId(queue),
        message_type: message_type.parse().map_err(|error| Error::Decode(Box::new(error)))?,
    })
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

/// How the counts of one queue change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CountChange {
    /// To be sent.
    pub pending: i32,
    /// Written down as being sent.
    pub sending: i32,
    /// Left.
    pub sent: i32,
    /// Refused, or tries used up.
    pub failed: i32,
    /// Nobody can say.
    pub unconfirmed: i32,
    /// A rule said no.
    pub skipped: i32,
    /// The queue was cancelled.
    pub cancelled: i32,
}

/// Changes counts of locked queues. One that has nothing left to send is completed in the same statement: `failed` when
/// not one contact could be sent.
///
/// # Errors
/// The database's.
pub async fn change_counts(
    conn: &mut PgConnection,
    changes: &[(TenantId, QueueId, CountChange)],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let column = |of: fn(&CountChange) -> i32| changes.iter().map(|change| of(&change.2)).collect::<Vec<_>>();
    sqlx::query!(
        "update queues q
         set pending = q.pending + u.pending, sending = q.sending + u.sending, sent = q.sent + u.sent,
             failed = q.failed + u.failed, unconfirmed = q.unconfirmed + u.unconfirmed,
             skipped = q.skipped + u.skipped, cancelled = q.cancelled + u.cancelled,
             status = case when q.status in ('completed', 'cancelled', 'failed') then q.status
                           when q.pending + u.pending + q.sending + u.sending > 0 then q.status
                           when q.failed + u.failed = q.total then 'failed'
                           else 'completed' end,
             finished_at = case when q.finished_at is null and q.pending + u.pending + q.sending + u.sending = 0
                                then $10 else q.finished_at end
         from unnest($1::uuid[], $2::uuid[], $3::integer[], $4::integer[], $5::integer[], $6::integer[], $7::integer[],
                     $8::integer[], $9::integer[])
              as u (tenant_id, queue_id, pending, sending, sent, failed, unconfirmed, skipped, cancelled)
         where q.tenant_id = u.tenant_id and q.queue_id = u.queue_id",
        &changes.iter().map(|change| change.0.0).collect::<Vec<_>>(),
        &changes.iter().map(|change| change.1.0).collect::<Vec<_>>(),
        &column(|change| change.pending),
        &column(|change| change.sending),
        &column(|change| change.sent),
        &column(|change| change.failed),
        &column(|change| change.unconfirmed),
        &column(|change| change.skipped),
        &column(|change| change.cancelled),
        now
    )
    .execute(conn)
    .await?;
    Ok(())
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
