//! Reads contacts for the API.

use std::str::FromStr;

use chrono::{DateTime, Utc};
use regua_domain::{ContactId, ContactStatus, QueueId, Reference, ReferenceError, TenantId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{Error, PgConnection};

use crate::PageRows;
use crate::database::PageReader;

// A contact. Its reason is text, because this crate does not know the gateway.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = ContactStatus))]
#[expect(missing_docs, reason = "the fields are the table's columns")]
pub struct Contact {
    /// For `GET /contact/{contact}`.
    #[cfg_attr(feature = "openapi", schema(value_type = uuid::Uuid))]
    pub contact_id: ContactId,
    /// Place in the accepted batch.
    #[serde(skip)]
    pub position: i32,
    /// The ERP's id.
    pub external_id: Option<String>,
    /// In E.164; empty after erasure.
    pub phone: String,
    #[cfg_attr(feature = "openapi", schema(inline))]
    pub status: ContactStatus,
    /// The short code in the message. The API accepts it in place of `contact_id`.
    pub reference: String,
    /// Number of the template's variation, from 1.
    pub variation: i16,
    /// Number of attempts so far.
    pub attempts: i16,
    /// Number of attempts that followed an attempt with unknown outcome.
    pub resends: i16,
    /// The rule or the gateway's reason for the last change.
    pub reason: Option<String>,
    /// The message's id at WhatsApp.
    pub message_id: Option<String>,
    pub sent_at: Option<DateTime<Utc>>,
    pub delivered_at: Option<DateTime<Utc>>,
    pub read_at: Option<DateTime<Utc>>,
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub metadata: Value,
    /// When the debtor's data was erased; null while it is not.
    pub erased_at: Option<DateTime<Utc>>,
}

/// How a caller names one contact.
#[derive(Clone, Copy, Debug)]
pub enum ContactKey {
    /// By id.
    Id(ContactId),
    /// By the reference in the message.
    Reference(Reference),
}

impl FromStr for ContactKey {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        text.parse().map(Self::Id).or_else(|_| Reference::parse(text).map(Self::Reference))
    }
}

/// One contact. Indexes: the primary key, `contacts_by_reference`.
pub async fn get(conn: &mut PgConnection, tenant: TenantId, key: ContactKey) -> Result<Option<Contact>, Error> {
    let (id, reference) = match key {
        ContactKey::Id(id) => (Some(id), None),
        ContactKey::Reference(reference) => (None, Some(reference.to_string())),
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
) -> Result<PageRows<Contact>, Error> {
    let mut page = PageReader::up_to(limit);
    while let Some(count) = page.next_part() {
        let after = page.last().map(|contact: &Contact| contact.position).or(after).unwrap_or(-1);
        let rows = sqlx::query_as!(
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
            after,
            count
        );
        page.add(rows.fetch(&mut *conn)).await?;
    }
    Ok(page.finish())
}
