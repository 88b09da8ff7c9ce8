//! An outcome that a worker reports after another worker took the lane over.

use chrono::{DateTime, Utc};
use regua_domain::{AttemptOutcome, EvidenceSource};
use regua_store::attempts;
use regua_store::contacts::{self, Evidence};
use sqlx::PgConnection;

/// Learns a late outcome as evidence. The next holder of the lane has closed the attempt already, so the outcome is not
/// written as such.
pub(super) async fn learn(
    conn: &mut PgConnection,
    outcome: &contacts::Finish,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let evidence = match outcome.outcome {
        AttemptOutcome::Sent => Evidence::Left { message_id: outcome.message_id.clone(), at: now },
        AttemptOutcome::Unknown => {
            // An unknown outcome is no evidence. Its reason is stored, because it may say that the message probably
            // left.
            let reason = outcome.reason.as_deref();
            return attempts::set_reason(conn, outcome.key, reason, now).await;
        }
        AttemptOutcome::NotSent | AttemptOutcome::Refused => Evidence::NotLeft {
            outcome: outcome.outcome,
            reason: outcome.reason.clone(),
            status: outcome.status,
            due_at: outcome.due_at,
        },
    };
    let learnt = contacts::learn(conn, outcome.key, EvidenceSource::LateAnswer, &evidence, None, now).await?;
    tracing::warn!(attempt_id = %outcome.key.attempt, outcome = outcome.outcome.as_str(), ?learnt,
        "an outcome was written after its lane was taken over");
    Ok(())
}
