//! What happens around the workers: leases that run out, requests that were held up, webhooks, people, and time.

use chrono::TimeDelta;
use regua_domain::{ContactId, ControlAction, QueueStatus};
use regua_store::contacts::{self, Finding, Locked, Unconfirmed};
use regua_store::evidence::Source;
use regua_store::{lanes, queues, webhook_events};
use serde_json::json;

use super::plan::{Action, Step, Verdict};
use super::stage::{Person, queue_id};
use super::world::{LEASE, World};

pub(super) async fn happen(world: &mut World<'_>, step: &Step) -> anyhow::Result<()> {
    match *step {
        Step::Crash { worker } => {
            if world.workers[worker].working.take().is_some() {
                world.tell(format!("worker {worker} crashes"));
            }
        }
        Step::Expire { lane } => expire(world, lane % world.plan.lanes).await?,
        Step::Beat { worker } => beat(world, worker).await?,
        Step::Leave => world.leave_all(),
        Step::See(sight) => {
            world.tell(format!("the gateway's history shows: {sight:?}"));
            world.gateway.sight = sight;
        }
        Step::Forget { replica } => world.replicas[replica].hand.clear(),
        Step::Tell { message } => tell(world, message).await?,
        Step::Decide { contact, verdict } => decide(world, contact, verdict).await?,
        Step::Control { queue, action } => control(world, queue, action).await?,
        Step::Pass { seconds } => {
            world.tell(format!("{seconds} seconds pass"));
            world.pass(TimeDelta::seconds(seconds));
        }
        Step::Work { .. } | Step::Look { .. } => {}
    }
    Ok(())
}

impl World<'_> {
    pub(super) fn leave_all(&mut self) {
        let before = self.gateway.ledger.len();
        self.gateway.leave_all(self.now);
        let left: Vec<_> = self.gateway.ledger[before..].iter().map(|message| message.reference.clone()).collect();
        for reference in left {
            let person = self.person(&reference);
            self.tell(format!("what was held up leaves, to contact {person}"));
        }
    }
}

/// The lease runs out in PostgreSQL. Its holder has stopped to count on it by its own clock before that.
pub(super) async fn expire(world: &mut World<'_>, lane: usize) -> anyhow::Result<()> {
    for worker in &world.workers {
        if let Some(working) = worker.working.as_ref().filter(|working| working.lane == lane) {
            working.session.distrust();
        }
    }
    let instance = world.stage.tenant.instances[lane];
    #[expect(clippy::disallowed_methods, reason = "a test plays the time that passes")]
    let done = sqlx::query(
        "update lanes set lease_expires_at = now() - interval '1 second'
         where instance_id = $1 and leased_by is not null",
    )
    .bind(instance.0)
    .execute(&world.stage.pool)
    .await?;
    if done.rows_affected() > 0 {
        world.tell(format!("the lease of lane {lane} runs out"));
    }
    Ok(())
}

async fn beat(world: &mut World<'_>, n: usize) -> anyhow::Result<()> {
    let Some(working) = &world.workers[n].working else { return Ok(()) };
    let stage = world.stage;
    let beat = (stage.tenant.id, stage.tenant.instances[working.lane], working.session.epoch());
    let kept = lanes::heartbeat(&mut *stage.pool.acquire().await?, &[beat], LEASE).await?;
    if kept.is_empty() {
        working.session.distrust();
    }
    world.tell(format!("worker {n} prolongs its lease: {}", if kept.is_empty() { "lost" } else { "kept" }));
    Ok(())
}

/// The gateway tells of a message that left: late, early or again.
async fn tell(world: &mut World<'_>, n: usize) -> anyhow::Result<()> {
    if world.gateway.ledger.is_empty() {
        return Ok(());
    }
    let message = world.gateway.ledger[n % world.gateway.ledger.len()].clone();
    let n = world.person(&message.reference);
    let Person { queue, phone, reference, .. } = &world.people[n];
    let data = json!({
        "key": {"fromMe": true, "id": message.id, "remoteJid": format!("{}@s.whatsapp.net", &phone[1..])},
        "message": {"conversation": format!("Ref. {reference}")},
        "messageTimestamp": message.left_at.timestamp(),
    });
    let stage = world.stage;
    let instance = stage.lane(world.plan, *queue);
    let conn = &mut *stage.pool.acquire().await?;
    webhook_events::insert(conn, stage.tenant.id, instance, "send.message", &data, world.now).await?;
    world.replicas[0].replica.match_webhooks().await?;
    world.tell(format!("the gateway tells of message {} to contact {n}", message.id));
    Ok(())
}

/// What the API does when a person decides. A person confirms only what is true.
async fn decide(world: &mut World<'_>, n: usize, verdict: Verdict) -> anyhow::Result<()> {
    let n = n % world.people.len();
    let Person { id, reference, .. } = &world.people[n];
    let (tenant, now) = (world.stage.tenant.id, world.now);
    let mut transaction = world.stage.pool.begin().await?;
    let conn = &mut *transaction;
    let Locked::Unconfirmed(contact) = contacts::lock_unconfirmed(conn, tenant, ContactId(*id), now).await? else {
        transaction.commit().await?;
        return Ok(());
    };
    let Unconfirmed { key, queue_status, .. } = contact;
    let has_left = world.gateway.of(reference).next().is_some();
    match verdict {
        Verdict::Confirm if has_left => {
            let finding = Finding::Left { message_id: None, at: now };
            contacts::learn(conn, key, Source::Operator, &finding, Some("Ana"), now).await?;
        }
        Verdict::Resend if queue_status != QueueStatus::Cancelled => {
            contacts::resend(conn, &contact, now).await?;
            world.resends.entry(n).or_default().1 += 1;
        }
        Verdict::GiveUp => contacts::give_up(conn, &contact, "Ana", now).await?,
        Verdict::Confirm | Verdict::Resend => return Ok(()),
    }
    transaction.commit().await?;
    world.tell(format!("a person decides contact {n}: {verdict:?}"));
    Ok(())
}

/// What the API does when a person controls a queue.
pub(super) async fn control(world: &mut World<'_>, queue: usize, action: Action) -> anyhow::Result<()> {
    let tenant = world.stage.tenant.id;
    let mut transaction = world.stage.pool.begin().await?;
    let Some(locked) = queues::lock(&mut transaction, &[(tenant, queue_id(queue))]).await?.pop() else {
        return Ok(());
    };
    let asked = match action {
        Action::Pause => ControlAction::Pause,
        Action::Resume => ControlAction::Resume,
        Action::Cancel => ControlAction::Cancel,
    };
    let Ok(after) = locked.status.after(asked, false) else { return Ok(()) };
    if after == locked.status {
        return Ok(());
    }
    queues::set_status(&mut transaction, tenant, locked.queue_id, after, None, world.now).await?;
    if after == QueueStatus::Cancelled {
        contacts::cancel_unsent(&mut transaction, tenant, locked.queue_id, world.now).await?;
    }
    transaction.commit().await?;
    world.tell(format!("a person asks queue {queue} to {}", asked.as_str()));
    Ok(())
}
