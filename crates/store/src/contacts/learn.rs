//! What is learnt of an attempt after it was closed: a proof that it left, or that it did not, whoever brings it. It is
//! kept as evidence in any case, and moves the contact where nothing truer is known of it.

use chrono::{DateTime, Utc};
use regua_domain::{ContactStatus, QueueId, QueueStatus};
use sqlx::{Error, PgConnection};

use crate::attempts::AttemptKey;
use crate::evidence::{self, NewEvidence, Source};
use crate::queues::{self, CountChange};

/// What was learnt.
#[derive(Clone, Debug)]
pub enum Finding {
    /// It left.
    Left {
        /// The message's id at WhatsApp, where it is known.
        message_id: Option<String>,
        /// When.
        at: DateTime<Utc>,
    },
    /// It certainly did not leave.
    NotLeft {
        /// `not_sent` or `refused`.
        outcome: &'static str,
        /// The gateway's reason.
        reason: Option<String>,
        /// What becomes of the contact: `pending` or `failed`.
        status: ContactStatus,
        /// When it may be tried again; only with `pending`.
        due_at: Option<DateTime<Utc>>,
    },
}

/// What became of what was learnt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learnt {
    /// There is no such attempt.
    NoAttempt,
    /// It changed nothing, because something truer is known already.
    Kept,
    /// The contact moved.
    Moved {
        /// Its queue; with `pending`, ring for it.
        queue_id: QueueId,
        /// Where it is now.
        status: ContactStatus,
    },
    /// The contact had another message before: it got two.
    Doubled,
}

/// The locked rows that a finding is judged by.
struct Facts {
    key: AttemptKey,
    queue_id: QueueId,
    queue_status: QueueStatus,
    status: ContactStatus,
    contact_message_id: Option<String>,
    is_latest: bool,
    /// None: it is under way.
    outcome: Option<String>,
    message_id: Option<String>,
    was_resent: bool,
    /// It is to be erased, or is.
    is_to_be_erased: bool,
}

/// Keeps a finding, and acts on it. Its queue is locked here, in the order that holds everywhere.
///
/// # Errors
/// The database's.
pub async fn learn(
    conn: &mut PgConnection,
    key: AttemptKey,
    source: Source,
    finding: &Finding,
    said_by: Option<&str>,
    now: DateTime<Utc>,
) -> Result<Learnt, Error> {
    let Some(facts) = lock(conn, key).await? else { return Ok(Learnt::NoAttempt) };
    if facts.says_so_already(finding) {
        return Ok(Learnt::Kept);
    }
    evidence::add(conn, &finding.as_evidence(key, source, said_by), now).await?;
    if facts.outcome.is_none() {
        // The attempt is somebody's who is still at it. Should its outcome become unknown, this is what is looked at first.
        return Ok(Learnt::Kept);
    }
    match finding {
        Finding::Left { message_id, at } => {
            close(conn, key, source, "sent", None, message_id.as_deref()).await?;
            left(conn, &facts, message_id.as_deref(), *at, now).await
        }
        Finding::NotLeft { outcome, reason, status, due_at } => {
            if facts.outcome.as_deref() != Some("unknown") || facts.was_resent {
                return Ok(Learnt::Kept);
            }
            if evidence::proof(conn, key).await?.is_some() {
                // The contact has its message, if only an earlier attempt's: the next look finds that proof.
                return Ok(Learnt::Kept);
            }
            close(conn, key, source, outcome, reason.as_deref(), None).await?;
            not_left(conn, &facts, reason.as_deref(), *status, *due_at, now).await
        }
    }
}

impl Finding {
    fn as_evidence<'a>(&'a self, key: AttemptKey, source: Source, said_by: Option<&'a str>) -> NewEvidence<'a> {
        let (has_left, reason, message_id) = match self {
            Self::Left { message_id, .. } => (true, None, message_id.as_deref()),
            Self::NotLeft { reason, .. } => (false, reason.as_deref(), None),
        };
        NewEvidence { key, source, has_left, reason, message_id, said_by }
    }
}

impl Facts {
    /// An outcome that is written a second time, because the answer to the first was lost, is nothing new.
    fn says_so_already(&self, finding: &Finding) -> bool {
        match finding {
            Finding::Left { message_id, .. } => {
                self.outcome.as_deref() == Some("sent") && (message_id.is_none() || *message_id == self.message_id)
            }
            Finding::NotLeft { outcome, .. } => self.outcome.as_deref() == Some(outcome),
        }
    }
}

async fn lock(conn: &mut PgConnection, key: AttemptKey) -> Result<Option<Facts>, Error> {
    let (tenant, contact) = (key.tenant, key.contact);
    let place =
        sqlx::query!("select queue_id from contacts where tenant_id = $1 and contact_id = $2", tenant.0, contact.0)
            .fetch_optional(&mut *conn)
            .await?;
    let Some(place) = place else { return Ok(None) };
    let Some(queue) = queues::lock(conn, &[(tenant, QueueId(place.queue_id))]).await?.pop() else { return Ok(None) };
    let row = sqlx::query!(
        r#"select c.status, c.message_id as contact_message_id, c.attempt_id = $3 as "is_latest!",
                  a.outcome as "outcome?", a.message_id, coalesce(a.settled_by = 'resent', false) as "was_resent!",
                  c.erasure_asked_at is not null as "is_to_be_erased!"
           from contacts c
           left join attempts a on a.tenant_id = c.tenant_id and a.contact_id = c.contact_id and a.attempt_id = $3
           where c.tenant_id = $1 and c.contact_id = $2 and (a.outcome is not null or c.attempt_id = $3)
           for no key update of c"#,
        tenant.0,
        contact.0,
        key.attempt.0
    )
    .fetch_optional(conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Facts {
        key,
        queue_id: queue.queue_id,
        queue_status: queue.status,
        status: row.status.parse().map_err(|error| Error::Decode(Box::new(error)))?,
        contact_message_id: row.contact_message_id,
        is_latest: row.is_latest,
        outcome: row.outcome,
        message_id: row.message_id,
        was_resent: row.was_resent,
        is_to_be_erased: row.is_to_be_erased,
    }))
}

async fn close(
    conn: &mut PgConnection,
    key: AttemptKey,
    source: Source,
    outcome: &str,
    reason: Option<&str>,
    message_id: Option<&str>,
) -> Result<(), Error> {
    sqlx::query!(
        "update attempts
         set outcome = $4, reason = $5, message_id = coalesce($6, message_id), settled_by = $7, next_look_at = null
         where tenant_id = $1 and contact_id = $2 and attempt_id = $3",
        key.tenant.0,
        key.contact.0,
        key.attempt.0,
        outcome,
        reason,
        message_id,
        source.as_str()
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The contact has its message, whatever was thought of it. One whose next attempt is under way stays `sending`: whoever
/// closes that attempt sees this one ([`super::finish`]).
async fn left(
    conn: &mut PgConnection,
    facts: &Facts,
    message_id: Option<&str>,
    at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Learnt, Error> {
    if facts.status == ContactStatus::Sent {
        let is_another = message_id.is_some()
            && facts.contact_message_id.is_some()
            && facts.contact_message_id.as_deref() != message_id;
        if is_another {
            return Ok(Learnt::Doubled);
        }
    }
    let is_moved = !matches!(facts.status, ContactStatus::Sent | ContactStatus::Sending);
    sqlx::query!(
        "update contacts
         set status = case when $3 then 'sent' else status end, reason = case when $3 then null else reason end,
             requeued = requeued and not $3,
             message_id = coalesce(message_id, $4), sent_at = coalesce(sent_at, $5), updated_at = $6
         where tenant_id = $1 and contact_id = $2",
        facts.key.tenant.0,
        facts.key.contact.0,
        is_moved,
        message_id,
        at,
        now
    )
    .execute(&mut *conn)
    .await?;
    if !is_moved {
        return Ok(Learnt::Kept);
    }
    facts.count(conn, ContactStatus::Sent, now).await
}

async fn not_left(
    conn: &mut PgConnection,
    facts: &Facts,
    reason: Option<&str>,
    status: ContactStatus,
    due_at: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Result<Learnt, Error> {
    if facts.status != ContactStatus::Unconfirmed || !facts.is_latest {
        return Ok(Learnt::Kept);
    }
    let is_over = facts.queue_status == QueueStatus::Cancelled || facts.is_to_be_erased;
    let is_cancelled = status == ContactStatus::Pending && is_over;
    let status = if is_cancelled { ContactStatus::Cancelled } else { status };
    sqlx::query!(
        "update contacts
         set status = $3, requeued = $3 = 'pending', due_at = coalesce($4, due_at), reason = $5, updated_at = $6
         where tenant_id = $1 and contact_id = $2",
        facts.key.tenant.0,
        facts.key.contact.0,
        status.as_str(),
        due_at.filter(|_| status == ContactStatus::Pending),
        reason,
        now
    )
    .execute(&mut *conn)
    .await?;
    facts.count(conn, status, now).await
}

impl Facts {
    async fn count(&self, conn: &mut PgConnection, status: ContactStatus, now: DateTime<Utc>) -> Result<Learnt, Error> {
        let change = CountChange::moved(self.status, status);
        queues::change_counts(conn, &[(self.key.tenant, self.queue_id, change)], now).await?;
        Ok(Learnt::Moved { queue_id: self.queue_id, status })
    }
}
