//! Matches events of the gateway with attempts: a message that left is evidence for its attempt, and a status is a sent
//! contact's delivery.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use chrono::TimeDelta;
use futures_util::FutureExt;
use regua_domain::{EvidenceSource, PhoneNumber, Reference};
use regua_evolution::is_same_text;
use regua_evolution::webhook::{GatewayEvent, Message, MessageStatus, Recipient, read_event};
use regua_store::attempts::{self, Candidate};
use regua_store::contacts::{self, DeliveryStatus, Evidence};
use regua_store::webhook_events::{self, PassBudget, StoredGatewayEvent};
use regua_store::{dead_letters, is_unavailable, transact};
use sqlx::PgConnection;

use super::Pass;
use crate::context::Context;

/// How much one pass reads. An event of 64 Ki characters has at most 384 KiB, and one of an earlier version 1 MiB.
const BUDGET: PassBudget = PassBudget { events: 500, events_of_tenant: 100, bytes: 16 << 20 };

/// After so many failed passes in a row an event becomes a dead letter.
const MAX_FAILURES: i16 = 3;

/// The log has the error, which may quote the event.
const DEAD_REASON: &str =
    "its reader failed three times: the log of regua-periodic has the errors, by webhook_event_id";

/// How long events are hidden from other replicas. Then the events of a replica that died are due again.
const VISIBILITY_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a status waits for the outcome of its send, which may have to be searched for first.
const MAX_AGE: TimeDelta = TimeDelta::hours(24);

/// Matches the events that are due.
pub(super) async fn pass(context: &Context) -> anyhow::Result<Pass> {
    let now = context.clock.now();
    let reading = transact(&context.pool, async |conn| {
        webhook_events::take_due_gateway_events(conn, now, VISIBILITY_TIMEOUT, BUDGET).await
    });
    let events = reading.await?;
    let is_full = events.iter().any(|event| event.is_followed);
    let mut pass = Pass { due: events.len(), done: 0, is_full };
    for event in events {
        let matching = transact(&context.pool, async |conn| match_event(conn, context, &event).await);
        // An event that makes its reader panic must not end the process, which would read it again after its start.
        let matched = AssertUnwindSafe(matching).catch_unwind().await;
        match matched.unwrap_or_else(|_| Err(anyhow::anyhow!("a panic"))) {
            Ok(is_done) => pass.done += u64::from(is_done),
            Err(error) => record_failure(context, &event, &error).await?,
        }
    }
    Ok(pass)
}

/// Counts the failure, unless the database was unavailable; the event is due again after the visibility timeout. After
/// the last failure the event becomes a dead letter.
async fn record_failure(context: &Context, event: &StoredGatewayEvent, error: &anyhow::Error) -> anyhow::Result<()> {
    tracing::warn!(webhook_event_id = %event.id, error = format!("{error:#}"), "a webhook event could not be matched");
    if error.downcast_ref().is_some_and(is_unavailable) {
        return Ok(());
    }
    let recording = transact(&context.pool, async |conn| -> anyhow::Result<bool> {
        let failures = webhook_events::record_failure(conn, event.tenant_id, event.id).await?;
        let is_dead = failures.is_some_and(|failures| failures >= MAX_FAILURES);
        if is_dead {
            let now = context.clock.now();
            dead_letters::move_event(conn, event.tenant_id, event.id, DEAD_REASON, now).await?;
        }
        Ok(is_dead)
    });
    if recording.await? {
        context.metrics.webhook_events_dead.inc();
        tracing::error!(webhook_event_id = %event.id, tenant_id = %event.tenant_id,
            "a webhook event goes to the dead letters");
    }
    Ok(())
}

/// Deletes an event that was applied or is too old, and postpones the others.
async fn match_event(conn: &mut PgConnection, context: &Context, event: &StoredGatewayEvent) -> anyhow::Result<bool> {
    let now = context.clock.now();
    let age = now - event.received_at;
    // An event that is too old is applied before it is deleted, because periodic may have been down.
    let is_done = apply(conn, context, event).await? || age > MAX_AGE;
    if is_done {
        webhook_events::delete(conn, event.tenant_id, event.id).await?;
    } else {
        // The pauses grow, so that events that never match (statuses of messages typed on the phone) do not delay
        // others.
        let next = now + (age / 2).clamp(TimeDelta::seconds(30), TimeDelta::hours(1));
        webhook_events::postpone(conn, event.tenant_id, event.id, next).await?;
    }
    Ok(is_done)
}

/// False when the event must wait for the outcome of its send.
async fn apply(conn: &mut PgConnection, context: &Context, event: &StoredGatewayEvent) -> anyhow::Result<bool> {
    match read_event(event.event, &event.data) {
        GatewayEvent::Left(message) => {
            learn_left(conn, context, event, &message).await?;
            Ok(true)
        }
        GatewayEvent::Status { message_id, status, message } => {
            if let Some(message) = message {
                learn_left(conn, context, event, &message).await?;
            }
            let delivery = match status {
                MessageStatus::Delivered => DeliveryStatus::Delivered,
                MessageStatus::Read => DeliveryStatus::Read,
                MessageStatus::Error => DeliveryStatus::Refused,
                MessageStatus::Other => return Ok(true),
            };
            let (tenant, instance, at) = (event.tenant_id, event.instance_id, event.received_at);
            Ok(contacts::record_delivery(conn, tenant, instance, &message_id, delivery, at).await?)
        }
        GatewayEvent::Irrelevant => Ok(true),
    }
}

/// Learns that the message of an attempt left. Does nothing if the message belongs to no attempt.
async fn learn_left(
    conn: &mut PgConnection,
    context: &Context,
    event: &StoredGatewayEvent,
    message: &Message,
) -> anyhow::Result<()> {
    let references: Vec<_> =
        Reference::candidates(&message.text).iter().map(|reference| reference.to_string()).collect();
    let left_at = message.left_at.unwrap_or(event.received_at);
    let (tenant, instance) = (event.tenant_id, event.instance_id);
    let candidates =
        attempts::find_by_reference(conn, tenant, instance, &references, &message.message_id, left_at).await?;
    let Some(attempt) = candidates.into_iter().find(|candidate| is_message_of(candidate, message)) else {
        return Ok(());
    };
    let evidence = Evidence::Left { message_id: Some(message.message_id.clone()), at: left_at };
    let now = context.clock.now();
    let learnt = contacts::learn(conn, attempt.key, EvidenceSource::Webhook, &evidence, None, now).await?;
    context.count_learnt(EvidenceSource::Webhook, learnt);
    Ok(())
}

/// Whether recipient and text are the contact's, because another message may quote the reference. A LID hides the
/// number, so the text alone decides.
fn is_message_of(candidate: &Candidate, message: &Message) -> bool {
    let has_number = match message.recipient() {
        Recipient::Lid => true,
        Recipient::Other => false,
        Recipient::Number(digits) => PhoneNumber::from_stored(&candidate.phone)
            .is_ok_and(|number| number.whatsapp_digits().iter().any(|known| known == digits)),
    };
    has_number && is_same_text(&message.text, &candidate.text)
}
