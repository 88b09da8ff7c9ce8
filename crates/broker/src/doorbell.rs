//! The doorbell: its JSON, and ringing. It carries ids only, so the consumer reads the rows.

use chrono::{DateTime, Utc};
use regua_domain::{QueueId, TenantId};
use regua_store::doorbells::{self, NewDoorbell};
use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::PgConnection;

use crate::topic::{DoorbellKind, Topic};

/// The only version that is written and read.
const VERSION: u64 = 1;

/// A request to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Doorbell {
    /// For workers: one queue of one tenant.
    Queue {
        /// Why to look.
        kind: DoorbellKind,
        /// The queue's tenant.
        tenant_id: TenantId,
        /// The queue.
        queue_id: QueueId,
    },
    /// For periodic: the stored webhook events of all tenants.
    WebhookEvents,
}

/// Why a message cannot be read. The dead letter stores the text.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// Not JSON, or a field is absent or invalid.
    #[error("the message is not a doorbell: {0}")]
    Malformed(#[from] serde_json::Error),
    /// A version that this program does not read.
    #[error("the message has version {0}, and this program reads version {VERSION} only")]
    Version(u64),
}

/// The version is read before the other fields, which another version may not have.
#[derive(Deserialize)]
struct Version {
    v: u64,
}

/// Accepts unknown fields, so that version 1 can grow while old and new programs run side by side.
#[derive(Deserialize)]
struct QueueBody {
    kind: DoorbellKind,
    tenant_id: TenantId,
    queue_id: QueueId,
}

impl Doorbell {
    pub(crate) const fn topic(&self) -> Topic {
        match self {
            Self::Queue { kind, .. } => Topic::Queue(*kind),
            Self::WebhookEvents => Topic::WebhookEvents,
        }
    }

    /// `{"v":1,"kind":"overdue","tenant_id":"…","queue_id":"…"}` or `{"v":1,"kind":"webhook_events"}`
    pub fn to_json(&self) -> Value {
        let kind = self.topic().as_str();
        match self {
            Self::Queue { tenant_id, queue_id, .. } => {
                json!({"v": VERSION, "kind": kind, "tenant_id": tenant_id, "queue_id": queue_id})
            }
            Self::WebhookEvents => json!({"v": VERSION, "kind": kind}),
        }
    }

    /// The row to store.
    pub fn to_row(&self) -> NewDoorbell {
        let (routing_key, priority) = (self.topic().stored_routing_key(), self.topic().priority());
        NewDoorbell { routing_key, priority, body: self.to_json() }
    }

    /// Reads a message body of RabbitMQ.
    pub fn from_slice(body: &[u8]) -> Result<Self, Unreadable> {
        Self::from_json(&serde_json::from_slice(body)?)
    }

    /// Reads a stored message body.
    pub fn from_json(body: &Value) -> Result<Self, Unreadable> {
        let Version { v } = Version::deserialize(body)?;
        if v != VERSION {
            return Err(Unreadable::Version(v));
        }
        if body["kind"] == Topic::WebhookEvents.as_str() {
            return Ok(Self::WebhookEvents);
        }
        let QueueBody { kind, tenant_id, queue_id } = QueueBody::deserialize(body)?;
        Ok(Self::Queue { kind, tenant_id, queue_id })
    }
}

/// Rings a doorbell in the caller's transaction: it is delivered if and only if the transaction commits.
pub async fn ring(conn: &mut PgConnection, doorbell: &Doorbell, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    let row = doorbell.to_row();
    match doorbell {
        Doorbell::Queue { tenant_id, .. } => doorbells::put(conn, *tenant_id, &row, now).await,
        Doorbell::WebhookEvents => doorbells::put_without_tenant(conn, &row, now).await,
    }
}

/// Rings several doorbells in the caller's transaction.
pub async fn ring_all(conn: &mut PgConnection, doorbells: &[Doorbell], now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    for doorbell in doorbells {
        ring(conn, doorbell, now).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENANT: &str = "01939fd0-0000-7000-8000-000000000001";
    const QUEUE: &str = "01939fd0-0000-7000-8000-000000000002";

    fn doorbell(kind: DoorbellKind) -> Doorbell {
        Doorbell::Queue { kind, tenant_id: TENANT.parse().unwrap(), queue_id: QUEUE.parse().unwrap() }
    }

    #[test]
    fn doorbell_is_written_with_ids_only_and_read_back() {
        let body = Doorbell::WebhookEvents.to_json();
        assert_eq!(body, json!({"v": 1, "kind": "webhook_events"}));
        assert_eq!(Doorbell::from_json(&body).unwrap(), Doorbell::WebhookEvents);
        for kind in DoorbellKind::ALL {
            let body = doorbell(kind).to_json();
            assert_eq!(body, json!({"v": 1, "kind": kind.as_str(), "tenant_id": TENANT, "queue_id": QUEUE}));
            assert_eq!(Doorbell::from_slice(body.to_string().as_bytes()).unwrap(), doorbell(kind));
        }
    }

    #[test]
    fn unknown_fields_are_accepted() {
        let body = json!({"v": 1, "kind": "resume", "tenant_id": TENANT, "queue_id": QUEUE, "rung_by": "periodic"});
        assert_eq!(Doorbell::from_json(&body).unwrap(), doorbell(DoorbellKind::Resume));
    }

    #[test]
    fn unreadable_message_has_a_reason() {
        for (body, why) in [
            ("", "EOF"),
            ("[]", "invalid length"),
            (r#"{"kind":"overdue"}"#, "missing field `v`"),
            (r#"{"v":2,"whom":"it may concern"}"#, "version 2"),
            (r#"{"v":1,"kind":"overdo"}"#, "unknown variant `overdo`"),
            (r#"{"v":1,"kind":"overdue","tenant_id":"acme"}"#, "UUID"),
        ] {
            let reason = Doorbell::from_slice(body.as_bytes()).unwrap_err().to_string();
            assert!(reason.contains(why), "{body}: {reason}");
        }
    }
}
