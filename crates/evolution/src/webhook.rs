//! Gateway events about messages of the fleet. Webhooks arrive out of order and more than once. A webhook's date is a
//! local time labelled as UTC, so only the time of the message in it is read.

use chrono::{DateTime, Utc};
use regua_domain::GatewayEventName;
use serde_json::Value;

use crate::message::{is_message_id, text_of};

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
    /// Its text.
    pub text: String,
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

/// Reads the `data` of a webhook of this event.
pub fn read_event(event: GatewayEventName, data: &Value) -> GatewayEvent {
    match event {
        GatewayEventName::SendMessage => message(&data["key"]["id"], &data["key"]["remoteJid"], data)
            .map_or(GatewayEvent::Irrelevant, GatewayEvent::Left),
        GatewayEventName::MessagesUpdate if data["fromMe"] == true => {
            let Some(message_id) = data["keyId"].as_str().filter(|id| is_message_id(id)) else {
                return GatewayEvent::Irrelevant;
            };
            let status = match data["status"].as_str() {
                Some("DELIVERY_ACK") => MessageStatus::Delivered,
                Some("READ" | "PLAYED") => MessageStatus::Read,
                Some("ERROR") => MessageStatus::Error,
                _ => MessageStatus::Other,
            };
            let message = message(&data["keyId"], &data["remoteJid"], data);
            GatewayEvent::Status { message_id: message_id.to_owned(), status, message }
        }
        GatewayEventName::MessagesUpdate => GatewayEvent::Irrelevant,
    }
}

fn message(id: &Value, jid: &Value, data: &Value) -> Option<Message> {
    Some(Message {
        message_id: id.as_str().filter(|id| is_message_id(id))?.to_owned(),
        remote_jid: jid.as_str()?.to_owned(),
        text: text_of(&data["message"])?.to_owned(),
        left_at: data["messageTimestamp"].as_i64().and_then(|seconds| DateTime::from_timestamp(seconds, 0)),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn send_message_event_reports_a_message_that_left() {
        let data = json!({
            "key": {"fromMe": true, "id": "9caf17c0", "remoteJid": "5511988887777@s.whatsapp.net"},
            "message": {"conversation": "Ref. 7K3F9Q"}, "messageType": "conversation",
            "messageTimestamp": 1_795_229_804, "source": "unknown", "instanceId": "aed3",
        });
        let GatewayEvent::Left(message) = read_event(GatewayEventName::SendMessage, &data) else {
            panic!("no message")
        };
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
            let message = Message { message_id, remote_jid, text: String::new(), left_at: None };
            assert_eq!(message.recipient(), expected, "{jid}");
        }
    }

    #[test]
    fn status_of_incoming_messages_is_irrelevant() {
        let update = |status: &str, from_me: bool| {
            let data = json!({"keyId": "3EB01", "remoteJid": "1@lid", "fromMe": from_me, "status": status});
            match read_event(GatewayEventName::MessagesUpdate, &data) {
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
            assert!(read_event(GatewayEventName::SendMessage, &data) == GatewayEvent::Irrelevant);
            assert!(read_event(GatewayEventName::MessagesUpdate, &data) == GatewayEvent::Irrelevant);
        }
    }
}
