//! The finish: writes the outcome of an attempt and the next state of its contact. An outcome whose attempt is closed
//! already is learnt as evidence.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use regua_domain::{AttemptId, ContactId, ContactStatus, InstanceId, QueueId, QueueStatus, TenantId};
use regua_store::attempts::AttemptKey;
use regua_store::contacts;
use regua_store::queues::ContactMove;
use sqlx::PgConnection;

use super::Queues;
use super::learn::learn;
use crate::next_state::NextState;

/// A request to write the outcome of an attempt.
#[derive(Clone, Debug)]
pub(crate) struct Finish {
    pub(crate) tenant: TenantId,
    pub(crate) instance: InstanceId,
    pub(crate) queue: QueueId,
    pub(crate) contact: ContactId,
    pub(crate) attempt: AttemptId,
    pub(crate) next_state: NextState,
}

pub(super) async fn write_outcomes(
    conn: &mut PgConnection,
    finishes: &[&Finish],
    queues: &Queues,
    moves: &mut Vec<ContactMove>,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let outcomes: Vec<_> = finishes.iter().map(|finish| outcome_row(finish, queues)).collect();
    let finished = contacts::finish(conn, &outcomes, now).await?;
    moves.extend(finished.iter().map(|contact| ContactMove {
        tenant_id: contact.tenant_id,
        queue_id: contact.queue_id,
        contact_id: contact.contact_id,
        from: ContactStatus::Sending,
        to: contact.status,
    }));
    let written: HashSet<_> = finished.iter().map(|contact| contact.attempt_id).collect();
    for outcome in outcomes.iter().filter(|outcome| !written.contains(&outcome.key.attempt)) {
        learn(conn, outcome, now).await?;
    }
    Ok(())
}

/// The outcome's row. If the queue was cancelled since the mark, the contact becomes `cancelled` instead of `pending`.
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
