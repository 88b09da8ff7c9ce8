//! Actors that do one thing wrong. The model must find each of them out, or it proves nothing of the right ones.

use regua_domain::{ContactStatus, QueueId};
use regua_evolution::Outcome;
use regua_store::attempts::Sought;
use regua_store::contacts::{self, Claimed, Locked};
use regua_store::queues::{self, CountChange};
use regua_worker::protocol::Marking;
use uuid::Uuid;

use super::worker::Working;
use super::world::World;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    Nothing,
    /// A worker that hears that its lane is somebody else's, and goes on.
    AsksNoFence,
    /// A worker that posts, and then writes down what it is about to do.
    PostsBeforeItMarks,
    /// A periodic that has what is unconfirmed sent again without a look.
    ResendsBlindly,
    /// A takeover that has the attempts of a lost worker made again.
    RetriesWhatWasLost,
}

/// An attempt beside the lane, under an epoch that has passed.
#[expect(clippy::disallowed_methods, reason = "it does what no statement of the store does")]
pub(super) async fn mark_without_the_fence(
    world: &World<'_>,
    contact: &Claimed,
    marking: &Marking,
    lease_epoch: i64,
) -> anyhow::Result<()> {
    let mut transaction = world.stage.pool.begin().await?;
    let found = "select status, queue_id from contacts where contact_id = $1";
    let (status, queue): (String, Uuid) =
        sqlx::query_as(found).bind(contact.contact_id.0).fetch_one(&mut *transaction).await?;
    let mark = "update contacts
                set status = 'sending', attempts = attempts + 1, attempt_id = $2, attempt_epoch = $3,
                    attempt_worker = 'broken', attempt_started_at = $4
                where contact_id = $1";
    sqlx::query(mark)
        .bind(contact.contact_id.0)
        .bind(marking.attempt().0)
        .bind(lease_epoch)
        .bind(world.now)
        .execute(&mut *transaction)
        .await?;
    let change = CountChange::moved(status.parse()?, ContactStatus::Sending);
    queues::change_counts(&mut transaction, &[(world.stage.tenant.id, QueueId(queue), change)], world.now).await?;
    transaction.commit().await?;
    Ok(())
}

/// The mark that should have come before the request.
pub(super) async fn mark_after_the_post(
    world: &mut World<'_>,
    working: &mut Working,
    contact: Claimed,
    marking: Marking,
    outcome: Outcome,
) -> anyhow::Result<()> {
    world.tell(format!("contact {} is marked after its request", world.person_of(contact.contact_id)));
    working.marked_late(contact, marking, &outcome).await
}

/// Whatever is unconfirmed is sent again.
pub(super) async fn resend(world: &World<'_>, sought: &Sought) -> anyhow::Result<()> {
    let mut transaction = world.stage.pool.begin().await?;
    let locked = contacts::lock_unconfirmed(&mut transaction, sought.key.tenant, sought.key.contact, world.now).await?;
    if let Locked::Unconfirmed(contact) = locked {
        contacts::resend(&mut transaction, &contact, world.now).await?;
    }
    transaction.commit().await?;
    Ok(())
}

/// What was open when its worker was lost counts as not sent.
#[expect(clippy::disallowed_methods, reason = "it does what no statement of the store does")]
pub(super) async fn retry_what_was_lost(world: &World<'_>) -> anyhow::Result<()> {
    let mut transaction = world.stage.pool.begin().await?;
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
