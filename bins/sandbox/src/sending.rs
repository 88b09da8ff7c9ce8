//! The work of one send, in Evolution's order: number lookup, delay, frame write, row, event, answer. A fault may replace
//! the answer or prevent the send. `routes` checks bodies and keys before.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::answer::{Answer, AnswerBody};
use crate::faults::{Effect, Fault, FaultOn};
use crate::history::StoredMessage;
use crate::instance::{Instance, InstanceState, Link};
use crate::ledger::LedgerEntry;
use crate::numbers::canonical_jid;
use crate::sandbox::Sandbox;
use crate::settings::Integration;

pub(crate) struct Order {
    pub(crate) instance: Arc<Instance>,
    pub(crate) number: String,
    /// The ledger's text: the text, the caption, or the description of buttons.
    pub(crate) text: String,
    pub(crate) message_type: String,
    pub(crate) message: Value,
    pub(crate) delay: Duration,
    pub(crate) received_at: i64,
}

pub(crate) async fn send(sandbox: Sandbox, order: Order) -> Answer {
    let fault = sandbox.strike(FaultOn::Send, &order.instance.name, Some(&order.number)).await;
    if fault.message_leaves() {
        let answer = transmit(&sandbox, &order, fault.effect != Effect::Database400).await;
        // A refused message did not leave, so the fault does not replace the refusal.
        if fault.effect == Effect::None || answer.status != StatusCode::CREATED {
            return answer;
        }
    }
    answer_of(&fault, &order.instance.name)
}

/// The answer of a fault's effect.
pub(crate) fn answer_of(fault: &Fault, instance: &str) -> Answer {
    match fault.effect {
        Effect::ReplyLost => Answer::CUT,
        Effect::Hang => Answer::HANG,
        Effect::ConnectionClosed400 => Answer::thrown("Error: Connection Closed"),
        Effect::TimedOut400 => Answer::thrown("Error: Timed Out"),
        Effect::Database400 => {
            Answer::thrown("PrismaClientKnownRequestError: Can't reach database server at `127.0.0.1:5432`")
        }
        Effect::ConnectionClosed500 => Answer::internal("Connection Closed"),
        Effect::Envelope500 => Answer::internal("Cannot read properties of undefined (reading 'find')"),
        Effect::Unauthorized401 => Answer::unauthorized(),
        Effect::NotFound404 => Answer::no_such_instance(instance),
        Effect::Html502 => {
            let page = "<html><head><title>502 Bad Gateway</title></head></html>";
            Answer { status: StatusCode::BAD_GATEWAY, body: AnswerBody::Html(page) }
        }
        Effect::License503 => Answer::raw(
            StatusCode::SERVICE_UNAVAILABLE,
            json!({"error": "service not activated", "code": "LICENSE_REQUIRED", "register_url": "", "instance_id": ""}),
        ),
        Effect::None | Effect::Empty201 | Effect::FindSeesNothing => {
            Answer { status: StatusCode::CREATED, body: AnswerBody::Empty }
        }
    }
}

/// `is_stored`: Evolution's database works.
async fn transmit(sandbox: &Sandbox, order: &Order, is_stored: bool) -> Answer {
    let instance = &order.instance;
    let link = instance.link();
    if link.state == InstanceState::Absent {
        return Answer::internal("Cannot read properties of undefined (reading 'textMessage')");
    }
    if instance.integration == Integration::Evolution {
        sleep(order.delay).await;
        return write_frame(sandbox, order, order.number.clone(), is_stored);
    }
    let jid = canonical_jid(&order.number);
    if let Err(refusal) = look_up(sandbox, order, link, &jid) {
        return refusal;
    }
    sleep(order.delay).await;
    match instance.link() {
        Link { state: InstanceState::Open, .. } => write_frame(sandbox, order, jid, is_stored),
        Link { authenticated: false, .. } if order.delay.is_zero() => {
            Answer::thrown("TypeError: Cannot read properties of undefined (reading 'id')")
        }
        _ => Answer::thrown("Error: Connection Closed"),
    }
}

/// A number that is not cached needs a connection to WhatsApp.
fn look_up(sandbox: &Sandbox, order: &Order, link: Link, jid: &str) -> Result<(), Answer> {
    let directory = &sandbox.directory;
    if directory.is_cached(jid) {
        return Ok(());
    }
    if !link.ever_connected {
        return Err(Answer::internal("Cannot read properties of undefined (reading 'onWhatsApp')"));
    }
    if link.state != InstanceState::Open {
        return Err(Answer::internal("Connection Closed"));
    }
    if directory.look_up(&order.number, jid) {
        return Ok(());
    }
    Err(Answer::bad_request(json!([{"jid": jid, "exists": false, "number": order.number}])))
}

/// The message leaves here, even if the answer is lost.
fn write_frame(sandbox: &Sandbox, order: &Order, remote_jid: String, is_stored: bool) -> Answer {
    let now = sandbox.now();
    let row = row_of(sandbox, order, remote_jid, now.timestamp());
    let entry = LedgerEntry {
        sequence: 0,
        instance: order.instance.name.clone(),
        number: order.number.clone(),
        remote_jid: row.remote_jid.clone(),
        text: order.text.clone(),
        message_id: row.key_id.clone(),
        received_at: order.received_at,
        left_at: now.timestamp_millis(),
    };
    sandbox.ledger.append(entry, is_stored.then_some(&row));
    let body = sent_body(&row, &order.instance);
    // The EVOLUTION channel posts its event before the INSERT, Baileys after it.
    if is_stored || order.instance.integration == Integration::Evolution {
        sandbox.emit(&order.instance, "send.message", || body.clone());
    }
    if is_stored {
        let key_id = row.key_id.clone();
        order.instance.history.store(row);
        schedule_statuses(sandbox, &order.instance, key_id);
    }
    Answer::created(body)
}

fn row_of(sandbox: &Sandbox, order: &Order, remote_jid: String, timestamp: i64) -> StoredMessage {
    let baileys = order.instance.integration == Integration::Baileys;
    StoredMessage {
        id: sandbox.ids.uuid().to_string(),
        key_id: if baileys { sandbox.ids.message_id() } else { sandbox.ids.uuid().to_string() },
        remote_jid,
        remote_jid_alt: None,
        from_me: true,
        push_name: baileys.then(|| "Você".to_owned()),
        message_type: order.message_type.clone(),
        message: order.message.clone(),
        timestamp,
        source: if baileys { "web" } else { "unknown" }.to_owned(),
        updates: Vec::new(),
    }
}

fn sent_body(row: &StoredMessage, instance: &Instance) -> Value {
    let mut body = json!({
        "key": {"fromMe": true, "id": row.key_id, "remoteJid": row.remote_jid}, "message": row.message,
        "messageType": row.message_type, "messageTimestamp": row.timestamp, "source": row.source,
        "instanceId": instance.id,
    });
    if let Some(push_name) = &row.push_name {
        body["pushName"] = json!(push_name);
        body["status"] = json!("PENDING");
        body["contextInfo"] = json!(null);
    }
    body
}

/// DELIVERY_ACK and READ of the recipient's phone, each after its time. Only WhatsApp has statuses.
fn schedule_statuses(sandbox: &Sandbox, instance: &Arc<Instance>, key_id: String) {
    let times = sandbox.statuses();
    if instance.integration != Integration::Baileys || (times.delivery_ack_ms, times.read_ms) == (None, None) {
        return;
    }
    let (handle, instance) = (sandbox.clone(), Arc::clone(instance));
    sandbox.spawn_until_shutdown(async move {
        let mut waited = 0;
        for (status, after) in [("DELIVERY_ACK", times.delivery_ack_ms), ("READ", times.read_ms)] {
            let Some(after) = after else { continue };
            sleep(Duration::from_millis(after.saturating_sub(waited))).await;
            waited = waited.max(after);
            post_status(&handle, &instance, &key_id, status);
        }
    });
}

fn post_status(sandbox: &Sandbox, instance: &Instance, key_id: &str, status: &'static str) {
    let update_id = sandbox.ids.uuid().to_string();
    let Some((row_id, remote_jid)) = instance.history.add_status(key_id, update_id, status) else { return };
    sandbox.emit(instance, "messages.update", || {
        json!({
            "keyId": key_id, "remoteJid": remote_jid, "fromMe": true, "status": status, "instanceId": instance.id,
            "messageId": row_id,
        })
    });
}
