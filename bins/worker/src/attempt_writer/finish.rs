//! Writes outcomes.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use regua_domain::{AttemptOutcome, ContactStatus, EvidenceSource, QueueStatus};
use regua_store::attempts::{self, AttemptKey};
use regua_store::contacts::{self, Evidence};
use sqlx::PgConnection;

use super::{Counts, Finish, Queues};

pub(super) async fn write_outcomes(
    conn: &mut PgConnection,
    finishes: &[&Finish],
    queues: &Queues,
    counts: &mut Counts,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let outcomes: Vec<_> = finishes.iter().map(|finish| outcome_row(finish, queues)).collect();
    let finished = contacts::finish(conn, &outcomes, now).await?;
    for contact in &finished {
        let change = counts.entry((contact.tenant_id, contact.queue_id)).or_default();
        change.sending -= 1;
        *change.of(contact.status) += 1;
    }
    let written: HashSet<_> = finished.iter().map(|contact| contact.attempt_id).collect();
    for outcome in outcomes.iter().filter(|outcome| !written.contains(&outcome.key.attempt)) {
        learn_late(conn, outcome, now).await?;
    }
    Ok(())
}

/// The lane's next owner has closed the attempt: the outcome overwrites nothing, but it is evidence.
async fn learn_late(
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

/// A contact whose queue was cancelled meanwhile is cancelled instead of retried.
fn outcome_row(finish: &Finish, queues: &Queues) -> contacts::Finish {
    let next_state = &finish.next_state;
    let is_cancelled =
        queues.get(&(finish.tenant, finish.queue)).is_some_and(|queue| queue.status == QueueStatus::Cancelled);
    let status = match next_state.status {
        ContactStatus::Pending if is_cancelled => ContactStatus::Cancelled,
        status => status,
    };
    contacts::Finish {
        key: AttemptKey { tenant: finish.tenant, contact: finish.contact, attempt: finish.attempt },
        instance_id: finish.instance,
        outcome: next_state.outcome,
        reason: next_state.reason.clone(),
        message_id: next_state.message_id.clone(),
        status,
        due_at: next_state.due_at.filter(|_| status == ContactStatus::Pending),
    }
}
