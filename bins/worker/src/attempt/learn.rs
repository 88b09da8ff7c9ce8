//! Learns an outcome that its worker reports after the lane was taken over.

use chrono::{DateTime, Utc};
use regua_domain::{AttemptOutcome, EvidenceSource};
use regua_store::attempts;
use regua_store::contacts::{self, Evidence};
use sqlx::PgConnection;

/// The lane's next owner has closed the attempt: the outcome overwrites nothing, but it is evidence.
pub(super) async fn learn(
    conn: &mut PgConnection,
    outcome: &contacts::Finish,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let evidence = match outcome.outcome {
        AttemptOutcome::Sent => Evidence::Left { message_id: outcome.message_id.clone(), at: now },
        AttemptOutcome::Unknown => {
            // No evidence, but the reason may say that the message probably left.
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
