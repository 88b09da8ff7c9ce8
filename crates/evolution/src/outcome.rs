//! The outcome of a send: one pure function over the table of Evolution API 2.3.7's answers. An answer that is in no
//! row of the table is [`Outcome::Unknown`].
//!
//! The table follows the order of work inside a send: guards, number lookup, delay, frame write, INSERT, answer. An
//! error that is raised only before the frame write proves that nothing left; any other error proves nothing.

use std::fmt;

use serde::Deserialize;
use serde_json::Value;

use crate::message::{is_message_id, is_storable};
use crate::reason::Reason;

/// The result of one HTTP request.
#[derive(Clone, PartialEq, Eq)]
pub enum Reply {
    /// A complete HTTP answer.
    Answered {
        /// The HTTP status.
        status: u16,
        /// The whole body.
        body: Vec<u8>,
    },
    /// No connection: refused, unknown host, or a TLS failure before the request.
    NotConnected,
    /// No connection, because no gateway may have that address.
    NotAllowed,
    /// No connection, because this machine has no descriptor or no memory for a socket.
    NoSocket,
    /// Timeout, reset, a truncated or oversized answer: the request may have been written.
    Lost,
}

impl Reply {
    /// Why a request of any route failed. Evolution's guards answer alike on every route, so the table for sends has
    /// all their answers.
    pub(crate) fn failure_reason(&self) -> Reason {
        match self {
            // Any service may answer 401, so only Evolution's own envelope says that there is a gateway.
            Self::Answered { status: 401, body } if !is_enveloped(401, body) => Reason::Unrecognised,
            other => outcome(other).reason().unwrap_or(Reason::Unrecognised),
        }
    }
}

/// The outcome of one send. Only [`Outcome::NotSent`] may be retried.
#[derive(Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Written to the WhatsApp socket; not yet acknowledged.
    Sent {
        /// WhatsApp's id of the message (`key.id`).
        message_id: String,
        /// The canonical jid of the recipient; empty when the answer has none.
        remote_jid: String,
    },
    /// The message did not leave.
    NotSent {
        /// Why.
        reason: Reason,
        /// Whether the same request may succeed later.
        retry: bool,
    },
    /// The message did not leave, and a repetition would end the same way.
    Refused {
        /// Why.
        reason: Reason,
    },
    /// The message may have left.
    Unknown {
        /// Why.
        reason: Reason,
    },
}

impl Outcome {
    /// The reason of any outcome but sent.
    pub const fn reason(&self) -> Option<Reason> {
        match self {
            Self::Sent { .. } => None,
            Self::NotSent { reason, .. } | Self::Refused { reason } | Self::Unknown { reason } => Some(*reason),
        }
    }

    /// Whether the instance's state should be checked before the next send ([`Reason::suggests_instance_down`]).
    pub fn suggests_instance_down(&self) -> bool {
        self.reason().is_some_and(Reason::suggests_instance_down)
    }

    const fn not_sent(reason: Reason) -> Self {
        Self::NotSent { reason, retry: true }
    }
}

/// The outcome that `reply`, the answer to sendText or sendMedia, proves.
pub fn outcome(reply: &Reply) -> Outcome {
    match reply {
        Reply::NotConnected => Outcome::not_sent(Reason::GatewayUnreachable),
        Reply::NotAllowed => Outcome::not_sent(Reason::AddressNotAllowed),
        Reply::NoSocket => Outcome::not_sent(Reason::NoSocket),
        Reply::Lost => Outcome::Unknown { reason: Reason::NoAnswer },
        Reply::Answered { status: 201, body } => created(body),
        Reply::Answered { status, body } => {
            let body = serde_json::from_slice(body).unwrap_or(Value::Null);
            answered(*status, &body)
        }
    }
}

fn answered(status: u16, body: &Value) -> Outcome {
    match status {
        400 => bad_request(body),
        401 => Outcome::not_sent(Reason::Unauthorized),
        403 => Outcome::not_sent(Reason::Forbidden),
        404 => Outcome::not_sent(not_found(body)),
        500 => match enveloped(500, body) {
            Some(message) => Outcome::not_sent(pre_send_reason(message)),
            None => Outcome::Unknown { reason: Reason::BadGateway },
        },
        503 if body["code"] == "LICENSE_REQUIRED" => Outcome::not_sent(Reason::LicenceRequired),
        501..=599 => Outcome::Unknown { reason: Reason::BadGateway },
        _ => Outcome::Unknown { reason: Reason::Unrecognised },
    }
}

/// The answer repeats the whole message, and only the key is needed.
#[derive(Deserialize)]
struct Created {
    #[serde(default)]
    key: Value,
}

fn created(body: &[u8]) -> Outcome {
    let key = serde_json::from_slice::<Created>(body).map_or(Value::Null, |created| created.key);
    match key["id"].as_str() {
        Some(id) if is_message_id(id) => Outcome::Sent {
            message_id: id.to_owned(),
            remote_jid: key["remoteJid"].as_str().filter(|jid| is_storable(jid)).unwrap_or_default().to_owned(),
        },
        _ => Outcome::Unknown { reason: Reason::SuccessWithoutId },
    }
}

/// A 400 that Evolution raises before the frame write, or instead of it (`Connection Closed`), proves that nothing
/// left. A 400 that names Evolution's database comes from the INSERT *after* the write, and proves nothing.
fn bad_request(body: &Value) -> Outcome {
    let Some(message) = enveloped(400, body) else { return Outcome::Unknown { reason: Reason::Unrecognised } };
    match message.as_array().map(Vec::as_slice) {
        Some([Value::Array(errors)]) if !errors.is_empty() && errors.iter().all(Value::is_string) => {
            Outcome::Refused { reason: Reason::InvalidRequest }
        }
        Some([Value::Object(lookup)]) if lookup.get("exists") == Some(&Value::Bool(false)) => {
            Outcome::Refused { reason: Reason::NumberNotOnWhatsapp }
        }
        Some([Value::String(text)]) => thrown(text),
        _ => Outcome::Unknown { reason: Reason::Unrecognised },
    }
}

/// Evolution answers `["<Name>: <text>"]` for an exception inside the send.
fn thrown(text: &str) -> Outcome {
    match text {
        "Text is required" => Outcome::Refused { reason: Reason::BlankText },
        "For base64 the file name must be informed." | "Owned media must be a url or base64" => {
            Outcome::Refused { reason: Reason::InvalidMedia }
        }
        "Error: Connection Closed" => Outcome::not_sent(Reason::ConnectionClosed),
        "Error: Timed Out" => Outcome::Unknown { reason: Reason::WriteTimedOut },
        _ if names_the_database(text) => Outcome::Unknown { reason: Reason::GatewayDatabase },
        // The instance's missing jid raises this error before the write, the written message's missing key after it.
        _ if text.contains("(reading 'id')") => Outcome::Unknown { reason: Reason::NeverAuthenticated },
        _ => Outcome::Unknown { reason: Reason::Unrecognised },
    }
}

fn names_the_database(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    ["prisma", "driveradapter", "database"].iter().any(|name| text.contains(name))
}

fn not_found(body: &Value) -> Reason {
    let text = enveloped(404, body).and_then(sentence).unwrap_or_default();
    if text.ends_with("instance does not exist") { Reason::InstanceUnknown } else { Reason::RouteUnknown }
}

/// The reason of a 500 in the envelope. Every such error is raised before the send step.
fn pre_send_reason(message: &Value) -> Reason {
    let text = sentence(message).unwrap_or_default();
    let causes = [
        ("(reading 'onWhatsApp')", Reason::NeverConnected),
        ("(reading 'textMessage')", Reason::InstanceNotLoaded),
        ("(reading 'find')", Reason::LookupTimedOut),
        ("Connection Closed", Reason::ConnectionClosed),
    ];
    causes.into_iter().find(|(ending, _)| text.ends_with(ending)).map_or(Reason::GatewayError, |(_, reason)| reason)
}

fn is_enveloped(status: u16, body: &[u8]) -> bool {
    serde_json::from_slice(body).is_ok_and(|body: Value| enveloped(status, &body).is_some())
}

/// The `message` of Evolution's common envelope, `{"status","error","response":{"message"}}`.
fn enveloped(status: u16, body: &Value) -> Option<&Value> {
    let is_envelope = body["status"] == status && body["error"].is_string();
    let message = &body["response"]["message"];
    (is_envelope && (message.is_string() || message.is_array())).then_some(message)
}

/// The one sentence of a message that is a string or an array with one string.
fn sentence(message: &Value) -> Option<&str> {
    match message {
        Value::Array(parts) => match parts.as_slice() {
            [part] => part.as_str(),
            _ => None,
        },
        other => other.as_str(),
    }
}

/// Shows only the body's length: the body holds the debtor's number and text.
impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered { status, body } => write!(f, "Answered {{ status: {status}, body: {} bytes }}", body.len()),
            Self::NotConnected => f.write_str("NotConnected"),
            Self::NotAllowed => f.write_str("NotAllowed"),
            Self::NoSocket => f.write_str("NoSocket"),
            Self::Lost => f.write_str("Lost"),
        }
    }
}

/// Omits the jid, which is a phone number.
impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sent { message_id, .. } => {
                f.debug_struct("Sent").field("message_id", message_id).finish_non_exhaustive()
            }
            Self::NotSent { reason, retry } => {
                f.debug_struct("NotSent").field("reason", reason).field("retry", retry).finish()
            }
            Self::Refused { reason } => f.debug_struct("Refused").field("reason", reason).finish(),
            Self::Unknown { reason } => f.debug_struct("Unknown").field("reason", reason).finish(),
        }
    }
}
