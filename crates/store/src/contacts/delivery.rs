//! What WhatsApp says of a message that left: it was delivered, read, or refused.

use chrono::{DateTime, Utc};
use regua_domain::{InstanceId, QueueId, TenantId};
use sqlx::{Error, PgConnection};

use crate::queues;

/// What a status says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It is on the recipient's phone.
    Delivered,
    /// The recipient has seen it.
    Read,
    /// WhatsApp refused it after it had left.
    Refused,
}

/// Notes a status of the message with this id that left through this number; false where nothing of that id is written down as
/// sent (yet). Of other numbers' messages a gateway says nothing that is believed. Statuses only move forward, and may come
/// twice. Index `attempts_by_message_id`.
///
/// # Errors
/// The database's.
pub async fn note_delivery(
    conn: &mut PgConnection,
    tenant: TenantId,
    instance: InstanceId,
    message_id: &str,
    delivery: Delivery,
    at: DateTime<Utc>,
) -> Result<bool, Error> {
    let place = sqlx::query!(
        "select c.contact_id, c.queue_id from attempts a join contacts c using (tenant_id, contact_id)
         where a.tenant_id = $1 and a.message_id = $2 and a.instance_id = $3 limit 1",
        tenant.0,
        message_id,
        instance.0
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(place) = place else { return Ok(false) };
    queues::lock(conn, &[(tenant, QueueId(place.queue_id))]).await?;
    let noted = sqlx::query!(
        "with before as materialized (
             select delivered_at, read_at from contacts
             where tenant_id = $1 and contact_id = $2 and status = 'sent' for no key update
         ), moved as (
             update contacts c
             set delivered_at = case when $4 then coalesce(c.delivered_at, $6) else c.delivered_at end,
                 read_at = case when $5 then coalesce(c.read_at, $6) else c.read_at end,
                 reason = case when $4 then null when c.delivered_at is null then 'whatsapp_refused' else c.reason end,
                 updated_at = $6
             from before b where c.tenant_id = $1 and c.contact_id = $2
         )
         update queues q
         set delivered = q.delivered + case when $4 and b.delivered_at is null then 1 else 0 end,
             read = q.read + case when $5 and b.read_at is null then 1 else 0 end
         from before b where q.tenant_id = $1 and q.queue_id = $3",
        tenant.0,
        place.contact_id,
        place.queue_id,
        matches!(delivery, Delivery::Delivered | Delivery::Read),
        delivery == Delivery::Read,
        at
    )
    .execute(conn)
    .await?;
    Ok(noted.rows_affected() > 0)
}
