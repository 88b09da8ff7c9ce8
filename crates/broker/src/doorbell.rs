//! The doorbell: its kinds, its JSON form, and ringing. It carries ids only, so the consumer reads the rows.

use std::fmt;

use chrono::{DateTime, Utc};
use regua_domain::{MessageType, QueueId, TenantId};
use regua_store::doorbells::NewDoorbell;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::PgConnection;

/// The only version that is written and read.
const VERSION: u64 = 1;

/// Why the consumer must look at a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DoorbellKind {
    /// A queue of overdue messages has something to send.
    Overdue,
    /// A queue of upcoming messages has something to send.
    Upcoming,
    /// A queue of notifications has something to send.
    Notification,
    /// A queue may be sent again: at its `resume_at`, when its instance is connected, or by an operator's decision.
    Resume,
    /// The lane of the queue needs a worker: its lease expired, or it is free and has due contacts.
    CheckStale,
    /// The queue's instance may be connected again.
    CheckRecovery,
}

impl DoorbellKind {
    /// All kinds, the most urgent first.
    pub const ALL: [Self; 6] =
        [Self::Overdue, Self::Resume, Self::CheckStale, Self::CheckRecovery, Self::Upcoming, Self::Notification];

    /// The name in messages, queues and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Overdue => "overdue",
            Self::Upcoming => "upcoming",
            Self::Notification => "notification",
            Self::Resume => "resume",
            Self::CheckStale => "check_stale",
            Self::CheckRecovery => "check_recovery",
        }
    }

    /// The routing key in RabbitMQ, which is also the name of RabbitMQ's queue.
    pub fn routing_key(self, namespace: &str) -> String {
        format!("{namespace}.{}", self.as_str())
    }

    /// The routing key in the table of doorbells, without a namespace.
    pub const fn stored_routing_key(self) -> &'static str {
        match self {
            Self::Overdue => "billing.overdue",
            Self::Upcoming => "billing.upcoming",
            Self::Notification => "billing.notification",
            Self::Resume => "billing.resume",
            Self::CheckStale => "billing.check_stale",
            Self::CheckRecovery => "billing.check_recovery",
        }
    }

    /// 10, 5 and 1 by the product's requirements. Resume and the checks have 10: they are few, and a whole queue waits
    /// for each of them.
    pub const fn priority(self) -> u8 {
        match self {
            Self::Overdue => MessageType::Overdue.priority(),
            Self::Upcoming => MessageType::Upcoming.priority(),
            Self::Notification => MessageType::Notification.priority(),
            Self::Resume | Self::CheckStale | Self::CheckRecovery => 10,
        }
    }
}

impl fmt::Display for DoorbellKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<MessageType> for DoorbellKind {
    fn from(message_type: MessageType) -> Self {
        match message_type {
            MessageType::Overdue => Self::Overdue,
            MessageType::Upcoming => Self::Upcoming,
            MessageType::Notification => Self::Notification,
        }
    }
}

/// A request to look at one queue of one tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Doorbell {
    /// Why to look.
    pub kind: DoorbellKind,
    /// The queue's tenant.
    pub tenant_id: TenantId,
    /// The queue.
    pub queue_id: QueueId,
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
struct Body {
    kind: DoorbellKind,
    tenant_id: TenantId,
    queue_id: QueueId,
}

impl Doorbell {
    /// `{"v":1,"kind":"overdue","tenant_id":"…","queue_id":"…"}`
    pub fn to_json(&self) -> Value {
        json!({"v": VERSION, "kind": self.kind, "tenant_id": self.tenant_id, "queue_id": self.queue_id})
    }

    /// The row of the doorbell of a new queue.
    pub fn to_row(&self) -> NewDoorbell {
        let (routing_key, priority) = (self.kind.stored_routing_key(), self.kind.priority());
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
        let Body { kind, tenant_id, queue_id } = Body::deserialize(body)?;
        Ok(Self { kind, tenant_id, queue_id })
    }
}

/// Rings a doorbell in the caller's transaction: it is delivered if and only if the transaction commits.
pub async fn ring(conn: &mut PgConnection, doorbell: &Doorbell, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    let Doorbell { kind, tenant_id, .. } = *doorbell;
    regua_store::doorbells::put(conn, tenant_id, kind.stored_routing_key(), kind.priority(), &doorbell.to_json(), now)
        .await
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
        Doorbell { kind, tenant_id: TENANT.parse().unwrap(), queue_id: QUEUE.parse().unwrap() }
    }

    #[test]
    fn doorbell_is_written_with_ids_only_and_read_back() {
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

    #[test]
    fn namespace_is_the_first_word_of_the_routing_key() {
        for kind in DoorbellKind::ALL {
            assert_eq!(kind.routing_key("billing"), kind.stored_routing_key());
        }
        assert_eq!(DoorbellKind::CheckStale.routing_key("t1"), "t1.check_stale");
    }

    #[test]
    fn kinds_are_in_the_order_of_their_priority() {
        assert!(DoorbellKind::ALL.is_sorted_by_key(|kind| std::cmp::Reverse(kind.priority())));
    }
}
