//! What the gateway's webhooks say of messages that we sent. Their order is not kept, they come doubled, and their own
//! date is a local time that calls itself UTC: only the message's own time is read.

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::history::{is_id, text_of};

/// The events that are stored at all. Of the others (a reconnecting number sends thousands of `connection.update` in a
/// minute) none says anything of a message.
pub const EVENTS: [&str; 2] = ["send.message", "messages.update"];

/// What a webhook says.
#[derive(Clone, PartialEq, Eq)]
pub enum Told {
    /// A message of ours left.
    Left(Message),
    /// What became of a message of ours.
    Status {
        /// WhatsApp's id of it.
        message_id: String,
        /// The status.
        status: MessageStatus,
        /// The message itself, where the webhook carries it.
        message: Option<Message>,
    },
    /// Nothing that concerns us.
    Nothing,
}

/// A message of ours that left.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// WhatsApp's id of it (`key.id`).
    pub message_id: String,
    /// Whom it went to; a phone's jid or a LID.
    pub remote_jid: String,
    /// Its text.
    pub text: String,
    /// When, to the second; none where the webhook does not say.
    pub left_at: Option<DateTime<Utc>>,
}

impl Message {
    /// Whom it went to.
    pub fn recipient(&self) -> Recipient<'_> {
        if self.remote_jid.ends_with("@lid") {
            return Recipient::Lid;
        }
        let digits = self.remote_jid.strip_suffix("@s.whatsapp.net").unwrap_or(&self.remote_jid);
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        if is_number { Recipient::Number(digits) } else { Recipient::Other }
    }
}

/// What a jid says of a recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recipient<'a> {
    /// A telephone number, digits only.
    Number(&'a str),
    /// A person whose number WhatsApp hides.
    Lid,
    /// A group, a list, or what is none.
    Other,
}

/// A status of a message of ours, as far as it says something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageStatus {
    /// On the recipient's phone.
    Delivered,
    /// Seen, or played.
    Read,
    /// Refused by WhatsApp.
    Error,
    /// Anything else. `SERVER_ACK` is also sent for updates without a status, so it says nothing.
    Other,
}

/// What `data` of the event says.
pub fn told(event: &str, data: &Value) -> Told {
    match event {
        "send.message" => {
            message(&data["key"]["id"], &data["key"]["remoteJid"], data).map_or(Told::Nothing, Told::Left)
        }
        "messages.update" if data["fromMe"] == true => {
            let Some(message_id) = data["keyId"].as_str().filter(|id| is_id(id)) else { return Told::Nothing };
            let status = match data["status"].as_str() {
                Some("DELIVERY_ACK") => MessageStatus::Delivered,
                Some("READ" | "PLAYED") => MessageStatus::Read,
                Some("ERROR") => MessageStatus::Error,
                _ => MessageStatus::Other,
            };
            let message = message(&data["keyId"], &data["remoteJid"], data);
            Told::Status { message_id: message_id.to_owned(), status, message }
        }
        _ => Told::Nothing,
    }
}

fn message(id: &Value, jid: &Value, data: &Value) -> Option<Message> {
    Some(Message {
        message_id: id.as_str().filter(|id| is_id(id))?.to_owned(),
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
    fn a_send_message_event_tells_what_left() {
        // As captured from a 2.3.7, the EVOLUTION channel's jid being the number alone.
        let data = json!({
            "key": {"fromMe": true, "id": "9caf17c0", "remoteJid": "5511988887777@s.whatsapp.net"},
            "message": {"conversation": "Ref. 7K3F9Q"}, "messageType": "conversation",
            "messageTimestamp": 1_795_229_804, "source": "unknown", "instanceId": "aed3",
        });
        let Told::Left(message) = told("send.message", &data) else { panic!("it tells of a message") };
        assert_eq!(
            (message.message_id.as_str(), message.recipient()),
            ("9caf17c0", Recipient::Number("5511988887777"))
        );
        assert_eq!(message.left_at.map(|at| at.timestamp()), Some(1_795_229_804));
    }

    #[test]
    fn a_group_is_no_recipient() {
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
    fn an_update_tells_the_status_of_our_own_messages_alone() {
        let update = |status: &str, from_me: bool| {
            let data = json!({"keyId": "3EB01", "remoteJid": "1@lid", "fromMe": from_me, "status": status});
            match told("messages.update", &data) {
                Told::Status { status, message: None, .. } => Some(status),
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
    fn whatever_else_comes_tells_nothing() {
        for data in [json!(null), json!([]), json!({"key": {"id": 5}}), json!({"key": {"id": ""}, "message": "x"})] {
            assert!(told("send.message", &data) == Told::Nothing && told("messages.update", &data) == Told::Nothing);
        }
        assert!(told("connection.update", &json!({"state": "open"})) == Told::Nothing);
    }
}
