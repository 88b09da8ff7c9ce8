//! The state of an instance as an answer to connectionState reports it.

use serde_json::Value;

use crate::outcome::Reply;
use crate::reason::Reason;

/// The connection of an instance to WhatsApp. Evolution answers from memory, so `Open` is only the last event it saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionState {
    /// Connected.
    Open,
    /// Connecting, or waiting for a QR code to be scanned.
    Connecting,
    /// Not connected, or in Evolution's database but not loaded.
    Close,
    /// Evolution could not be reached, or does not have the instance.
    Unreachable {
        /// Why.
        reason: Reason,
    },
}

/// The state that `reply`, the answer to connectionState, reports.
pub fn connection_state(reply: &Reply) -> ConnectionState {
    match reply {
        Reply::Answered { status: 200, body } => connected(body),
        other => ConnectionState::Unreachable { reason: other.failure_reason() },
    }
}

/// A row without a state is an instance that is stored but not loaded: it sends nothing until it is restarted.
fn connected(body: &[u8]) -> ConnectionState {
    let body: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    if !body["instance"].is_object() {
        return ConnectionState::Unreachable { reason: Reason::Unrecognised };
    }
    match body["instance"]["state"].as_str() {
        Some("open") => ConnectionState::Open,
        Some("connecting") => ConnectionState::Connecting,
        _ => ConnectionState::Close,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connection_state_answers_map_to_states() {
        let unreachable = |reason| ConnectionState::Unreachable { reason };
        let cases = [
            (200, r#"{"instance":{"instanceName":"evo1","state":"open"}}"#, ConnectionState::Open),
            (200, r#"{"instance":{"instanceName":"evo1","state":"connecting"}}"#, ConnectionState::Connecting),
            (200, r#"{"instance":{"instanceName":"evo1","state":"close"}}"#, ConnectionState::Close),
            (200, r#"{"instance":{"instanceName":"evo1","state":"refused"}}"#, ConnectionState::Close),
            (200, r#"{"instance":{"instanceName":"zombie"}}"#, ConnectionState::Close),
            (200, "<html>", unreachable(Reason::Unrecognised)),
            (201, r#"{"key":{"id":"x"}}"#, unreachable(Reason::Unrecognised)),
            (
                401,
                r#"{"status":401,"error":"Unauthorized","response":{"message":"Unauthorized"}}"#,
                unreachable(Reason::Unauthorized),
            ),
            (
                404,
                r#"{"status":404,"error":"Not Found","response":{"message":["The \"ghost\" instance does not exist"]}}"#,
                unreachable(Reason::InstanceUnknown),
            ),
            (
                503,
                r#"{"error":"service not activated","code":"LICENSE_REQUIRED"}"#,
                unreachable(Reason::LicenceRequired),
            ),
            (401, "<html>", unreachable(Reason::Unrecognised)),
            (502, "<html>", unreachable(Reason::BadGateway)),
        ];
        for (status, body, expected) in cases {
            let reply = Reply::Answered { status, body: body.as_bytes().to_vec() };
            assert_eq!(connection_state(&reply), expected, "{status} {body}");
        }
        assert_eq!(connection_state(&Reply::Lost), unreachable(Reason::NoAnswer));
        assert_eq!(connection_state(&Reply::NotConnected), unreachable(Reason::GatewayUnreachable));
    }
}
