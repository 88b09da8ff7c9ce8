//! Decisions about an unconfirmed contact that no evidence resolves: resend or give up.

use chrono::{DateTime, Utc};
use regua_domain::{AttemptId, ContactId, ContactStatus, EvidenceSource, QueueId, QueueStatus, Resolution, TenantId};
use sqlx::{Error, PgConnection};

use super::learn::lock_queue_of;
use super::{Evidence, learn};
use crate::attempts::{self, AttemptKey};
use crate::evidence::{self, NewEvidence};
use crate::queues::{self, ContactMove};

/// An unconfirmed contact whose queue and row are locked.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are the tables' columns")]
pub struct Unconfirmed {
    /// The contact and its unknown attempt.
    pub key: AttemptKey,
    pub queue_id: QueueId,
    pub queue_status: QueueStatus,
    /// The gateway client's reason, or `worker_lost`.
    pub reason: Option<String>,
    pub resends: i16,
    /// The contact's erasure was requested or is done, so the contact cannot be resent.
    pub is_to_be_erased: bool,
}

/// Result of [`lock_unconfirmed`].
#[derive(Clone, Debug)]
pub enum Locked {
    /// No such contact.
    Missing,
    /// The contact is in this other state, and needs no decision.
    OtherState(ContactStatus),
    /// The contact waits for a decision.
    Unconfirmed(Unconfirmed),
}

/// Locks a contact for a decision, after its queue.
///
/// Evidence that arrived while the attempt was under way is stored for the first look. A decision must not contradict
/// it, so this function learns such evidence, and the contact becomes `sent`.
pub async fn lock_unconfirmed(
    conn: &mut PgConnection,
    tenant: TenantId,
    contact: ContactId,
    now: DateTime<Utc>,
) -> Result<Locked, Error> {
    let Some(queue) = lock_queue_of(conn, tenant, contact).await? else { return Ok(Locked::Missing) };
    let row = sqlx::query!(
        r#"select c.resends, a.attempt_id as "attempt_id: AttemptId", a.reason, c.erasure_asked_at is not null as "is_to_be_erased!"
           from contacts c join attempts a on a.tenant_id = c.tenant_id and a.contact_id = c.contact_id
                                          and a.number = c.attempts
           where c.tenant_id = $1 and c.contact_id = $2 and c.status = 'unconfirmed'
           for no key update of c, a"#,
        tenant as TenantId,
        contact as ContactId
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(row) = row else {
        return Ok(Locked::OtherState(status(conn, tenant, contact).await?));
    };
    let key = AttemptKey { tenant, contact, attempt: row.attempt_id };
    if let Some(proof) = evidence::find_proof(conn, key).await? {
        let evidence = Evidence::Left { message_id: proof.message_id, at: proof.created_at };
        learn(conn, key, proof.source, &evidence, None, now).await?;
        return Ok(Locked::OtherState(ContactStatus::Sent));
    }
    Ok(Locked::Unconfirmed(Unconfirmed {
        key,
        queue_id: queue.queue_id,
        queue_status: queue.status,
        reason: row.reason,
        resends: row.resends,
        is_to_be_erased: row.is_to_be_erased,
    }))
}

/// Makes a locked unconfirmed contact `pending` again, and its queue too if the queue was completed. The caller rings
/// for the queue.
pub async fn resend(conn: &mut PgConnection, contact: &Unconfirmed, now: DateTime<Utc>) -> Result<(), Error> {
    attempts::stop_looking(conn, contact.key, Resolution::Resent).await?;
    set_status(conn, contact, ContactStatus::Pending, "unconfirmed_resent", now).await
}

/// Makes a locked unconfirmed contact `failed`, by an operator's decision. The contact is never sent again, but later
/// evidence that the message left makes it `sent`.
pub async fn give_up(
    conn: &mut PgConnection,
    contact: &Unconfirmed,
    said_by: &str,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let decision = NewEvidence {
        key: contact.key,
        source: EvidenceSource::Operator,
        has_left: false,
        reason: Some("given_up"),
        message_id: None,
        said_by: Some(said_by),
    };
    evidence::add(conn, &decision, now).await?;
    attempts::stop_looking(conn, contact.key, Resolution::Operator).await?;
    set_status(conn, contact, ContactStatus::Failed, "given_up", now).await
}

async fn status(conn: &mut PgConnection, tenant: TenantId, contact: ContactId) -> Result<ContactStatus, Error> {
    sqlx::query_scalar!(
        r#"select status as "status: ContactStatus" from contacts where tenant_id = $1 and contact_id = $2"#,
        tenant as TenantId,
        contact as ContactId
    )
    .fetch_one(conn)
    .await
}

/// A contact that becomes `pending` is resent.
async fn set_status(
    conn: &mut PgConnection,
    contact: &Unconfirmed,
    status: ContactStatus,
    reason: &str,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let is_resent = status == ContactStatus::Pending;
    sqlx::query!(
        "update contacts
         set status = $3, requeued = $4, due_at = case when $4 then $6 else due_at end,
             resends = resends + $4::boolean::integer::smallint, reason = $5, updated_at = $6
         where tenant_id = $1 and contact_id = $2",
        contact.key.tenant as TenantId,
        contact.key.contact as ContactId,
        status as ContactStatus,
        is_resent,
        reason,
        now
    )
    .execute(&mut *conn)
    .await?;
    let AttemptKey { tenant: tenant_id, contact: contact_id, .. } = contact.key;
    let moved =
        ContactMove { tenant_id, queue_id: contact.queue_id, contact_id, from: ContactStatus::Unconfirmed, to: status };
    queues::record_moves(conn, &[moved], now).await
}
