//! What is learnt of an attempt after it was closed: a proof that it left, or that it did not, whoever brings it. It is
//! kept as evidence in any case, and moves the contact where nothing truer is known of it.

use chrono::{DateTime, Utc};
use regua_domain::{AttemptId, ContactId, ContactStatus, QueueId, QueueStatus, TenantId};
use sqlx::{Error, PgConnection};

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
    contact_id: ContactId,
    queue_id: QueueId,
    queue_status: QueueStatus,
    status: ContactStatus,
    contact_message_id: Option<String>,
    is_latest: bool,
    outcome: Option<String>,
    message_id: Option<String>,
    was_resent: bool,
}

/// Keeps a finding, and acts on it. Its queue is locked here, in the order that holds everywhere.
///
/// # Errors
/// The database's.
pub async fn learn(
    conn: &mut PgConnection,
    tenant: TenantId,
    attempt: AttemptId,
    source: Source,
    finding: &Finding,
    said_by: Option<&str>,
    now: DateTime<Utc>,
) -> Result<Learnt, Error> {
    let Some(facts) = lock(conn, tenant, attempt).await? else { return Ok(Learnt::NoAttempt) };
    if facts.says_so_already(finding) {
        return Ok(Learnt::Kept);
    }
    evidence::add(conn, tenant, &finding.as_evidence(attempt, source, said_by), now).await?;
    if facts.outcome.is_none() {
        // The attempt is somebody's who is still at it. Should its outcome become unknown, this is what is looked at first.
        return Ok(Learnt::Kept);
    }
    match finding {
        Finding::Left { message_id, at } => {
            close(conn, tenant, attempt, source, "sent", None, message_id.as_deref()).await?;
            left(conn, tenant, &facts, message_id.as_deref(), *at, now).await
        }
        Finding::NotLeft { outcome, reason, status, due_at } => {
            if facts.outcome.as_deref() != Some("unknown") || facts.was_resent {
                return Ok(Learnt::Kept);
            }
            if evidence::proof(conn, tenant, attempt).await?.is_some() {
                // The contact has its message, if only an earlier attempt's: the next look finds that proof.
                return Ok(Learnt::Kept);
            }
            close(conn, tenant, attempt, source, outcome, reason.as_deref(), None).await?;
            not_left(conn, tenant, &facts, reason.as_deref(), *status, *due_at, now).await
        }
    }
}

impl Finding {
    fn as_evidence<'a>(&'a self, attempt_id: AttemptId, source: Source, said_by: Option<&'a str>) -> NewEvidence<'a> {
        let (has_left, reason, message_id) = match self {
            Self::Left { message_id, .. } => (true, None, message_id.as_deref()),
            Self::NotLeft { reason, .. } => (false, reason.as_deref(), None),
        };
        NewEvidence { attempt_id, source, has_left, reason, message_id, said_by }
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

async fn lock(conn: &mut PgConnection, tenant: TenantId, attempt: AttemptId) -> Result<Option<Facts>, Error> {
    let place = sqlx::query!(
        "select c.queue_id from attempts a join contacts c using (tenant_id, contact_id)
         where a.tenant_id = $1 and a.attempt_id = $2",
        tenant.0,
        attempt.0
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(place) = place else { return Ok(None) };
    let Some(queue) = queues::lock(conn, &[(tenant, QueueId(place.queue_id))]).await?.pop() else { return Ok(None) };
    let row = sqlx::query!(
        r#"select c.contact_id, c.status, c.message_id as contact_message_id, a.number = c.attempts as "is_latest!",
                  a.outcome, a.message_id, coalesce(a.settled_by = 'resent', false) as "was_resent!"
           from attempts a join contacts c using (tenant_id, contact_id)
           where a.tenant_id = $1 and a.attempt_id = $2
           for no key update of c, a"#,
        tenant.0,
        attempt.0
    )
    .fetch_one(conn)
    .await?;
    Ok(Some(Facts {
        contact_id: ContactId(row.contact_id),
        queue_id: queue.queue_id,
        queue_status: queue.status,
        status: row.status.parse().map_err(|error| Error::Decode(Box::new(error)))?,
        contact_message_id: row.contact_message_id,
        is_latest: row.is_latest,
        outcome: row.outcome,
        message_id: row.message_id,
        was_resent: row.was_resent,
    }))
}

async fn close(
    conn: &mut PgConnection,
    tenant: TenantId,
    attempt: AttemptId,
    source: Source,
    outcome: &str,
    reason: Option<&str>,
    message_id: Option<&str>,
) -> Result<(), Error> {
    sqlx::query!(
        "update attempts
         set outcome = $3, reason = $4, message_id = coalesce($5, message_id), settled_by = $6, next_look_at = null
         where tenant_id = $1 and attempt_id = $2",
        tenant.0,
        attempt.0,
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
    tenant: TenantId,
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
        tenant.0,
        facts.contact_id.0,
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
    facts.count(conn, tenant, ContactStatus::Sent, now).await
}

async fn not_left(
    conn: &mut PgConnection,
    tenant: TenantId,
    facts: &Facts,
    reason: Option<&str>,
    status: ContactStatus,
    due_at: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Result<Learnt, Error> {
    if facts.status != ContactStatus::Unconfirmed || !facts.is_latest {
        return Ok(Learnt::Kept);
    }
    let is_cancelled = status == ContactStatus::Pending && facts.queue_status == QueueStatus::Cancelled;
    let status = if is_cancelled { ContactStatus::Cancelled } else { status };
    sqlx::query!(
        "update contacts
         set status = $3, requeued = $3 = 'pending', due_at = coalesce($4, due_at), reason = $5, updated_at = $6
         where tenant_id = $1 and contact_id = $2",
        tenant.0,
        facts.contact_id.0,
        status.as_str(),
        due_at.filter(|_| status == ContactStatus::Pending),
        reason,
        now
    )
    .execute(&mut *conn)
    .await?;
    facts.count(conn, tenant, status, now).await
}

impl Facts {
    async fn count(
        &self,
        conn: &mut PgConnection,
        tenant: TenantId,
        status: ContactStatus,
        now: DateTime<Utc>,
    ) -> Result<Learnt, Error> {
        let change = CountChange::moved(self.status, status);
        queues::change_counts(conn, &[(tenant, self.queue_id, change)], now).await?;
        Ok(Learnt::Moved { queue_id: self.queue_id, status })
    }
}
