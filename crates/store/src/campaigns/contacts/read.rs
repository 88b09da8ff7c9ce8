//! Reads contacts for the API.

use chrono::{DateTime, Utc};
use regua_domain::{ContactId, ContactStatus, QueueId, Reference, TenantId};
use serde_json::Value;
use sqlx::{Error, PgConnection};

/// A contact.
#[derive(Clone, Debug)]
pub struct Contact {
    /// The contact's id.
    pub contact_id: ContactId,
    /// Place in the accepted batch.
    pub position: i32,
    /// The caller's id.
    pub external_id: Option<String>,
    /// E.164.
    pub phone: String,
    /// The reference in its message.
    pub reference: String,
    /// The contact's state.
    pub status: ContactStatus,
    /// Number of the variation, from 1.
    pub variation: i16,
    /// Number of attempts.
    pub attempts: i16,
    /// Of them, resends of an unconfirmed contact.
    pub resends: i16,
    /// The reason of the last change: a rule or the gateway client's reason, as text, because this crate does not know
    /// the gateway.
    pub reason: Option<String>,
    /// The message's id at WhatsApp.
    pub message_id: Option<String>,
    /// When the message left.
    pub sent_at: Option<DateTime<Utc>>,
    /// When the message was delivered.
    pub delivered_at: Option<DateTime<Utc>>,
    /// When the message was read.
    pub read_at: Option<DateTime<Utc>>,
    /// The caller's data.
    pub metadata: Value,
    /// When its personal data was erased.
    pub erased_at: Option<DateTime<Utc>>,
}

/// How a caller names one contact.
#[derive(Clone, Copy, Debug)]
pub enum Name {
    /// By id.
    Id(ContactId),
    /// By the reference in the message.
    Reference(Reference),
}

/// One contact. Indexes: the primary key, `contacts_by_reference`.
pub async fn get(conn: &mut PgConnection, tenant: TenantId, name: Name) -> Result<Option<Contact>, Error> {
    let (id, reference) = match name {
        Name::Id(id) => (Some(id), None),
        Name::Reference(reference) => (None, Some(reference.to_string())),
    };
    sqlx::query_as!(
        Contact,
        r#"select contact_id as "contact_id: ContactId", position, external_id, phone, reference,
                  status as "status: ContactStatus", variation, attempts, resends, reason, message_id, sent_at,
                  delivered_at, read_at, metadata, erased_at
           from contacts
           where tenant_id = $1 and (contact_id = $2 or reference = $3)"#,
        tenant as TenantId,
        id as Option<ContactId>,
        reference
    )
    .fetch_optional(conn)
    .await
}

/// A page of a queue's contacts in the order of the batch. Index `contacts_of_queue`.
pub async fn list(
    conn: &mut PgConnection,
    tenant: TenantId,
    queue: QueueId,
    status: Option<ContactStatus>,
    after: Option<i32>,
    limit: i64,
) -> Result<Vec<Contact>, Error> {
    sqlx::query_as!(
        Contact,
        r#"select contact_id as "contact_id: ContactId", position, external_id, phone, reference,
                  status as "status: ContactStatus", variation, attempts, resends, reason, message_id, sent_at,
                  delivered_at, read_at, metadata, erased_at
           from contacts
           where tenant_id = $1 and queue_id = $2 and ($3::text is null or status = $3) and position > $4
           order by position limit $5"#,
        tenant as TenantId,
        queue as QueueId,
        status as Option<ContactStatus>,
        after.unwrap_or(-1),
        limit
    )
    .fetch_all(conn)
    .await
}
