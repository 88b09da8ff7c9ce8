//! Stores an accepted batch.

use chrono::{DateTime, Utc};
use regua_domain::{
    ApiKeyId, CampaignId, InstanceId, MessageType, QueueId, QueueStatus, TemplateId, TenantId, time_ordered_uuid,
};
use serde_json::Value;
use sqlx::{Error, PgConnection};

use crate::contacts::{NewContacts, insert_contacts};
use crate::doorbells::NewDoorbell;

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
    /// For people.
    pub name: &'a str,
    /// Decides priority and rules.
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
    /// The accepted contacts, at least one.
    pub contacts: &'a NewContacts,
    /// From when on they may be sent.
    pub due_at: DateTime<Utc>,
    /// The doorbell of the queue; none when it is not due yet.
    pub doorbell: Option<NewDoorbell>,
}

/// Stores a campaign, its queue, its doorbell and its first contacts; false, and nothing is stored, when the tenant has
/// a campaign of this `external_id`. `contacts::insertions` inserts the other contacts of a larger batch.
///
/// One statement, because each statement of a small post is a round trip, and a round trip takes longer than the work. A
/// concurrent call with the same `external_id` blocks here until the first one has committed or rolled back.
pub async fn create(conn: &mut PgConnection, new: &NewCampaign<'_>, now: DateTime<Utc>) -> Result<bool, Error> {
    let total = i32::try_from(new.contacts.ids.len()).unwrap_or(i32::MAX);
    let is_later = new.scheduled_for.is_some_and(|at| at > now);
    let status = if is_later { QueueStatus::Scheduled } else { QueueStatus::Pending };
    let doorbell = new.doorbell.as_ref();
    let inserted = insert_contacts!(
        "with campaign as (
             insert into campaigns (tenant_id, campaign_id, external_id, name, type, template_id, instance_id,
                                    api_key_id, body_hash, rejected, warnings, metadata, scheduled_for, created_at)
             values ($13, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $16)
             on conflict (tenant_id, external_id) do nothing
             returning campaign_id
         ), queue as (
             insert into queues (tenant_id, queue_id, campaign_id, instance_id, type, priority, status, scheduled_for,
                                 created_at, total, pending)
             select $13, $14, campaign_id, $22, $20, $29, $30, $28, $16, $31, $31 from campaign
         ), doorbell as (
             insert into doorbells (tenant_id, doorbell_id, routing_key, priority, body)
             select $13, $32, $33, $34, $35 from campaign where $33::text is not null
         )
         ",
        ", campaign",
        new.contacts,
        new.contacts.first(),
        new.tenant_id as TenantId,
        new.queue_id as QueueId,
        new.due_at,
        now,
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
        i16::from(new.message_type.priority()),
        status as QueueStatus,
        total,
        time_ordered_uuid(now),
        doorbell.map(|doorbell| doorbell.routing_key),
        doorbell.map(|doorbell| i16::from(doorbell.priority)),
        doorbell.map(|doorbell| &doorbell.body) as Option<&Value>
    );
    Ok(inserted.execute(conn).await?.rows_affected() > 0)
}
