//! Reads queues for the API.

use chrono::{DateTime, Utc};
use regua_domain::{CampaignId, MessageType, QueueId, QueueStatus, TenantId};
use serde::{Deserialize, Serialize};
use sqlx::{Error, PgConnection};
use uuid::Uuid;

use crate::PageRows;
use crate::database::PageReader;

// A queue with columns of its campaign, its lane and its instance.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = QueueStatus))]
#[expect(missing_docs, reason = "the fields are the table's columns")]
pub struct Queue {
    #[cfg_attr(feature = "openapi", schema(value_type = Uuid))]
    pub queue_id: QueueId,
    #[cfg_attr(feature = "openapi", schema(value_type = Uuid))]
    pub campaign_id: CampaignId,
    /// The caller's id of the batch.
    pub external_id: String,
    pub name: String,
    #[serde(rename = "type")]
    #[cfg_attr(feature = "openapi", schema(inline))]
    pub message_type: MessageType,
    #[cfg_attr(feature = "openapi", schema(inline))]
    pub status: QueueStatus,
    /// Accepted contacts: the sum of pending, sending, sent, failed, unconfirmed, skipped and cancelled.
    pub total: i32,
    pub pending: i32,
    pub sending: i32,
    /// Left, delivered and read ones included.
    pub sent: i32,
    /// Of the sent contacts, those that were delivered.
    pub delivered: i32,
    /// Of the sent contacts, those that were read.
    pub read: i32,
    /// Refused by the gateway, or no attempts left.
    pub failed: i32,
    /// The last attempt has an unknown outcome: the message may have left.
    pub unconfirmed: i32,
    /// Not sent because of a rule.
    pub skipped: i32,
    /// Not sent because the queue was cancelled.
    pub cancelled: i32,
    /// The share of contacts that are neither pending nor sending, 0 to 1, rounded down to four decimals.
    // The API computes it from the row; the row has 0.
    pub progress: f64,
    /// The instance's rate, shared by all queues of the instance.
    pub rate_per_minute: i32,
    /// When the last message leaves at that rate if the instance serves this queue alone, counted from now or from the
    /// time at which the queue resumes. Null when the queue is final, paused, waits for its instance, or has nothing
    /// pending.
    // The API computes it from the row and the time; the row has null.
    pub eta: Option<DateTime<Utc>>,
    /// The reason of the state; null when there is none.
    pub reason: Option<String>,
    /// When the queue resumes without an operator.
    pub resume_at: Option<DateTime<Utc>>,
    /// The earliest time of the first send.
    #[serde(skip)]
    pub scheduled_for: Option<DateTime<Utc>>,
    /// The worker that holds the lease on the instance's lane.
    pub processing_by: Option<String>,
    /// The last heartbeat of that worker.
    pub last_heartbeat: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub started_at: Option<DateTime<Utc>>,
    pub finished_at: Option<DateTime<Utc>>,
}

/// The filter and the page of a listing. Newest first.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Only this queue.
    pub only: Option<QueueId>,
    /// Only of this type.
    pub message_type: Option<MessageType>,
    /// Only in this state.
    pub status: Option<QueueStatus>,
    /// Only queues older than this one.
    pub after: Option<QueueId>,
    /// Most queues of the page.
    pub limit: i64,
}

/// One queue; none when the tenant has no such queue.
pub async fn get(conn: &mut PgConnection, tenant: TenantId, queue: QueueId) -> Result<Option<Queue>, Error> {
    let page = Page { only: Some(queue), limit: 1, ..Page::default() };
    Ok(list(conn, tenant, &page).await?.rows.into_iter().next())
}

/// A page of a tenant's queues. Ids are time-ordered, so the primary key is the index.
pub async fn list(conn: &mut PgConnection, tenant: TenantId, page: &Page) -> Result<PageRows<Queue>, Error> {
    let mut queues = PageReader::up_to(page.limit);
    while let Some(count) = queues.next_part() {
        // Bounds instead of "… or null": one cached plan serves all calls, and it must start at the right place of the
        // index.
        let (from, to) = match (page.only, queues.last().map(|queue: &Queue| queue.queue_id).or(page.after)) {
            (Some(only), _) => (only, only),
            (None, Some(QueueId(after))) => (QueueId(Uuid::nil()), before(after)),
            (None, None) => (QueueId(Uuid::nil()), QueueId(Uuid::max())),
        };
        let rows = sqlx::query_as!(
            Queue,
            r#"select q.queue_id as "queue_id: QueueId", q.campaign_id as "campaign_id: CampaignId",
                  q.type as "message_type: MessageType", q.status as "status: QueueStatus", q.reason, q.scheduled_for,
                  q.resume_at, q.created_at, q.started_at, q.finished_at, q.total, q.pending, q.sending, q.sent,
                  q.delivered, q.read, q.failed, q.unconfirmed, q.skipped, q.cancelled, c.external_id, c.name,
                  0::float8 as "progress!", null::timestamptz as eta, l.leased_by as processing_by, l.last_heartbeat,
                  coalesce(i.messages_per_minute, t.messages_per_minute) as "rate_per_minute!"
           from queues q
           join campaigns c using (tenant_id, campaign_id)
           join lanes l on l.tenant_id = q.tenant_id and l.instance_id = q.instance_id
           join instances i on i.tenant_id = q.tenant_id and i.instance_id = q.instance_id
           join tenant_configs t on t.tenant_id = q.tenant_id
           where q.tenant_id = $1 and q.queue_id between $2 and $3
             and ($4::text is null or q.type = $4) and ($5::text is null or q.status = $5)
           order by q.queue_id desc limit $6"#,
            tenant as TenantId,
            from as QueueId,
            to as QueueId,
            page.message_type as Option<MessageType>,
            page.status as Option<QueueStatus>,
            count
        );
        queues.add(rows.fetch(&mut *conn)).await?;
    }
    let mut queues = queues.finish();
    // The lane serves all queues of the instance.
    for queue in &mut queues.rows {
        queue.processing_by = queue.processing_by.take().filter(|_| queue.status == QueueStatus::Running);
        queue.last_heartbeat = queue.last_heartbeat.filter(|_| queue.started_at.is_some());
    }
    Ok(queues)
}

const fn before(id: Uuid) -> QueueId {
    QueueId(Uuid::from_u128(id.as_u128().saturating_sub(1)))
}
