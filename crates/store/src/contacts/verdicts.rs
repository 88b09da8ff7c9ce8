//! What is decided of an unconfirmed contact that nothing proves anything about: it is sent once more, or it is given up.

use chrono::{DateTime, Utc};
use regua_domain::{AttemptId, ContactId, ContactStatus, QueueId, QueueStatus, TenantId};
use sqlx::{Error, PgConnection};

use super::{Finding, learn};
use crate::attempts::{self, AttemptKey};
use crate::evidence::{self, NewEvidence, Source};
use crate::queues::{self, CountChange};

/// An unconfirmed contact whose queue and row are locked.
#[derive(Clone, Debug)]
pub struct Unconfirmed {
    /// It, and its attempt of which nobody can say whether it left.
    pub key: AttemptKey,
    /// Its queue.
    pub queue_id: QueueId,
    /// The queue's state.
    pub queue_status: QueueStatus,
    /// Why nobody can say.
    pub reason: Option<String>,
    /// Times that it was sent again already.
    pub resends: i16,
    /// It is to be erased, or is: there is nothing that could be sent again.
    pub is_to_be_erased: bool,
}

/// What was found under a contact's id.
#[derive(Clone, Debug)]
pub enum Locked {
    /// No such contact.
    Missing,
    /// It is in this state, and there is nothing to decide.
    Settled(ContactStatus),
    /// It waits for a decision.
    Unconfirmed(Unconfirmed),
}

/// Locks a contact, after its queue, so that something can be decided of it.
///
/// A proof that came while its attempt was still open was only kept, and waits for the first look. Whoever decides before
/// that must not decide against it: the proof is believed here, and there is nothing to decide any more.
///
/// # Errors
/// The database's.
pub async fn lock_unconfirmed(
    conn: &mut PgConnection,
    tenant: TenantId,
    contact: ContactId,
    now: DateTime<Utc>,
) -> Result<Locked, Error> {
    let place =
        sqlx::query!("select queue_id from contacts where tenant_id = $1 and contact_id = $2", tenant.0, contact.0)
            .fetch_optional(&mut *conn)
            .await?;
    let Some(place) = place else { return Ok(Locked::Missing) };
    let Some(queue) = queues::lock(conn, &[(tenant, QueueId(place.queue_id))]).await?.pop() else {
        return Ok(Locked::Missing);
    };
    let row = sqlx::query!(
        r#"select c.resends, a.attempt_id, a.reason, c.erasure_asked_at is not null as "is_to_be_erased!"
           from contacts c join attempts a on a.tenant_id = c.tenant_id and a.contact_id = c.contact_id
                                          and a.number = c.attempts
           where c.tenant_id = $1 and c.contact_id = $2 and c.status = 'unconfirmed'
           for no key update of c, a"#,
        tenant.0,
        contact.0
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(row) = row else {
        let row =
            sqlx::query!("select status from contacts where tenant_id = $1 and contact_id = $2", tenant.0, contact.0)
                .fetch_one(conn)
                .await?;
        return Ok(Locked::Settled(row.status.parse().map_err(|error| Error::Decode(Box::new(error)))?));
    };
    let key = AttemptKey { tenant, contact, attempt: AttemptId(row.attempt_id) };
    if let Some(proof) = evidence::proof(conn, key).await? {
        let finding = Finding::Left { message_id: proof.message_id, at: proof.created_at };
        learn(conn, key, proof.source, &finding, None, now).await?;
        return Ok(Locked::Settled(ContactStatus::Sent));
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

/// Lets a locked unconfirmed contact be sent once more; the caller rings for its queue. A queue that was completed goes on.
///
/// # Errors
/// The database's.
pub async fn resend(conn: &mut PgConnection, contact: &Unconfirmed, now: DateTime<Utc>) -> Result<(), Error> {
    attempts::stop_looking(conn, contact.key, "resent").await?;
    sqlx::query!(
        "update contacts set status = 'pending', requeued = true, due_at = $3, resends = resends + 1,
                             reason = 'unconfirmed_resent', updated_at = $3
         where tenant_id = $1 and contact_id = $2",
        contact.key.tenant.0,
        contact.key.contact.0,
        now
    )
    .execute(&mut *conn)
    .await?;
    count(conn, contact, ContactStatus::Pending, now).await
}

/// A person gives a locked unconfirmed contact up: it counts as failed, and is never sent again. A proof that comes later
/// is still believed.
///
/// # Errors
/// The database's.
pub async fn give_up(
    conn: &mut PgConnection,
    contact: &Unconfirmed,
    said_by: &str,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let said = NewEvidence {
        key: contact.key,
        source: Source::Operator,
        has_left: false,
        reason: Some("given_up"),
        message_id: None,
        said_by: Some(said_by),
    };
    evidence::add(conn, &said, now).await?;
    attempts::stop_looking(conn, contact.key, "operator").await?;
    sqlx::query!(
        "update contacts set status = 'failed', reason = 'given_up', updated_at = $3
         where tenant_id = $1 and contact_id = $2",
        contact.key.tenant.0,
        contact.key.contact.0,
        now
    )
    .execute(&mut *conn)
    .await?;
    count(conn, contact, ContactStatus::Failed, now).await
}

async fn count(
    conn: &mut PgConnection,
    contact: &Unconfirmed,
    status: ContactStatus,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let change = CountChange::moved(ContactStatus::Unconfirmed, status);
    queues::change_counts(conn, &[(contact.key.tenant, contact.queue_id, change)], now).await
}
