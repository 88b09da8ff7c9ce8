//! The finish: writes the outcome of an attempt and the next state of its contact. An outcome whose attempt is closed
//! already is learnt as evidence.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use regua_domain::{AttemptOutcome, ContactStatus, EvidenceSource, QueueStatus};
use regua_store::attempts;
use regua_store::contacts::{self, Evidence, Finish, NextState};
use regua_store::queues::ContactMove;
use sqlx::PgConnection;

use super::Queues;

pub(super) async fn write_outcomes(
    conn: &mut PgConnection,
    finishes: &[&Finish],
    queues: &Queues,
    moves: &mut Vec<ContactMove>,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let outcomes: Vec<_> = finishes.iter().map(|finish| in_locked_queue(finish, queues)).collect();
    let finished = contacts::finish(conn, &outcomes, now).await?;
    moves.extend(finished.iter().map(|contact| ContactMove {
        tenant_id: contact.tenant_id,
        queue_id: contact.queue_id,
        contact_id: contact.contact_id,
        from: ContactStatus::Sending,
        to: contact.status,
    }));
    let written: HashSet<_> = finished.iter().map(|contact| contact.attempt_id).collect();
    for outcome in outcomes.into_iter().filter(|outcome| !written.contains(&outcome.key.attempt)) {
        learn(conn, outcome, now).await?;
    }
    Ok(())
}

/// If the queue was cancelled since the mark, the contact becomes `cancelled` instead of `pending`.
fn in_locked_queue(finish: &Finish, queues: &Queues) -> Finish {
    let mut finish = finish.clone();
    let queue = queues.get(&(finish.key.tenant, finish.queue_id));
    if finish.next.status == ContactStatus::Pending && queue.is_some_and(|queue| queue.status == QueueStatus::Cancelled)
    {
        finish.next = NextState { status: ContactStatus::Cancelled, due_at: None, ..finish.next };
    }
    finish
}

/// Learns a late outcome as evidence. The next holder of the lane has closed the attempt already, so the outcome is not
/// written as such.
async fn learn(conn: &mut PgConnection, late: Finish, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    let Finish { key, next, .. } = late;
    let outcome = next.outcome;
    let evidence = match outcome {
        AttemptOutcome::Sent => Evidence::Left { message_id: next.message_id, at: now },
        // An unknown outcome is no evidence. Its reason is stored, because it may say that the message probably left.
        AttemptOutcome::Unknown => return attempts::set_reason(conn, key, next.reason.as_deref(), now).await,
        AttemptOutcome::NotSent | AttemptOutcome::Refused => Evidence::NotLeft(next),
    };
    let learnt = contacts::learn(conn, key, EvidenceSource::LateAnswer, &evidence, None, now).await?;
    tracing::warn!(attempt_id = %key.attempt, outcome = outcome.as_str(), ?learnt,
        "an outcome was written after its lane was taken over");
    Ok(())
}
