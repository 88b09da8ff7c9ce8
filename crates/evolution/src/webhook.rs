//! Gateway events about messages of the fleet. Webhooks arrive out of order and more than once. A webhook's date is a
//! local time labelled as UTC, so only the time of the message in it is read.

mod members;
mod stored;

use chrono::{DateTime, Utc};
use regua_domain::GatewayEventName;
use serde::Deserialize;
use serde_json::value::RawValue;

use self::members::{members, scalar, short_string, string};
use crate::message::{LONGEST_ID, is_message_id};

/// Most characters of a text that are read. No message of the fleet has more than 4096.
const MAX_TEXT: usize = 65_536;

/// Longer than any status of WhatsApp, and than any name of an event.
const MAX_WORD: usize = 64;

/// The report of a webhook.
#[derive(Clone, PartialEq, Eq)]
pub enum GatewayEvent {
    /// A message left.
    Left(Message),
    /// A message that left has a new status.
    Status {
        /// WhatsApp's id of the message.
        message_id: String,
        /// The new status.
        status: MessageStatus,
        /// The message, when the webhook holds it.
        message: Option<Message>,
    },
    /// Not about a message of the fleet.
    Irrelevant,
}

/// A message that left.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// WhatsApp's id of the message (`key.id`).
    pub message_id: String,
    /// The recipient's jid or LID.
    pub remote_jid: String,
    /// Its text, at most 65,536 characters.
    pub text: String,
    /// Whether the text was longer.
    pub is_cut: bool,
    /// When the message left, in whole seconds; `None` when the webhook has no time.
    pub left_at: Option<DateTime<Utc>>,
}

impl Message {
    /// The recipient that the jid names.
    pub fn recipient(&self) -> Recipient<'_> {
        if self.remote_jid.ends_with("@lid") {
            return Recipient::Lid;
        }
        let digits = self.remote_jid.strip_suffix("@s.whatsapp.net").unwrap_or(&self.remote_jid);
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        if is_number { Recipient::Number(digits) } else { Recipient::Other }
    }
}

/// The recipient of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recipient<'a> {
    /// A phone number, digits only.
    Number(&'a str),
    /// A person whose number WhatsApp hides.
    Lid,
    /// A group, a broadcast list, or an invalid jid.
    Other,
}

/// A status of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageStatus {
    /// On the recipient's phone.
    Delivered,
    /// Seen, or played.
    Read,
    /// Refused by WhatsApp.
    Error,
    /// Any other. Evolution also posts `SERVER_ACK` for updates without a status, so it means nothing.
    Other,
}

/// The body of a webhook is not JSON, or names no event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the body of the webhook cannot be read")]
pub struct MalformedWebhook;

/// A webhook's body. The other members, such as the instance's token, are skipped.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    event: &'a RawValue,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

impl GatewayEvent {
    /// Whether the event may prove that a message left.
    pub const fn proves_sending(&self) -> bool {
        matches!(self, Self::Left(_) | Self::Status { message: Some(_), .. })
    }
}

/// Reads the body of a webhook; `None` when the event's name is not one that is stored. It takes less than twice the
/// memory of the body, whatever the body's shape.
///
/// # Errors
/// When the body is not JSON or names no event.
pub fn read_webhook(body: &[u8]) -> Result<Option<(GatewayEventName, GatewayEvent)>, MalformedWebhook> {
    let body = std::str::from_utf8(body).map_err(|_| MalformedWebhook)?;
    let Envelope { event, data } = serde_json::from_str(body).map_err(|_| MalformedWebhook)?;
    if !event.get().starts_with('"') {
        return Err(MalformedWebhook);
    }
    let name = short_string(Some(event.get()), MAX_WORD).and_then(|name| name.parse().ok());
    Ok(name.map(|name| (name, read_event(name, data.map_or("null", RawValue::get)))))
}

/// Reads the `data` of a webhook of this event.
pub fn read_event(event: GatewayEventName, data: &str) -> GatewayEvent {
    match event {
        GatewayEventName::SendMessage => {
            let [key] = members(Some(data), ["key"]);
            let [id, jid] = members(key, ["id", "remoteJid"]);
            message(id, jid, data).map_or(GatewayEvent::Irrelevant, GatewayEvent::Left)
        }
        GatewayEventName::MessagesUpdate => read_update(data),
    }
}

fn read_update(data: &str) -> GatewayEvent {
    let [from_me, id, jid, status] = members(Some(data), ["fromMe", "keyId", "remoteJid", "status"]);
    let message_id = short_string(id, LONGEST_ID).filter(|id| is_message_id(id));
    let Some(message_id) = message_id.filter(|_| scalar(from_me) == Some(true)) else {
        return GatewayEvent::Irrelevant;
    };
    let status = match short_string(status, MAX_WORD).as_deref() {
        Some("DELIVERY_ACK") => MessageStatus::Delivered,
        Some("READ" | "PLAYED") => MessageStatus::Read,
        Some("ERROR") => MessageStatus::Error,
        _ => MessageStatus::Other,
    };
    GatewayEvent::Status { message_id, status, message: message(id, jid, data) }
}

fn message(id: Option<&str>, jid: Option<&str>, data: &str) -> Option<Message> {
    let message_id = short_string(id, LONGEST_ID).filter(|id| is_message_id(id))?;
    let remote_jid = short_string(jid, LONGEST_ID)?;
    let [message, timestamp, cut] = members(Some(data), ["message", "messageTimestamp", "textCut"]);
    // Baileys writes a text that holds a link as an `extendedTextMessage`.
    let [conversation, extended] = members(message, ["conversation", "extendedTextMessage"]);
    let [extended] = members(extended, ["text"]);
    let (text, is_cut) = string(conversation, MAX_TEXT).or_else(|| string(extended, MAX_TEXT))?;
    let left_at = scalar(timestamp).and_then(|seconds| DateTime::from_timestamp(seconds, 0));
    Some(Message { message_id, remote_jid, text, is_cut: is_cut || scalar(cut) == Some(true), left_at })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(event: GatewayEventName, data: &Value) -> GatewayEvent {
        read_event(event, &data.to_string())
    }

    #[test]
    fn send_message_event_reports_a_message_that_left() {
        let data = json!({
            "key": {"fromMe": true, "id": "9caf17c0", "remoteJid": "5511988887777@s.whatsapp.net"},
            "message": {"conversation": "Ref. 7K3F9Q"}, "messageType": "conversation",
            "messageTimestamp": 1_795_229_804, "source": "unknown", "instanceId": "aed3",
        });
        let GatewayEvent::Left(message) = read(GatewayEventName::SendMessage, &data) else { panic!("no message") };
        assert_eq!(
            (message.message_id.as_str(), message.recipient()),
            ("9caf17c0", Recipient::Number("5511988887777"))
        );
        assert_eq!(message.left_at.map(|at| at.timestamp()), Some(1_795_229_804));
    }

    #[test]
    fn jid_names_a_number_a_lid_or_another_recipient() {
        for (jid, expected) in [
            ("120363041234567890@g.us", Recipient::Other),
            ("status@broadcast", Recipient::Other),
            ("", Recipient::Other),
            ("99887766@lid", Recipient::Lid),
            ("5511988887777", Recipient::Number("5511988887777")),
        ] {
            let (message_id, remote_jid) = ("3EB01".to_owned(), jid.to_owned());
            let message = Message { message_id, remote_jid, text: String::new(), is_cut: false, left_at: None };
            assert_eq!(message.recipient(), expected, "{jid}");
        }
    }

    #[test]
    fn status_of_incoming_messages_is_irrelevant() {
        let update = |status: &str, from_me: bool| {
            let data = json!({"keyId": "3EB01", "remoteJid": "1@lid", "fromMe": from_me, "status": status});
            match read(GatewayEventName::MessagesUpdate, &data) {
                GatewayEvent::Status { status, message: None, .. } => Some(status),
                _ => None,
            }
        };
        assert_eq!(update("DELIVERY_ACK", true), Some(MessageStatus::Delivered));
        assert_eq!(update("READ", true), Some(MessageStatus::Read));
        assert_eq!(update("ERROR", true), Some(MessageStatus::Error));
        assert_eq!(update("SERVER_ACK", true), Some(MessageStatus::Other));
        assert_eq!(update("READ", false), None);
    }

    #[test]
    fn malformed_events_are_irrelevant() {
        for data in [json!(null), json!([]), json!({"key": {"id": 5}}), json!({"key": {"id": ""}, "message": "x"})] {
            assert!(read(GatewayEventName::SendMessage, &data) == GatewayEvent::Irrelevant);
            assert!(read(GatewayEventName::MessagesUpdate, &data) == GatewayEvent::Irrelevant);
        }
    }

    #[test]
    fn stored_event_is_read_like_the_one_that_arrived() {
        let message = json!({"extendedTextMessage": {"text": "Ref. 7K3F9Q https://a.example"}, "x": [{"a": 0}]});
        let left = json!({"key": {"id": "3EB01", "remoteJid": "5511@s.whatsapp.net", "x": 1}, "message": message});
        let mut read_by = json!({"keyId": "3EB01", "remoteJid": "1@lid", "fromMe": true, "status": "PLAYED"});
        let status = read_by.clone();
        read_by["message"] = message;
        read_by["messageTimestamp"] = json!(1_795_229_804);
        for (name, data, proves_sending) in [
            (GatewayEventName::SendMessage, left, true),
            (GatewayEventName::MessagesUpdate, status, false),
            (GatewayEventName::MessagesUpdate, read_by, true),
            (GatewayEventName::MessagesUpdate, json!({"keyId": 5}), false),
            (GatewayEventName::SendMessage, Value::Null, false),
        ] {
            let event = read(name, &data);
            assert_eq!(event.proves_sending(), proves_sending, "{data}");
            let stored = event.to_data();
            assert!(stored.len() < 200 && !stored.contains("\"x\""), "{stored}");
            assert!(read_event(name, &stored) == event, "{stored}");
        }
    }

    #[test]
    fn long_text_is_cut_and_marked() {
        let body = |length| {
            let data =
                json!({"key": {"id": "1", "remoteJid": "1@lid"}, "message": {"conversation": "é".repeat(length)}});
            json!({"event": "send.message", "data": data}).to_string().into_bytes()
        };
        for (length, characters, is_cut) in [(MAX_TEXT, MAX_TEXT, false), (MAX_TEXT + 1, MAX_TEXT, true)] {
            let Ok(Some((name, event))) = read_webhook(&body(length)) else { panic!("no event") };
            assert!(read_event(name, &event.to_data()) == event);
            let GatewayEvent::Left(message) = event else { panic!("no message") };
            assert_eq!((message.text.chars().count(), message.is_cut), (characters, is_cut));
        }
    }

    #[test]
    fn id_or_jid_longer_than_any_real_one_is_not_read() {
        let long = "1".repeat(LONGEST_ID + 1);
        let data = json!({"key": {"id": "1", "remoteJid": long}, "message": {"conversation": "x"}});
        assert!(read(GatewayEventName::SendMessage, &data) == GatewayEvent::Irrelevant);
        let data = json!({"keyId": long, "fromMe": true, "status": "READ"});
        assert!(read(GatewayEventName::MessagesUpdate, &data) == GatewayEvent::Irrelevant);
    }
}
