//! Data from the network: answers and webhooks of the gateway, messages of the broker, error answers to the command
//! line.

use regua_broker::Doorbell;
use regua_evolution::webhook::{GatewayEvent, Message, MessageStatus, Recipient, read_event};
use regua_evolution::{Outcome, Reply, connection_state};
use serde_json::Value;

use super::{ensure, parts};

pub(super) const WORDS: &[&str] = &[
    "201",
    "400",
    "401",
    "404",
    "500",
    "503",
    "\n---\n",
    "{\"key\":{\"id\":\"3EB0\",\"remoteJid\":\"5511@s.whatsapp.net\"}}",
    "{\"status\":400,\"error\":\"Bad Request\",\"response\":{\"message\":[",
    "]}}",
    "\"Error: Connection Closed\"",
    "{\"exists\":false}",
    "\"fromMe\":true",
    "\"keyId\":\"3EB0\"",
    "\"status\":\"READ\"",
    "send.message",
    "messages.update",
    "\\u0000",
    "\"messageTimestamp\":",
    "@lid",
    "@s.whatsapp.net",
    "\"message\":{\"conversation\":\"Ref. 7K3F9Q\"}",
    "\"Error: Timed Out\"",
];
pub(super) const DOORBELL_WORDS: &[&str] = &[
    "{\"v\":1,",
    "\"v\":2",
    "\"kind\":\"overdue\"",
    "\"kind\":\"resume\"",
    "\"tenant_id\":\"01939fd0-0000-7000-8000-000000000001\"",
    ",",
    "\"queue_id\":\"01939fd0-0000-7000-8000-000000000002\"",
    "}",
];
pub(super) const PROBLEM_WORDS: &[&str] = &[
    "422",
    "503",
    "\n---\n",
    "{\"code\":\"no_valid_contact\",",
    "\"detail\":\"",
    "\"errors\":[",
    "{\"field\":\"contacts[7].phone\",",
    "\"code\":\"x\",",
    "\"message\":\"y\"}",
    "]}",
    "\\u001b[2J",
    "contacts[",
    "]",
    "\\u0007",
];

fn reply(input: &[u8]) -> Reply {
    let (status, body) = parts(input);
    Reply::Answered { status: status.trim().parse().unwrap_or(201), body: body.into_bytes() }
}

pub(super) fn outcome(input: &[u8]) -> Result<String, String> {
    let reply = reply(input);
    let Reply::Answered { status, .. } = reply else { return Err("the reply is an answer".to_owned()) };
    let outcome = regua_evolution::outcome(&reply);
    ensure(outcome == regua_evolution::outcome(&reply), "equal inputs have equal results")?;
    match &outcome {
        Outcome::Sent { message_id, remote_jid } => {
            ensure(status == 201, "only a 201 is sent")?;
            ensure(is_storable(message_id) && !message_id.is_empty(), "a message's id can be stored")?;
            ensure(is_storable(remote_jid), "a jid can be stored")?;
            ensure(
                remote_jid.len() < 8 || !format!("{outcome:?}").contains(remote_jid.as_str()),
                "a jid is masked in Debug",
            )?;
        }
        Outcome::NotSent { .. } => {
            ensure(matches!(status, 400 | 401 | 403 | 404 | 500 | 503), "only some statuses prove that nothing left")?;
        }
        Outcome::Refused { .. } => ensure(status == 400, "only a 400 refuses")?,
        Outcome::Unknown { .. } => {}
    }
    let state = connection_state(&reply);
    Ok(format!("{:?} {state:?}", outcome.reason()))
}

pub(super) fn webhook(input: &[u8]) -> Result<String, String> {
    let (event, data) = parts(input);
    let Ok(value) = serde_json::from_str::<Value>(&data) else { return Ok("no JSON".to_owned()) };
    let Ok(event) = event.parse() else { return Ok("not stored".to_owned()) };
    let said = read_event(event, &data);
    ensure(said == read_event(event, &data), "equal inputs have equal results")?;
    ensure(said == read_event(event, &said.to_data()), "a stored event is read like the one that arrived")?;
    match said {
        GatewayEvent::Irrelevant => Ok("nothing".to_owned()),
        GatewayEvent::Left(message) => is_message(&message).map(|kind| format!("left {kind}")),
        GatewayEvent::Status { message_id, status, message } => {
            ensure(is_storable(&message_id) && !message_id.is_empty(), "a message's id can be stored")?;
            let known = [MessageStatus::Delivered, MessageStatus::Read, MessageStatus::Error, MessageStatus::Other];
            ensure(known.contains(&status) && value["fromMe"] == true, "only our own messages have a status")?;
            let kind = message.as_ref().map(is_message).transpose()?;
            Ok(format!("{status:?} {kind:?}"))
        }
    }
}

fn is_message(message: &Message) -> Result<&'static str, String> {
    ensure(is_storable(&message.message_id) && !message.message_id.is_empty(), "a message's id can be stored")?;
    match message.recipient() {
        Recipient::Number(digits) => {
            ensure(!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()), "a number is digits")?;
            Ok("number")
        }
        Recipient::Lid => Ok("lid"),
        Recipient::Other => Ok("other"),
    }
}

/// Short enough for its column, without control characters.
fn is_storable(text: &str) -> bool {
    text.chars().count() <= 200 && !text.chars().any(char::is_control)
}

pub(super) fn doorbell(input: &[u8]) -> Result<String, String> {
    match Doorbell::from_slice(input) {
        Ok(doorbell) => {
            let again = Doorbell::from_json(&doorbell.to_json())
                .map_err(|error| format!("the text of a doorbell is parsed: {error}"))?;
            ensure(again == doorbell, "the text of a doorbell is parsed to itself")?;
            Ok(match doorbell {
                Doorbell::Queue { kind, .. } => kind.to_string(),
                Doorbell::WebhookEvents => "webhook_events".to_owned(),
            })
        }
        Err(error) => {
            ensure(!error.to_string().is_empty(), "an error has a text")?;
            Ok("unreadable".to_owned())
        }
    }
}

pub(super) fn problem(input: &[u8]) -> Result<String, String> {
    let (status, body) = parts(input);
    let (said, rejected) = regua::harness::problem(status.trim().parse().unwrap_or(422), body.as_bytes());
    ensure(!said.is_empty(), "a problem has a text")?;
    ensure(!said.chars().any(|other| other.is_control() && other != '\n'), "a problem has no control characters")?;
    ensure(said.chars().count() < 25_000, "a problem is short")?;
    Ok(format!("{} {}", said.contains("not the API's"), rejected.min(2)))
}
