//! Deliberate defects. The model must detect each of them; otherwise its success proves nothing.

use regua_domain::{ContactStatus, QueueId};
use regua_evolution::Outcome;
use regua_store::attempts::UnknownAttempt;
use regua_store::contacts::{self, ClaimedContact, Locked};
use regua_store::queues::{self, ContactMove};
use regua_worker::harness::MarkRequest;
use uuid::Uuid;

use super::case::Case;
use super::worker::HeldLane;

/// The defect of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Defect {
    None,
    /// A worker continues although the fence says that it lost its lane.
    IgnoresFence,
    /// A worker posts before it commits the mark.
    PostsBeforeMark,
    /// Periodic resends unconfirmed contacts without a look.
    ResendsWithoutLook,
    /// A takeover retries the attempts of the lost worker.
    RetriesLostAttempts,
}

/// Marks an attempt under an old epoch, without the fence.
#[expect(clippy::disallowed_methods, reason = "no statement of the store has this defect")]
pub(super) async fn mark_without_the_fence(
    case: &Case<'_>,
    contact: &ClaimedContact,
    mark_request: &MarkRequest,
    lease_epoch: i64,
) -> anyhow::Result<()> {
    let mut transaction = case.fixture.pool.begin().await?;
    let found = "select status, queue_id from contacts where contact_id = $1";
    let (status, queue): (String, Uuid) =
        sqlx::query_as(found).bind(contact.contact_id.0).fetch_one(&mut *transaction).await?;
    let mark = "update contacts
                set status = 'sending', attempts = attempts + 1, attempt_id = $2, attempt_epoch = $3,
                    attempt_worker = 'defective', attempt_started_at = $4
                where contact_id = $1";
    sqlx::query(mark)
        .bind(contact.contact_id.0)
        .bind(mark_request.attempt().0)
        .bind(lease_epoch)
        .bind(case.now)
        .execute(&mut *transaction)
        .await?;
    let moved = ContactMove {
        tenant_id: case.fixture.tenant.id,
        queue_id: QueueId(queue),
        contact_id: contact.contact_id,
        from: status.parse()?,
        to: ContactStatus::Sending,
    };
    queues::record_moves(&mut transaction, &[moved], case.now).await?;
    transaction.commit().await?;
    Ok(())
}

/// Commits the mark after its request.
pub(super) async fn mark_after_post(
    case: &mut Case<'_>,
    held: &mut HeldLane,
    contact: ClaimedContact,
    mark_request: MarkRequest,
    outcome: Outcome,
) -> anyhow::Result<()> {
    case.record(format!("contact {} is marked after its request", case.contact_index(contact.contact_id)));
    held.mark_after_post(contact, mark_request, &outcome).await
}

/// Resends an unconfirmed contact without a look.
pub(super) async fn resend(case: &Case<'_>, attempt: &UnknownAttempt) -> anyhow::Result<()> {
    let mut transaction = case.fixture.pool.begin().await?;
    let locked =
        contacts::lock_unconfirmed(&mut transaction, attempt.key.tenant, attempt.key.contact, case.now).await?;
    if let Locked::Unconfirmed(contact) = locked {
        contacts::resend(&mut transaction, &contact, case.now).await?;
    }
    transaction.commit().await?;
    Ok(())
}

/// Treats the attempts of lost workers as not sent.
#[expect(clippy::disallowed_methods, reason = "no statement of the store has this defect")]
pub(super) async fn retry_lost_attempts(case: &Case<'_>) -> anyhow::Result<()> {
    let mut transaction = case.fixture.pool.begin().await?;
    for statement in [
        "update queues q set pending = pending + lost, unconfirmed = unconfirmed - lost, status = 'pending'
         from (select queue_id, count(*) as lost from contacts where status = 'unconfirmed' and reason = 'worker_lost'
               group by queue_id) c
         where c.queue_id = q.queue_id",
        "update contacts set status = 'pending', requeued = true
         where status = 'unconfirmed' and reason = 'worker_lost'",
        "update attempts set outcome = 'not_sent', next_look_at = null where reason = 'worker_lost'",
    ] {
        sqlx::query(statement).execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    Ok(())
}
