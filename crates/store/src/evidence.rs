//! Table `evidence`: what was learnt of an attempt beside its own answer. Rows are only added.

use chrono::{DateTime, Utc};
use regua_domain::EvidenceId;
use sqlx::{Error, PgConnection};

use crate::attempts::AttemptKey;

/// Where a piece of evidence comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The answer of a worker whose lane had been taken over.
    LateAnswer,
    /// The gateway's own record of what it sent.
    GatewayHistory,
    /// A webhook of the gateway.
    Webhook,
    /// A person.
    Operator,
}

impl Source {
    const ALL: [Self; 4] = [Self::LateAnswer, Self::GatewayHistory, Self::Webhook, Self::Operator];

    /// The name in tables and in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LateAnswer => "late_answer",
            Self::GatewayHistory => "gateway_history",
            Self::Webhook => "webhook",
            Self::Operator => "operator",
        }
    }
}

/// A piece of evidence to be kept.
#[derive(Clone, Debug)]
pub struct NewEvidence<'a> {
    /// What it is about.
    pub key: AttemptKey,
    /// Where it comes from.
    pub source: Source,
    /// Whether it says that the message left, or that it did not.
    pub has_left: bool,
    /// The gateway's reason.
    pub reason: Option<&'a str>,
    /// The message's id at WhatsApp.
    pub message_id: Option<&'a str>,
    /// Who said so, where it was a person.
    pub said_by: Option<&'a str>,
}

/// Keeps a piece of evidence. The same said again by the same source is not kept twice: webhooks come doubled.
///
/// # Errors
/// The database's.
pub async fn add(conn: &mut PgConnection, new: &NewEvidence<'_>, now: DateTime<Utc>) -> Result<(), Error> {
    sqlx::query!(
        "insert into evidence (tenant_id, evidence_id, contact_id, attempt_id, source, has_left, reason, message_id, said_by,
                               created_at)
         select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10
         where not exists (select from evidence
                           where tenant_id = $1 and contact_id = $3 and attempt_id = $4 and source = $5 and has_left = $6
                             and message_id is not distinct from $8 and said_by is not distinct from $9)",
        new.key.tenant.0,
        EvidenceId::new(now).0,
        new.key.contact.0,
        new.key.attempt.0,
        new.source.as_str(),
        new.has_left,
        new.reason,
        new.message_id,
        new.said_by,
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A proof that an attempt left.
#[derive(Clone, Debug)]
pub struct Proof {
    /// Where it comes from.
    pub source: Source,
    /// The message's id at WhatsApp, where it is known.
    pub message_id: Option<String>,
    /// When it came.
    pub created_at: DateTime<Utc>,
}

/// A proof that an attempt left, kept while the attempt was still under way. Index `evidence_of_contact`.
///
/// # Errors
/// The database's.
pub async fn proof(conn: &mut PgConnection, key: AttemptKey) -> Result<Option<Proof>, Error> {
    let row = sqlx::query!(
        "select source, message_id, created_at from evidence
         where tenant_id = $1 and contact_id = $2 and attempt_id = $3 and has_left
         order by message_id is null, created_at limit 1",
        key.tenant.0,
        key.contact.0,
        key.attempt.0
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.and_then(|row| {
        let source = Source::ALL.into_iter().find(|source| source.as_str() == row.source)?;
        Some(Proof { source, message_id: row.message_id, created_at: row.created_at })
    }))
}
