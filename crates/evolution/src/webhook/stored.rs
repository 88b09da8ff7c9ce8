//! The form in which an event is stored: the members that [`super::read_event`] reads, under the gateway's names.

use serde::Serialize;

use super::{GatewayEvent, Message, MessageStatus};

/// The gateway's object, without the members that nothing reads.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Data<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<Key<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remote_jid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from_me: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_timestamp: Option<i64>,
    /// A member of ours: the text was longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    text_cut: Option<bool>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Key<'a> {
    id: &'a str,
    remote_jid: &'a str,
}

#[derive(Serialize)]
struct Text<'a> {
    conversation: &'a str,
}

impl GatewayEvent {
    /// The `data` to store: `read_event` reads the same event from it. It has less than 4 KiB, and the text.
    pub fn to_data(&self) -> String {
        let data = match self {
            Self::Left(message) => {
                let key = Key { id: &message.message_id, remote_jid: &message.remote_jid };
                Data { key: Some(key), ..Data::of(message) }
            }
            Self::Status { message_id, status, message } => Data {
                key_id: Some(message_id),
                remote_jid: message.as_ref().map(|message| message.remote_jid.as_str()),
                from_me: Some(true),
                status: status_name(*status),
                ..message.as_ref().map(Data::of).unwrap_or_default()
            },
            Self::Irrelevant => Data::default(),
        };
        serde_json::to_string(&data).unwrap_or_else(|_| "{}".to_owned())
    }
}

impl<'a> Data<'a> {
    fn of(message: &'a Message) -> Self {
        Self {
            message: Some(Text { conversation: &message.text }),
            message_timestamp: message.left_at.map(|at| at.timestamp()),
            text_cut: message.is_cut.then_some(true),
            ..Self::default()
        }
    }
}

const fn status_name(status: MessageStatus) -> Option<&'static str> {
    match status {
        MessageStatus::Delivered => Some("DELIVERY_ACK"),
        MessageStatus::Read => Some("READ"),
        MessageStatus::Error => Some("ERROR"),
        MessageStatus::Other => None,
    }
}
