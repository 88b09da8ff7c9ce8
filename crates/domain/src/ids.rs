//! One type per id, so that the compiler distinguishes them. All are UUIDv7, except an event's number.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::{NoContext, Timestamp, Uuid};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        #[cfg_attr(feature = "sqlx", derive(sqlx::Type), sqlx(transparent))]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new id. Its first 48 bits are `now` in milliseconds, so ids sort by creation.
            pub fn new(now: DateTime<Utc>) -> Self {
                Self(time_ordered_uuid(now))
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    )+};
}

ids! {
    /// A tenant.
    TenantId,
    /// An API key.
    ApiKeyId,
    /// An instance.
    InstanceId,
    /// A template.
    TemplateId,
    /// A campaign.
    CampaignId,
    /// A queue.
    QueueId,
    /// A contact.
    ContactId,
    /// An attempt.
    AttemptId,
    /// A piece of evidence.
    EvidenceId,
    /// A webhook event.
    WebhookEventId,
    /// A user.
    UserId,
    /// A session.
    SessionId,
    /// An entry of the audit log.
    AuditId,
}

/// The key of a lane, which is also that of its instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneKey {
    /// The owner.
    pub tenant: TenantId,
    /// The instance.
    pub instance: InstanceId,
}

/// An event's number: it grows in the order in which readers see the events of a tenant. Gaps are normal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
#[cfg_attr(feature = "sqlx", derive(sqlx::Type), sqlx(transparent))]
pub struct EventSeq(pub i64);

/// A UUIDv7 of the instant.
pub fn time_ordered_uuid(now: DateTime<Utc>) -> Uuid {
    let seconds = u64::try_from(now.timestamp()).unwrap_or(0);
    Uuid::new_v7(Timestamp::from_unix(NoContext, seconds, now.timestamp_subsec_nanos()))
}
