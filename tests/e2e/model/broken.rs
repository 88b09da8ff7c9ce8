//! Actors that do one thing wrong. The model must find each of them out, or it proves nothing of the right ones.

use regua_evolution::Outcome;
use regua_store::attempts::{self, NewAttempt, Sought};
use regua_store::contacts::{self, Claimed, Locked};
use regua_worker::protocol::Marking;

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
    lane: usize,
    contact: &Claimed,
    marking: &Marking,
    lease_epoch: i64,
) -> anyhow::Result<()> {
    let mut transaction = world.stage.pool.begin().await?;
    let number: i16 =
        sqlx::query_scalar("update contacts set attempts = attempts + 1 where contact_id = $1 returning attempts")
            .bind(contact.contact_id.0)
            .fetch_one(&mut *transaction)
            .await?;
    let attempt = NewAttempt {
        tenant_id: world.stage.tenant.id,
        attempt_id: marking.attempt(),
        contact_id: contact.contact_id,
        instance_id: world.stage.tenant.instances[lane],
        number,
        reference: contact.reference.clone(),
        lease_epoch,
    };
    attempts::open(&mut transaction, "broken", &[attempt], world.now).await?;
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
    world.tell(format!("contact {} is marked after its request", world.person(&contact.reference)));
    working.marked_late(contact, marking, &outcome).await
}

/// Whatever is unconfirmed is sent again.
pub(super) async fn resend(world: &World<'_>, sought: &Sought) -> anyhow::Result<()> {
    let mut transaction = world.stage.pool.begin().await?;
    let locked = contacts::lock_unconfirmed(&mut transaction, sought.tenant_id, sought.contact_id, world.now).await?;
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
