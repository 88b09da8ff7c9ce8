//! Queues as people see them.

use chrono::{DateTime, Utc};
use regua_domain::{CampaignId, MessageType, QueueId, QueueStatus, TenantId};
use sqlx::{Error, PgConnection};
use uuid::Uuid;

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
    // Bounds, and not "… or null": one plan serves all calls, and it must begin at the right place of the index.
    let (from, to) = match (page.only, page.after) {
        (Some(only), _) => (only.0, only.0),
        (None, Some(after)) => (Uuid::nil(), Uuid::from_u128(after.0.as_u128().saturating_sub(1))),
        (None, None) => (Uuid::nil(), Uuid::max()),
    };
    let rows = sqlx::query!(
        r#"select q.*, c.external_id, c.name, l.leased_by, l.last_heartbeat as heartbeat,
                  coalesce(i.messages_per_minute, t.messages_per_minute) as "rate_per_minute!"
           from queues q
           join campaigns c using (tenant_id, campaign_id)
           join lanes l on l.tenant_id = q.tenant_id and l.instance_id = q.instance_id
           join instances i on i.tenant_id = q.tenant_id and i.instance_id = q.instance_id
           join tenant_configs t on t.tenant_id = q.tenant_id
           where q.tenant_id = $1 and q.queue_id between $2 and $3
             and ($4::text is null or q.type = $4) and ($5::text is null or q.status = $5)
           order by q.queue_id desc limit $6"#,
        tenant.0,
        from,
        to,
        page.message_type.map(MessageType::as_str),
        page.status.map(QueueStatus::as_str),
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
