//! Table `campaigns`: the accepted batches. Its unique key refuses the replay of a batch.

pub mod attempts;
pub mod contacts;
pub mod evidence;
pub mod queues;
pub mod templates;
mod traces;
pub mod type_defaults;

use chrono::{DateTime, Utc};
use regua_domain::{ApiKeyId, CampaignId, InstanceId, MessageType, QueueId, QueueStatus, TemplateId, TenantId};
use serde_json::Value;
use sqlx::{Error, PgConnection};

pub use traces::{find_remarks, remove_traces};

/// A batch to be stored with its queue.
#[derive(Debug)]
pub struct NewCampaign<'a> {
    /// The owner.
    pub tenant_id: TenantId,
    /// The campaign's id.
    pub campaign_id: CampaignId,
    /// Its queue's id.
    pub queue_id: QueueId,
    /// The caller's id of the batch: unique per tenant.
    pub external_id: &'a str,
    /// The batch's name, which people see.
    pub name: &'a str,
    /// The message type, which decides priority and business hours.
    pub message_type: MessageType,
    /// The template of its texts.
    pub template_id: TemplateId,
    /// The instance that sends it.
    pub instance_id: InstanceId,
    /// The API key that posted it.
    pub api_key_id: ApiKeyId,
    /// The fingerprint.
    pub body_hash: &'a [u8],
    /// The answer's list of rejected contacts.
    pub rejected: &'a Value,
    /// The answer's list of warnings.
    pub warnings: &'a Value,
    /// The caller's data, returned unread.
    pub metadata: &'a Value,
    /// The earliest time of the first send.
    pub scheduled_for: Option<DateTime<Utc>>,
    /// Number of accepted contacts.
    pub total: i32,
}

/// An accepted batch, with the columns that the answer to a replay needs.
#[derive(Clone, Debug)]
pub struct AcceptedBatch {
    /// The campaign's id.
    pub campaign_id: CampaignId,
    /// Its queue's id.
    pub queue_id: QueueId,
    /// The type of all its messages.
    pub message_type: MessageType,
    /// The fingerprint.
    pub body_hash: Vec<u8>,
    /// The queue's present state.
    pub queue_status: QueueStatus,
    /// Number of accepted contacts.
    pub total: i32,
    /// The first answer's list of rejected contacts.
    pub rejected: Value,
    /// The first answer's list of warnings.
    pub warnings: Value,
}

/// The accepted batch of this `external_id`. Index: the unique key `(tenant_id, external_id)`.
pub async fn find_accepted(
    conn: &mut PgConnection,
    tenant: TenantId,
    external_id: &str,
) -> Result<Option<AcceptedBatch>, Error> {
    sqlx::query_as!(
        AcceptedBatch,
        r#"select c.campaign_id as "campaign_id: CampaignId", q.queue_id as "queue_id: QueueId",
                  c.type as "message_type: MessageType", c.body_hash, q.status as "queue_status: QueueStatus", q.total,
                  c.rejected, c.warnings
           from campaigns c join queues q using (tenant_id, campaign_id)
           where c.tenant_id = $1 and c.external_id = $2"#,
        tenant as TenantId,
        external_id
    )
    .fetch_optional(conn)
    .await
}

/// Stores a campaign and its queue. Stores nothing and returns false when the tenant has a campaign of this
/// `external_id`.
///
/// A concurrent call with the same `external_id` blocks here until the first one has committed or rolled back.
pub async fn create(conn: &mut PgConnection, new: &NewCampaign<'_>, now: DateTime<Utc>) -> Result<bool, Error> {
    let inserted = sqlx::query!(
        "insert into campaigns (tenant_id, campaign_id, external_id, name, type, template_id, instance_id, api_key_id,
                                body_hash, rejected, warnings, metadata, scheduled_for, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
         on conflict (tenant_id, external_id) do nothing",
        new.tenant_id as TenantId,
        new.campaign_id as CampaignId,
        new.external_id,
        new.name,
        new.message_type as MessageType,
        new.template_id as TemplateId,
        new.instance_id as InstanceId,
        new.api_key_id as ApiKeyId,
        new.body_hash,
        new.rejected,
        new.warnings,
        new.metadata,
        new.scheduled_for,
        now
    )
    .execute(&mut *conn)
    .await?
    .rows_affected();
    if inserted == 0 {
        return Ok(false);
    }
    let is_later = new.scheduled_for.is_some_and(|at| at > now);
    let status = if is_later { QueueStatus::Scheduled } else { QueueStatus::Pending };
    sqlx::query!(
        "insert into queues (tenant_id, queue_id, campaign_id, instance_id, type, priority, status, scheduled_for,
                             created_at, total, pending)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10)",
        new.tenant_id as TenantId,
        new.queue_id as QueueId,
        new.campaign_id as CampaignId,
        new.instance_id as InstanceId,
        new.message_type as MessageType,
        i16::from(new.message_type.priority()),
        status as QueueStatus,
        new.scheduled_for,
        now,
        new.total
    )
    .execute(conn)
    .await?;
    Ok(true)
}
