//! Table `campaigns`: the accepted batches, and the guard against taking one twice.

mod traces;

use chrono::{DateTime, Utc};
use regua_domain::{ApiKeyId, CampaignId, InstanceId, MessageType, QueueId, TemplateId, TenantId};
use serde_json::Value;
use sqlx::{Error, PgConnection};

pub use traces::{remarks_on, take_out};

/// A batch to be stored with its queue.
#[derive(Debug)]
pub struct NewCampaign<'a> {
    /// Whose it is.
    pub tenant_id: TenantId,
    /// The campaign's id.
    pub campaign_id: CampaignId,
    /// Its queue's id.
    pub queue_id: QueueId,
    /// The caller's id: unique per tenant.
    pub external_id: &'a str,
    /// For people.
    pub name: &'a str,
    /// Decides priority and rules.
    pub message_type: MessageType,
    /// What it was rendered from.
    pub template_id: TemplateId,
    /// The number it leaves through.
    pub instance_id: InstanceId,
    /// Who posted it.
    pub api_key_id: ApiKeyId,
    /// SHA-256 of the batch as understood.
    pub body_hash: &'a [u8],
    /// The answer's list of refused contacts.
    pub rejected: &'a Value,
    /// The answer's list of remarks.
    pub warnings: &'a Value,
    /// The caller's own, given back unread.
    pub metadata: &'a Value,
    /// Not before then.
    pub scheduled_for: Option<DateTime<Utc>>,
    /// Accepted contacts.
    pub total: i32,
}

/// A batch that was taken before, as far as a replay needs it.
#[derive(Clone, Debug)]
pub struct Taken {
    /// The campaign's id.
    pub campaign_id: CampaignId,
    /// Its queue's id.
    pub queue_id: QueueId,
    /// The type it was posted to.
    pub message_type: MessageType,
    /// SHA-256 of the batch as understood.
    pub body_hash: Vec<u8>,
    /// The queue's state now.
    pub queue_status: String,
    /// Accepted contacts.
    pub total: i32,
    /// As answered the first time.
    pub rejected: Value,
    /// As answered the first time.
    pub warnings: Value,
}

/// The batch that a tenant's `external_id` names, if it was taken. The unique key `(tenant_id, external_id)`.
///
/// # Errors
/// The database's.
pub async fn taken(conn: &mut PgConnection, tenant: TenantId, external_id: &str) -> Result<Option<Taken>, Error> {
    let row = sqlx::query!(
        r#"select c.campaign_id, q.queue_id, c.type as message_type, c.body_hash, q.status, q.total, c.rejected,
                  c.warnings
           from campaigns c join queues q using (tenant_id, campaign_id)
           where c.tenant_id = $1 and c.external_id = $2"#,
        tenant.0,
        external_id
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| {
        Ok(Taken {
            campaign_id: CampaignId(row.campaign_id),
            queue_id: QueueId(row.queue_id),
            message_type: row.message_type.parse().map_err(|error| Error::Decode(Box::new(error)))?,
            body_hash: row.body_hash,
            queue_status: row.status,
            total: row.total,
            rejected: row.rejected,
            warnings: row.warnings,
        })
    })
    .transpose()
}

/// Stores a campaign and its queue; false when the tenant's `external_id` was taken before (then nothing is stored).
///
/// A second call with the same `external_id` waits here until the first has committed or rolled back.
///
/// # Errors
/// The database's.
pub async fn create(conn: &mut PgConnection, new: &NewCampaign<'_>, now: DateTime<Utc>) -> Result<bool, Error> {
    let inserted = sqlx::query!(
        "insert into campaigns (tenant_id, campaign_id, external_id, name, type, template_id, instance_id, api_key_id,
                                body_hash, rejected, warnings, metadata, scheduled_for, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
         on conflict (tenant_id, external_id) do nothing",
        new.tenant_id.0,
        new.campaign_id.0,
        new.external_id,
        new.name,
        new.message_type.as_str(),
        new.template_id.0,
        new.instance_id.0,
        new.api_key_id.0,
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
    sqlx::query!(
        "insert into queues (tenant_id, queue_id, campaign_id, instance_id, type, priority, status, scheduled_for,
                             created_at, total, pending)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10)",
        new.tenant_id.0,
        new.queue_id.0,
        new.campaign_id.0,
        new.instance_id.0,
        new.message_type.as_str(),
        i16::from(new.message_type.priority()),
        if new.scheduled_for.is_some_and(|at| at > now) { "scheduled" } else { "pending" },
        new.scheduled_for,
        now,
        new.total
    )
    .execute(conn)
    .await?;
    Ok(true)
}
