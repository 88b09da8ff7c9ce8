//! Learns evidence about an attempt: stores the evidence, and moves the contact unless stronger evidence is stored.

use chrono::{DateTime, Utc};
use regua_domain::{
    AttemptId, AttemptOutcome, ContactId, ContactStatus, EvidenceSource, QueueId, QueueStatus, Resolution, TenantId,
};
use sqlx::{Error, PgConnection};

use super::NextState;
use crate::attempts::AttemptKey;
use crate::evidence::{self, NewEvidence};
use crate::queues::{self, ContactMove, LockedQueue};

/// What a piece of evidence proves about an attempt.
#[derive(Clone, Debug)]
pub enum Evidence {
    /// The message left.
    Left {
        /// The message's id at WhatsApp, where it is known.
        message_id: Option<String>,
        /// When it left.
        at: DateTime<Utc>,
    },
    /// The message certainly did not leave: its outcome is not sent or refused, and its contact becomes `pending` or
    /// `failed`.
    NotLeft(NextState),
}

/// Result of [`learn`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LearnResult {
    /// There is no such attempt.
    NoAttempt,
    /// The contact's state did not change.
    Unchanged,
    /// The contact's state changed.
    Moved {
        /// The contact's queue; with `pending`, the caller rings for it.
        queue_id: QueueId,
        /// The new state.
        status: ContactStatus,
    },
    /// The contact has another message's id: two messages left.
    Doubled,
}

struct Facts {
    queue_id: QueueId,
    queue_status: QueueStatus,
    status: ContactStatus,
    contact_message_id: Option<String>,
    is_latest: bool,
    /// None: the attempt is under way.
    outcome: Option<AttemptOutcome>,
    message_id: Option<String>,
    was_resent: bool,
    /// The contact's erasure was requested or is done.
    is_to_be_erased: bool,
}

/// Stores evidence and applies it. Locks the contact's queue, then the contact.
pub async fn learn(
    conn: &mut PgConnection,
    key: AttemptKey,
    source: EvidenceSource,
    evidence: &Evidence,
    said_by: Option<&str>,
    now: DateTime<Utc>,
) -> Result<LearnResult, Error> {
    let Some(facts) = lock_facts(conn, key).await? else { return Ok(LearnResult::NoAttempt) };
    if facts.has_learnt(evidence) {
        return Ok(LearnResult::Unchanged);
    }
    evidence::add(conn, &evidence.as_row(key, source, said_by), now).await?;
    if facts.outcome.is_none() {
        // The attempt is under way. If its outcome will be unknown, the first look learns this evidence.
        return Ok(LearnResult::Unchanged);
    }
    match evidence {
        Evidence::Left { message_id, at } => {
            close(conn, key, source, AttemptOutcome::Sent, None, message_id.as_deref()).await?;
            apply_left(conn, key, &facts, message_id.as_deref(), *at, now).await
        }
        Evidence::NotLeft(next) => {
            if facts.outcome != Some(AttemptOutcome::Unknown) || facts.was_resent {
                return Ok(LearnResult::Unchanged);
            }
            if evidence::find_proof(conn, key).await?.is_some() {
                // The next look learns that proof.
                return Ok(LearnResult::Unchanged);
            }
            close(conn, key, source, next.outcome, next.reason.as_deref(), None).await?;
            apply_not_left(conn, key, &facts, next, now).await
        }
    }
}

impl Evidence {
    fn as_row<'a>(&'a self, key: AttemptKey, source: EvidenceSource, said_by: Option<&'a str>) -> NewEvidence<'a> {
        let (has_left, reason, message_id) = match self {
            Self::Left { message_id, .. } => (true, None, message_id.as_deref()),
            Self::NotLeft(next) => (false, next.reason.as_deref(), None),
        };
        NewEvidence { key, source, has_left, reason, message_id, said_by }
    }
}

impl Facts {
    /// Whether the attempt has this outcome already: a worker whose commit was not answered reports the outcome again.
    fn has_learnt(&self, evidence: &Evidence) -> bool {
        match evidence {
            Evidence::Left { message_id, .. } => {
                self.outcome == Some(AttemptOutcome::Sent) && (message_id.is_none() || *message_id == self.message_id)
            }
            Evidence::NotLeft(next) => self.outcome == Some(next.outcome),
        }
    }
}

async fn lock_facts(conn: &mut PgConnection, key: AttemptKey) -> Result<Option<Facts>, Error> {
    let (tenant, contact) = (key.tenant, key.contact);
    if lock_queue_of(conn, tenant, contact).await?.is_none() {
        return Ok(None);
    }
    sqlx::query_as!(
        Facts,
        r#"select q.queue_id as "queue_id: QueueId", q.status as "queue_status: QueueStatus",
                  c.status as "status: ContactStatus", c.message_id as contact_message_id, c.attempt_id = $3 as "is_latest!",
                  a.outcome as "outcome?: AttemptOutcome", a.message_id, coalesce(a.settled_by = 'resent', false) as "was_resent!",
                  c.erasure_asked_at is not null as "is_to_be_erased!"
           from contacts c
           join queues q on q.tenant_id = c.tenant_id and q.queue_id = c.queue_id
           left join attempts a on a.tenant_id = c.tenant_id and a.contact_id = c.contact_id and a.attempt_id = $3
           where c.tenant_id = $1 and c.contact_id = $2 and (a.outcome is not null or c.attempt_id = $3)
           for no key update of c"#,
        tenant as TenantId,
        contact as ContactId,
        key.attempt as AttemptId
    )
    .fetch_optional(conn)
    .await
}

pub(super) async fn lock_queue_of(
    conn: &mut PgConnection,
    tenant: TenantId,
    contact: ContactId,
) -> Result<Option<LockedQueue>, Error> {
    let queue = sqlx::query_scalar!(
        r#"select queue_id as "queue_id: QueueId" from contacts where tenant_id = $1 and contact_id = $2"#,
        tenant as TenantId,
        contact as ContactId
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(queue) = queue else { return Ok(None) };
    Ok(queues::lock(conn, &[(tenant, queue)]).await?.pop())
}

async fn close(
    conn: &mut PgConnection,
    key: AttemptKey,
    source: EvidenceSource,
    outcome: AttemptOutcome,
    reason: Option<&str>,
    message_id: Option<&str>,
) -> Result<(), Error> {
    sqlx::query!(
        "update attempts
         set outcome = $4, reason = $5, message_id = coalesce($6, message_id), settled_by = $7, next_look_at = null
         where tenant_id = $1 and contact_id = $2 and attempt_id = $3",
        key.tenant as TenantId,
        key.contact as ContactId,
        key.attempt as AttemptId,
        outcome as AttemptOutcome,
        reason,
        message_id,
        Resolution::from(source) as Resolution
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Makes the contact `sent`. A contact whose next attempt is under way stays `sending`; the finish of that attempt
/// reads this outcome ([`super::finish`]).
async fn apply_left(
    conn: &mut PgConnection,
    key: AttemptKey,
    facts: &Facts,
    message_id: Option<&str>,
    at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<LearnResult, Error> {
    if facts.status == ContactStatus::Sent {
        let is_second_message = message_id.is_some()
            && facts.contact_message_id.is_some()
            && facts.contact_message_id.as_deref() != message_id;
        if is_second_message {
            return Ok(LearnResult::Doubled);
        }
    }
    let is_moved = !matches!(facts.status, ContactStatus::Sent | ContactStatus::Sending);
    sqlx::query!(
        "update contacts
         set status = case when $3 then 'sent' else status end, reason = case when $3 then null else reason end,
             requeued = requeued and not $3,
             message_id = coalesce(message_id, $4), sent_at = coalesce(sent_at, $5), updated_at = $6
         where tenant_id = $1 and contact_id = $2",
        key.tenant as TenantId,
        key.contact as ContactId,
        is_moved,
        message_id,
        at,
        now
    )
    .execute(&mut *conn)
    .await?;
    if !is_moved {
        return Ok(LearnResult::Unchanged);
    }
    facts.record(conn, key, ContactStatus::Sent, now).await
}

async fn apply_not_left(
    conn: &mut PgConnection,
    key: AttemptKey,
    facts: &Facts,
    next: &NextState,
    now: DateTime<Utc>,
) -> Result<LearnResult, Error> {
    if facts.status != ContactStatus::Unconfirmed || !facts.is_latest {
        return Ok(LearnResult::Unchanged);
    }
    let is_never_sent = facts.queue_status == QueueStatus::Cancelled || facts.is_to_be_erased;
    let is_cancelled = next.status == ContactStatus::Pending && is_never_sent;
    let status = if is_cancelled { ContactStatus::Cancelled } else { next.status };
    sqlx::query!(
        "update contacts
         set status = $3, requeued = $3 = 'pending', due_at = coalesce($4, due_at), reason = $5, updated_at = $6
         where tenant_id = $1 and contact_id = $2",
        key.tenant as TenantId,
        key.contact as ContactId,
        status as ContactStatus,
        next.due_at.filter(|_| status == ContactStatus::Pending),
        next.reason.as_deref(),
        now
    )
    .execute(&mut *conn)
    .await?;
    facts.record(conn, key, status, now).await
}

impl Facts {
    async fn record(
        &self,
        conn: &mut PgConnection,
        key: AttemptKey,
        status: ContactStatus,
        now: DateTime<Utc>,
    ) -> Result<LearnResult, Error> {
        let AttemptKey { tenant: tenant_id, contact: contact_id, .. } = key;
        let moved = ContactMove { tenant_id, queue_id: self.queue_id, contact_id, from: self.status, to: status };
        queues::record_moves(conn, &[moved], now).await?;
        Ok(LearnResult::Moved { queue_id: self.queue_id, status })
    }
}
