//! Table `evidence`: proofs that a message left or did not leave, and operator decisions. The outcome that an attempt's
//! own worker reports in time is in `attempts` only. Rows are never changed.

use chrono::{DateTime, Utc};
use regua_domain::{AttemptId, ContactId, EvidenceId, EvidenceSource, TenantId};
use sqlx::{Error, PgConnection};

use crate::attempts::AttemptKey;

/// A piece of evidence to be stored.
#[derive(Clone, Debug)]
pub struct NewEvidence<'a> {
    /// The attempt.
    pub key: AttemptKey,
    /// Where it comes from.
    pub source: EvidenceSource,
    /// True: the message left. False: it did not leave, or an operator gave the contact up.
    pub has_left: bool,
    /// The gateway client's reason, or `given_up`.
    pub reason: Option<&'a str>,
    /// The message's id at WhatsApp.
    pub message_id: Option<&'a str>,
    /// The name of the operator who decided.
    pub said_by: Option<&'a str>,
}

/// Stores a piece of evidence once: gateways repeat webhooks.
pub async fn add(conn: &mut PgConnection, new: &NewEvidence<'_>, now: DateTime<Utc>) -> Result<(), Error> {
    sqlx::query!(
        "insert into evidence (tenant_id, evidence_id, contact_id, attempt_id, source, has_left, reason, message_id, said_by,
                               created_at)
         select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10
         where not exists (select from evidence
                           where tenant_id = $1 and contact_id = $3 and attempt_id = $4 and source = $5 and has_left = $6
                             and message_id is not distinct from $8 and said_by is not distinct from $9)",
        new.key.tenant as TenantId,
        EvidenceId::new(now) as EvidenceId,
        new.key.contact as ContactId,
        new.key.attempt as AttemptId,
        new.source as EvidenceSource,
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

/// A proof that the message of an attempt left.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are the table's columns")]
pub struct Proof {
    pub source: EvidenceSource,
    /// The message's id at WhatsApp, where it is known.
    pub message_id: Option<String>,
    pub created_at: DateTime<Utc>,
}

/// A stored proof that the message of an attempt left. Index `evidence_of_contact`.
pub async fn find_proof(conn: &mut PgConnection, key: AttemptKey) -> Result<Option<Proof>, Error> {
    sqlx::query_as!(
        Proof,
        r#"select source as "source: EvidenceSource", message_id, created_at from evidence
           where tenant_id = $1 and contact_id = $2 and attempt_id = $3 and has_left
           order by message_id is null, created_at limit 1"#,
        key.tenant as TenantId,
        key.contact as ContactId,
        key.attempt as AttemptId
    )
    .fetch_optional(conn)
    .await
}
