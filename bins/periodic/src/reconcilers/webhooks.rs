//! Webhooks of the gateway, matched with the attempts they are about: a message that left proves its attempt, and a status
//! moves a sent contact on. The API only stores them.

use std::time::Duration;

use chrono::TimeDelta;
use regua_domain::{PhoneNumber, Reference};
use regua_evolution::is_same_text;
use regua_evolution::webhook::{Message, MessageStatus, Recipient, Told, told};
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
    let taking = async {
        let mut transaction = context.pool.begin().await?;
        let events = webhook_events::take_due(&mut transaction, now, HOLD, BOUND).await?;
        transaction.commit().await?;
        Ok::<_, sqlx::Error>(events)
    };
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
    let now = context.clock.now();
    let age = now - event.received_at;
    let mut transaction = context.pool.begin().await?;
    // An old one is looked at once, too: it may have waited for us, and not for what it is about.
    let is_done = is_done(&mut transaction, context, event).await? || age > WAITS;
    if is_done {
        webhook_events::delete(&mut transaction, event.tenant_id, event.id).await?;
    } else {
        // The longer it has waited in vain, the longer until the next look, so that those that never match (what is typed
        // on the phone has statuses, too) do not stand in the others' way.
        let next = now + (age / 2).clamp(TimeDelta::seconds(30), TimeDelta::hours(1));
        webhook_events::postpone(&mut transaction, event.tenant_id, event.id, next).await?;
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
            let (tenant, instance, at) = (event.tenant_id, event.instance_id, event.received_at);
            Ok(contacts::note_delivery(conn, tenant, instance, &message_id, delivery, at).await?)
        }
        Told::Nothing => Ok(true),
    }
}

/// A message that is a contact's proves that it left.
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
    let Some(attempt) = candidates.into_iter().find(|candidate| is_of(candidate, message)) else { return Ok(()) };
    let finding = Finding::Left { message_id: Some(message.message_id.clone()), at: left_at };
    let now = context.clock.now();
    let learnt = contacts::learn(conn, attempt.key, Source::Webhook, &finding, None, now).await?;
    note(context, Source::Webhook.as_str(), learnt);
    Ok(())
}

/// It went to that contact's number (a LID tells none), and is the text that was made for it: to quote a reference is not to
/// send its message.
fn is_of(candidate: &Candidate, message: &Message) -> bool {
    let is_to = match message.recipient() {
        Recipient::Lid => true,
        Recipient::Other => false,
        Recipient::Number(digits) => PhoneNumber::from_stored(&candidate.phone)
            .is_ok_and(|number| number.whatsapp_digits().iter().any(|known| known == digits)),
    };
    is_to && is_same_text(&message.text, &candidate.text)
}
