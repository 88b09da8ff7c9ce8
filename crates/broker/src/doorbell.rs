//! The doorbell: what one message says, how it is written as JSON, and how it gets into the outbox.
//! It carries ids only; whoever hears it looks at the rows.

use std::fmt;

use chrono::{DateTime, Utc};
use regua_domain::{MessageType, QueueId, TenantId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::PgConnection;

/// The version that is written, and the only one that is read.
const VERSION: u64 = 1;

/// What the hearer shall look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DoorbellKind {
    /// A queue of overdue messages has something to send.
    Overdue,
    /// A queue of upcoming messages has something to send.
    Upcoming,
    /// A queue of notifications has something to send.
    Notification,
    /// A queue's hour has come again.
    Resume,
    /// Somebody shall look whether the queue's worker still lives.
    CheckStale,
    /// Somebody shall look whether the queue's instance is up again.
    CheckRecovery,
}

impl DoorbellKind {
    /// All of them, in the order in which they are heard.
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

    /// The routing key in RabbitMQ, which is also the queue's name.
    pub fn routing_key(self, namespace: &str) -> String {
        format!("{namespace}.{}", self.as_str())
    }

    /// The routing key in the outbox, which knows no namespace.
    pub const fn outbox_key(self) -> &'static str {
        match self {
            Self::Overdue => "billing.overdue",
            Self::Upcoming => "billing.upcoming",
            Self::Notification => "billing.notification",
            Self::Resume => "billing.resume",
            Self::CheckStale => "billing.check_stale",
            Self::CheckRecovery => "billing.check_recovery",
        }
    }

    /// 10, 5 and 1 as seed 003 has them. Resume and the checks have 10: they are few, and as long as one of them waits a
    /// whole queue stands still.
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

/// One message: look at this queue of this tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Doorbell {
    /// Why to look.
    pub kind: DoorbellKind,
    /// Whose queue it is.
    pub tenant_id: TenantId,
    /// The queue.
    pub queue_id: QueueId,
}

/// Why a message cannot be read; the reason stands beside it among the dead letters.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// It is no JSON, or a field is absent or wrong.
    #[error("the message is no doorbell: {0}")]
    Malformed(#[from] serde_json::Error),
    /// A version that this program does not know; a newer one may.
    #[error("the message has version {0}, and only {VERSION} is known here")]
    Version(u64),
}

/// Read before anything else, because the other fields of another version are none of our business.
#[derive(Deserialize)]
struct Version {
    v: u64,
}

/// Unknown fields are tolerated, so that a version 1 can grow while old and new programs run side by side.
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

    /// Reads a message body as it came from RabbitMQ.
    ///
    /// # Errors
    /// When it is no doorbell of a known version.
    pub fn from_slice(body: &[u8]) -> Result<Self, Unreadable> {
        Self::from_json(&serde_json::from_slice(body)?)
    }

    /// Reads a message body as it stands in the outbox.
    ///
    /// # Errors
    /// When it is no doorbell of a known version.
    pub fn from_json(body: &Value) -> Result<Self, Unreadable> {
        let Version { v } = Version::deserialize(body)?;
        if v != VERSION {
            return Err(Unreadable::Version(v));
        }
        let Body { kind, tenant_id, queue_id } = Body::deserialize(body)?;
        Ok(Self { kind, tenant_id, queue_id })
    }
}

/// Rings in the caller's transaction: the doorbell is heard if and only if the transaction commits.
///
/// # Errors
/// The database's.
pub async fn ring(conn: &mut PgConnection, doorbell: &Doorbell, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    let Doorbell { kind, tenant_id, .. } = *doorbell;
    regua_store::outbox::put(conn, tenant_id, kind.outbox_key(), kind.priority(), &doorbell.to_json(), now).await
}

/// Rings several doorbells in the caller's transaction.
///
/// # Errors
/// The database's.
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
    fn a_doorbell_is_written_with_ids_alone_and_read_again() {
        for kind in DoorbellKind::ALL {
            let body = doorbell(kind).to_json();
            assert_eq!(body, json!({"v": 1, "kind": kind.as_str(), "tenant_id": TENANT, "queue_id": QUEUE}));
            assert_eq!(Doorbell::from_slice(body.to_string().as_bytes()).unwrap(), doorbell(kind));
        }
    }

    #[test]
    fn fields_that_version_1_does_not_have_yet_are_tolerated() {
        let body = json!({"v": 1, "kind": "resume", "tenant_id": TENANT, "queue_id": QUEUE, "rung_by": "periodic"});
        assert_eq!(Doorbell::from_json(&body).unwrap(), doorbell(DoorbellKind::Resume));
    }

    #[test]
    fn what_cannot_be_read_says_why() {
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
    fn the_namespace_is_the_first_word_of_the_routing_key() {
        for kind in DoorbellKind::ALL {
            assert_eq!(kind.routing_key("billing"), kind.outbox_key());
        }
        assert_eq!(DoorbellKind::CheckStale.routing_key("t1"), "t1.check_stale");
    }

    #[test]
    fn doorbells_are_heard_in_the_order_of_their_priority() {
        assert!(DoorbellKind::ALL.is_sorted_by_key(|kind| std::cmp::Reverse(kind.priority())));
    }
}
