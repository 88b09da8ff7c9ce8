//! Steps outside of workers and replicas: expiring leases, delayed messages, webhooks, operators, and time.

use chrono::TimeDelta;
use regua_domain::{ContactId, ControlAction, EvidenceSource, GatewayEventName, LaneKey, QueueStatus};
use regua_store::contacts::{self, Evidence, Locked, Unconfirmed};
use regua_store::lanes;
use regua_store::{queues, webhook_events};
use serde_json::json;

use super::case::{Case, LEASE};
use super::fixture::{Contact, queue_id};
use super::plan::{Action, OperatorDecision, Step};

pub(super) async fn apply(case: &mut Case<'_>, step: &Step) -> anyhow::Result<()> {
    match *step {
        Step::Crash { worker } => {
            if case.workers[worker].held.take().is_some() {
                case.record(format!("worker {worker} crashes"));
            }
        }
        Step::Expire { lane } => expire(case, lane % case.plan.lanes).await?,
        Step::Heartbeat { worker } => heartbeat(case, worker).await?,
        Step::ReleaseHeldUp => case.leave_all(),
        Step::ShowHistory(history_view) => {
            case.record(format!("the gateway's history shows: {history_view:?}"));
            case.gateway.history_view = history_view;
        }
        Step::RestartReplica { replica } => case.replicas[replica].attempts.clear(),
        Step::Webhook { message } => deliver_webhook(case, message).await?,
        Step::Decide { contact, decision } => decide(case, contact, decision).await?,
        Step::Control { queue, action } => control(case, queue, action).await?,
        Step::AdvanceClock { seconds } => {
            case.record(format!("{seconds} seconds pass"));
            case.advance_clock(TimeDelta::seconds(seconds));
        }
        Step::Work { .. } | Step::Look { .. } => {}
    }
    Ok(())
}

impl Case<'_> {
    pub(super) fn leave_all(&mut self) {
        let before = self.gateway.ledger.len();
        self.gateway.leave_all(self.now);
        let left: Vec<_> = self.gateway.ledger[before..].iter().map(|message| message.reference.clone()).collect();
        for reference in left {
            let contact = self.index_of_reference(&reference);
            self.record(format!("a held-up message to contact {contact} leaves"));
        }
    }
}

/// The lease expires in PostgreSQL. By its own clock the holder has stopped to use the lease before that.
pub(super) async fn expire(case: &mut Case<'_>, lane: usize) -> anyhow::Result<()> {
    for worker in &case.workers {
        if let Some(held) = worker.held.as_ref().filter(|held| held.lane == lane) {
            held.manual.end_lease();
        }
    }
    let instance = case.fixture.tenant.instances[lane];
    #[expect(clippy::disallowed_methods, reason = "a test simulates the time that passes")]
    let done = sqlx::query(
        "update lanes set lease_expires_at = now() - interval '1 second'
         where instance_id = $1 and leased_by is not null",
    )
    .bind(instance.0)
    .execute(&case.fixture.pool)
    .await?;
    if done.rows_affected() > 0 {
        case.record(format!("the lease of lane {lane} expires"));
    }
    Ok(())
}

async fn heartbeat(case: &mut Case<'_>, n: usize) -> anyhow::Result<()> {
    let Some(held) = &case.workers[n].held else { return Ok(()) };
    let fixture = case.fixture;
    let lane = LaneKey { tenant: fixture.tenant.id, instance: fixture.tenant.instances[held.lane] };
    let renewed = lanes::heartbeat(&mut *fixture.pool.acquire().await?, &[(lane, held.manual.epoch())], LEASE).await?;
    if renewed.is_empty() {
        held.manual.end_lease();
    }
    case.record(format!("worker {n} renews its lease: {}", if renewed.is_empty() { "lost" } else { "renewed" }));
    Ok(())
}

/// The gateway posts a webhook about a message that left: early, late or repeated.
async fn deliver_webhook(case: &mut Case<'_>, n: usize) -> anyhow::Result<()> {
    if case.gateway.ledger.is_empty() {
        return Ok(());
    }
    let message = case.gateway.ledger[n % case.gateway.ledger.len()].clone();
    let n = case.index_of_reference(&message.reference);
    let Contact { queue, phone, reference, .. } = &case.contacts[n];
    let data = json!({
        "key": {"fromMe": true, "id": message.id, "remoteJid": format!("{}@s.whatsapp.net", &phone[1..])},
        "message": {"conversation": format!("Ref. {reference}")},
        "messageTimestamp": message.left_at.timestamp(),
    });
    let fixture = case.fixture;
    let instance = fixture.lane(case.plan, *queue);
    let conn = &mut *fixture.pool.acquire().await?;
    let (tenant, event) = (fixture.tenant.id, GatewayEventName::SendMessage);
    webhook_events::insert_gateway_event(conn, tenant, instance, event, &data.to_string(), true, case.now).await?;
    case.replicas[0].replica.match_webhooks().await?;
    case.record(format!("the gateway posts a webhook of message {} to contact {n}", message.id));
    Ok(())
}

/// An operator decision, as the API applies it. The operator confirms only a message that left.
async fn decide(case: &mut Case<'_>, n: usize, decision: OperatorDecision) -> anyhow::Result<()> {
    let n = n % case.contacts.len();
    let Contact { id, reference, .. } = &case.contacts[n];
    let (tenant, now) = (case.fixture.tenant.id, case.now);
    let mut transaction = case.fixture.pool.begin().await?;
    let conn = &mut *transaction;
    let Locked::Unconfirmed(contact) = contacts::lock_unconfirmed(conn, tenant, ContactId(*id), now).await? else {
        transaction.commit().await?;
        return Ok(());
    };
    let Unconfirmed { key, queue_status, .. } = contact;
    let has_left = case.gateway.of(reference).next().is_some();
    match decision {
        OperatorDecision::Confirm if has_left => {
            let evidence = Evidence::Left { message_id: None, at: now };
            contacts::learn(conn, key, EvidenceSource::Operator, &evidence, Some("Ana"), now).await?;
        }
        OperatorDecision::Resend if queue_status != QueueStatus::Cancelled => {
            contacts::resend(conn, &contact, now).await?;
            case.resends.entry(n).or_default().1 += 1;
        }
        OperatorDecision::GiveUp => contacts::give_up(conn, &contact, "Ana", now).await?,
        OperatorDecision::Confirm | OperatorDecision::Resend => return Ok(()),
    }
    transaction.commit().await?;
    case.record(format!("an operator decides contact {n}: {decision:?}"));
    Ok(())
}

/// A queue control, as the API applies it.
pub(super) async fn control(case: &mut Case<'_>, queue: usize, action: Action) -> anyhow::Result<()> {
    let tenant = case.fixture.tenant.id;
    let mut transaction = case.fixture.pool.begin().await?;
    let Some(locked) = queues::lock(&mut transaction, &[(tenant, queue_id(queue))]).await?.pop() else {
        return Ok(());
    };
    let control = match action {
        Action::Pause => ControlAction::Pause,
        Action::Resume => ControlAction::Resume,
        Action::Cancel => ControlAction::Cancel,
    };
    let Ok(after) = locked.status.after(control, false) else { return Ok(()) };
    if after == locked.status {
        return Ok(());
    }
    queues::set_status(&mut transaction, tenant, locked.queue_id, after, None, case.now).await?;
    if after == QueueStatus::Cancelled {
        contacts::cancel_unsent(&mut transaction, tenant, locked.queue_id, case.now).await?;
    }
    transaction.commit().await?;
    case.record(format!("an operator controls queue {queue}: {}", control.as_str()));
    Ok(())
}
