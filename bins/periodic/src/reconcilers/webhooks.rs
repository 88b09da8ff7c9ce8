//! Webhooks of the gateway, matched with the attempts they are about: a message that left proves its attempt, and a status
//! moves a sent contact on. The API only stores them.

use std::time::Duration;

use chrono::TimeDelta;
use regua_domain::{PhoneNumber, Reference};
use regua_evolution::webhook::{Message, MessageStatus, Told, told};
use regua_store::attempts::{self, Candidate};
use regua_store::contacts::{self, Delivery, Finding};
use regua_store::evidence::Source;
use regua_store::webhook_events::{self, WebhookEvent};
use regua_store::{PATIENCE, within};
use sqlx::PgConnection;

use super::unconfirmed::note;
use crate::Context;

/// Webhooks that one round matches at most.
const BOUND: i64 = 500;

/// For how long a replica has what it took, and after which one that was early is looked at again.
const HOLD: Duration = Duration::from_secs(30);

/// How long a status waits for the outcome of the send it is about: a worker may have died in between.
const WAITS: TimeDelta = TimeDelta::hours(24);

/// Matches everything that is due.
pub(super) async fn round(context: &Context) -> anyhow::Result<u64> {
    let now = context.clock.now();
    let taking = async { webhook_events::take_due(&mut *context.pool.acquire().await?, now, HOLD, BOUND).await };
    let events = within(PATIENCE, taking).await?;
    let mut matched = 0;
    for event in events {
        match within(PATIENCE, settle(context, &event)).await {
            Ok(is_done) => matched += u64::from(is_done),
            Err(error) => tracing::warn!(webhook_event_id = %event.id, error = format!("{error:#}"), "not matched"),
        }
    }
    Ok(matched)
}

async fn settle(context: &Context, event: &WebhookEvent) -> anyhow::Result<bool> {
    let is_old = event.received_at + WAITS < context.clock.now();
    let mut transaction = context.pool.begin().await?;
    let is_done = is_done(&mut transaction, context, event).await? || is_old;
    if is_done {
        webhook_events::delete(&mut transaction, event.tenant_id, event.id).await?;
    }
    transaction.commit().await?;
    Ok(is_done)
}

/// Whether nothing more can be learnt of it.
async fn is_done(conn: &mut PgConnection, context: &Context, event: &WebhookEvent) -> anyhow::Result<bool> {
    match told(&event.event, &event.data) {
        Told::Left(message) => {
            prove(conn, context, event, &message).await?;
            Ok(true)
        }
        Told::Status { message_id, status, message } => {
            if let Some(message) = message {
                prove(conn, context, event, &message).await?;
            }
            let delivery = match status {
                MessageStatus::Delivered => Delivery::Delivered,
                MessageStatus::Read => Delivery::Read,
                MessageStatus::Error => Delivery::Refused,
                MessageStatus::Other => return Ok(true),
            };
            Ok(contacts::note_delivery(conn, event.tenant_id, &message_id, delivery, event.received_at).await?)
        }
        Told::Nothing => Ok(true),
    }
}

/// A message that carries the reference of a contact, and went to that contact's number, is that contact's.
async fn prove(
    conn: &mut PgConnection,
    context: &Context,
    event: &WebhookEvent,
    message: &Message,
) -> anyhow::Result<()> {
    let references: Vec<_> =
        Reference::candidates(&message.text).iter().map(|reference| reference.to_string()).collect();
    let left_at = message.left_at.unwrap_or(event.received_at);
    let (tenant, instance) = (event.tenant_id, event.instance_id);
    let candidates = attempts::carrying(conn, tenant, instance, &references, &message.message_id, left_at).await?;
    let Some(attempt) = candidates.into_iter().find(|candidate| is_to(candidate, message)) else { return Ok(()) };
    let finding = Finding::Left { message_id: Some(message.message_id.clone()), at: left_at };
    let now = context.clock.now();
    let learnt = contacts::learn(conn, tenant, attempt.attempt_id, Source::Webhook, &finding, None, now).await?;
    note(context, Source::Webhook.as_str(), learnt);
    Ok(())
}

/// A LID tells no number, and then the reference alone must do.
fn is_to(candidate: &Candidate, message: &Message) -> bool {
    let Some(digits) = message.digits() else { return true };
    PhoneNumber::from_stored(&candidate.phone)
        .is_ok_and(|number| number.whatsapp_digits().iter().any(|known| known == digits))
}
