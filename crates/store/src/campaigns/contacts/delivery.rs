//! WhatsApp's statuses of a message that left.

use chrono::{DateTime, Utc};
use regua_domain::{ContactId, InstanceId, QueueId, TenantId};
use sqlx::{Error, PgConnection};

use crate::queues;

/// A status of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryStatus {
    /// The message is on the recipient's phone.
    Delivered,
    /// The recipient has seen it.
    Read,
    /// WhatsApp refused the message after it had left.
    Refused,
}

/// Records a status of the message with this id. Returns false when no `sent` contact has the message (yet). The
/// message must have left through this instance, because a gateway is not trusted about messages of other instances.
/// Statuses only move forward, and may be repeated. Index `attempts_by_message_id`.
pub async fn record_delivery(
    conn: &mut PgConnection,
    tenant: TenantId,
    instance: InstanceId,
    message_id: &str,
    delivery: DeliveryStatus,
    at: DateTime<Utc>,
) -> Result<bool, Error> {
    let contact = sqlx::query!(
        r#"select c.contact_id as "contact_id: ContactId", c.queue_id as "queue_id: QueueId"
           from attempts a join contacts c using (tenant_id, contact_id)
           where a.tenant_id = $1 and a.message_id = $2 and a.instance_id = $3 limit 1"#,
        tenant as TenantId,
        message_id,
        instance as InstanceId
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(contact) = contact else { return Ok(false) };
    queues::lock(conn, &[(tenant, contact.queue_id)]).await?;
    let is_recorded = sqlx::query_scalar!(
        r#"with former as materialized (
             select delivered_at, read_at, reason from contacts
             where tenant_id = $1 and contact_id = $2 and status = 'sent' for no key update
         ), moved as (
             update contacts c
             set delivered_at = case when $4 then coalesce(c.delivered_at, $6) else c.delivered_at end,
                 read_at = case when $5 then coalesce(c.read_at, $6) else c.read_at end,
                 reason = case when $4 then null when c.delivered_at is null then 'whatsapp_refused' else c.reason end,
                 updated_at = $6
             from former f where c.tenant_id = $1 and c.contact_id = $2
         ), counted as (
             update queues q
             set delivered = q.delivered + case when $4 and f.delivered_at is null then 1 else 0 end,
                 read = q.read + case when $5 and f.read_at is null then 1 else 0 end
             from former f where q.tenant_id = $1 and q.queue_id = $3
         ), written as (
             insert into events (tenant_id, kind, at, queue_id, contact_id)
             select $1, e.kind, $6, $3, $2
             from former f cross join lateral (
                 values ('contact.delivered', $4 and f.delivered_at is null),
                        ('contact.read', $5 and f.read_at is null),
                        ('contact.undelivered',
                         not $4 and f.delivered_at is null and f.reason is distinct from 'whatsapp_refused')
             ) e (kind, is_new)
             where e.is_new
         )
         select exists (select from former) as "is_recorded!""#,
        tenant as TenantId,
        contact.contact_id as ContactId,
        contact.queue_id as QueueId,
        matches!(delivery, DeliveryStatus::Delivered | DeliveryStatus::Read),
        delivery == DeliveryStatus::Read,
        at
    )
    .fetch_one(conn)
    .await?;
    Ok(is_recorded)
}
