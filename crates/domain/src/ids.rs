//! One type per id, so that a queue's id cannot stand where a campaign's should. All are UUIDv7.

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
        pub struct $name(pub Uuid);

        impl $name {
            /// A new id whose first 48 bits are `now` in milliseconds, so that ids sort by creation.
            pub fn new(now: DateTime<Utc>) -> Self {
                Self(time_ordered(now))
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
    /// The customer of the platform whose debtors are contacted.
    TenantId,
    /// A key with which an ERP or CRM calls the intake API.
    ApiKeyId,
    /// One WhatsApp number at one Evolution API server.
    InstanceId,
    /// A message template with its variations.
    TemplateId,
    /// One accepted batch.
    CampaignId,
    /// The progress and the controls of one campaign.
    QueueId,
    /// One recipient of one campaign.
    ContactId,
    /// One try to send to one contact.
    AttemptId,
    /// One thing that was learnt of an attempt beside its own answer.
    EvidenceId,
    /// One webhook of the gateway.
    WebhookEventId,
    /// A person at a tenant.
    UserId,
    /// One login of a person, at the console or through the API.
    SessionId,
    /// One entry of the audit log.
    AuditId,
}

fn time_ordered(now: DateTime<Utc>) -> Uuid {
    let seconds = u64::try_from(now.timestamp()).unwrap_or(0);
    Uuid::new_v7(Timestamp::from_unix(NoContext, seconds, now.timestamp_subsec_nanos()))
}
