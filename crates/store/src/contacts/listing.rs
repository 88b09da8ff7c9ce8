//! Contacts as people see them.

use chrono::{DateTime, Utc};
use regua_domain::{ContactId, ContactStatus, QueueId, Reference, TenantId};
use serde_json::Value;
use sqlx::{Error, PgConnection};

/// A contact as people see it.
#[derive(Clone, Debug)]
pub struct Contact {
    /// Its id.
    pub contact_id: ContactId,
    /// Place in the accepted batch.
    pub position: i32,
    /// The caller's id.
    pub external_id: Option<String>,
    /// E.164.
    pub phone: String,
    /// The reference in its message.
    pub reference: String,
    /// Its state.
    pub status: String,
    /// Wording used, from 1.
    pub variation: i16,
    /// Tries so far.
    pub attempts: i16,
    /// Of them, those that were made because nobody could say whether an earlier one left.
    pub resends: i16,
    /// The rule or the gateway's reason behind the last change.
    pub reason: Option<String>,
    /// The message's id at WhatsApp.
    pub message_id: Option<String>,
    /// When it left.
    pub sent_at: Option<DateTime<Utc>>,
    /// When it was delivered.
    pub delivered_at: Option<DateTime<Utc>>,
    /// When it was read.
    pub read_at: Option<DateTime<Utc>>,
    /// The caller's own.
    pub metadata: Value,
    /// When what says who it was went.
    pub erased_at: Option<DateTime<Utc>>,
}

/// How a person names one contact.
#[derive(Clone, Copy, Debug)]
pub enum Name {
    /// By its id.
    Id(ContactId),
    /// By the reference in its message.
    Reference(Reference),
}

/// One contact. Indexes: the primary key, `contacts_by_reference`.
///
/// # Errors
/// The database's.
pub async fn get(conn: &mut PgConnection, tenant: TenantId, name: Name) -> Result<Option<Contact>, Error> {
    let (id, reference) = match name {
        Name::Id(id) => (Some(id.0), None),
        Name::Reference(reference) => (None, Some(reference.to_string())),
    };
    let row = sqlx::query_as!(
        Row,
        "select contact_id, position, external_id, phone, reference, status, variation, attempts, resends, reason,
                message_id, sent_at, delivered_at, read_at, metadata, erased_at
         from contacts
         where tenant_id = $1 and (contact_id = $2 or reference = $3)",
        tenant.0,
        id,
        reference
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(Contact::from))
}

/// A page of a queue's contacts in the order of the batch. Index `contacts_of_queue`.
///
/// # Errors
/// The database's.
pub async fn list(
    conn: &mut PgConnection,
    tenant: TenantId,
    queue: QueueId,
    status: Option<ContactStatus>,
    after: Option<i32>,
    limit: i64,
) -> Result<Vec<Contact>, Error> {
    let rows = sqlx::query_as!(
        Row,
        "select contact_id, position, external_id, phone, reference, status, variation, attempts, resends, reason,
                message_id, sent_at, delivered_at, read_at, metadata, erased_at
         from contacts
         where tenant_id = $1 and queue_id = $2 and ($3::text is null or status = $3) and position > $4
         order by position limit $5",
        tenant.0,
        queue.0,
        status.map(ContactStatus::as_str),
        after.unwrap_or(-1),
        limit
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(Contact::from).collect())
}

struct Row {
    contact_id: uuid::Uuid,
    position: i32,
    external_id: Option<String>,
    phone: String,
    reference: String,
    status: String,
    variation: i16,
    attempts: i16,
    resends: i16,
    reason: Option<String>,
    message_id: Option<String>,
    sent_at: Option<DateTime<Utc>>,
    delivered_at: Option<DateTime<Utc>>,
    read_at: Option<DateTime<Utc>>,
    metadata: Value,
    erased_at: Option<DateTime<Utc>>,
}

impl From<Row> for Contact {
    fn from(row: Row) -> Self {
        Self {
            contact_id: ContactId(row.contact_id),
            position: row.position,
            external_id: row.external_id,
            phone: row.phone,
            reference: row.reference,
            status: row.status,
            variation: row.variation,
            attempts: row.attempts,
            resends: row.resends,
            reason: row.reason,
            message_id: row.message_id,
            sent_at: row.sent_at,
            delivered_at: row.delivered_at,
            read_at: row.read_at,
            metadata: row.metadata,
            erased_at: row.erased_at,
        }
    }
}
