//! Answers of the API: the fields that the commands read.

use std::ops::Deref;

use chrono::{DateTime, NaiveDate, Utc};
use regua_domain::{
    ActorKind, ApiKeyId, AttemptOutcome, ContactId, ContactStatus, InstanceId, InstanceState, MessageType, QueueId,
    QueueStatus as Status, Resolution, Scope, TemplateId, TenantId, UserId, UserRole,
};
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// An answer with all its JSON, which `--json` shows.
pub(crate) struct Whole<T> {
    pub(crate) json: Value,
    pub(crate) answer: T,
}

impl<T> Deref for Whole<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.answer
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Whole<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = Value::deserialize(deserializer)?;
        Ok(Self { answer: T::deserialize(&json).map_err(D::Error::custom)?, json })
    }
}

impl<T> Serialize for Whole<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.json.serialize(serializer)
    }
}

/// A page of a listing, or a listing without pages.
#[derive(Deserialize)]
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    pub(crate) next_cursor: Option<String>,
}

/// The logged-in user.
#[derive(Deserialize)]
pub(crate) struct Me {
    pub(crate) tenant: String,
    pub(crate) role: UserRole,
}

#[derive(Deserialize)]
pub(crate) struct Tenant {
    pub(crate) tenant_id: TenantId,
}

/// The configuration of a tenant.
#[derive(Deserialize)]
pub(crate) struct Config {
    pub(crate) time_zone: String,
}

/// An API key.
#[derive(Deserialize)]
pub(crate) struct Key {
    pub(crate) key_id: ApiKeyId,
    pub(crate) name: String,
    pub(crate) prefix: String,
    pub(crate) scopes: Vec<Scope>,
    pub(crate) types: Vec<MessageType>,
    pub(crate) allowed_networks: Vec<String>,
    pub(crate) requests_per_minute: Option<i32>,
    pub(crate) active: bool,
    pub(crate) expires_at: Option<DateTime<Utc>>,
    pub(crate) last_used_at: Option<DateTime<Utc>>,
}

/// An API key with its text.
#[derive(Deserialize)]
pub(crate) struct NewKey {
    pub(crate) api_key: String,
    #[serde(flatten)]
    pub(crate) key: Key,
}

#[derive(Deserialize)]
pub(crate) struct Instance {
    pub(crate) instance_id: InstanceId,
    pub(crate) name: String,
    pub(crate) base_url: String,
    pub(crate) lane_concurrency: i16,
    pub(crate) effective_messages_per_minute: i32,
    pub(crate) effective_daily_cap: Option<i32>,
    pub(crate) state: InstanceState,
    pub(crate) state_reason: Option<String>,
    pub(crate) default_for: Vec<MessageType>,
}

/// The connection of an instance at its gateway.
#[derive(Deserialize)]
pub(crate) struct Checked {
    pub(crate) state: InstanceState,
    pub(crate) reason: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct WebhookSet {
    pub(crate) webhook_url: String,
}

#[derive(Deserialize)]
pub(crate) struct Template {
    pub(crate) template_id: TemplateId,
    pub(crate) name: String,
    pub(crate) r#type: MessageType,
}

/// The defaults of a message type. It is the request as well.
#[derive(Deserialize, Serialize)]
pub(crate) struct TypeDefault {
    #[serde(skip_serializing)]
    pub(crate) r#type: MessageType,
    pub(crate) template_id: Option<TemplateId>,
    pub(crate) instance_id: Option<InstanceId>,
}

/// The hours of one weekday, from 1 for Monday. It is the request as well.
#[derive(Deserialize, Serialize)]
pub(crate) struct Open {
    pub(crate) closes: String,
    pub(crate) opens: String,
    pub(crate) weekday: usize,
}

#[derive(Deserialize)]
pub(crate) struct Holiday {
    pub(crate) day: NaiveDate,
    pub(crate) name: Option<String>,
    pub(crate) national: bool,
    pub(crate) own: bool,
}

#[derive(Deserialize)]
pub(crate) struct User {
    pub(crate) user_id: UserId,
    pub(crate) email: String,
    pub(crate) name: String,
    pub(crate) role: UserRole,
    pub(crate) active: bool,
    pub(crate) invited: bool,
    pub(crate) totp: bool,
    pub(crate) last_login_at: Option<DateTime<Utc>>,
}

#[derive(Deserialize)]
pub(crate) struct Invited {
    pub(crate) invitation: String,
    pub(crate) invitation_expires_at: DateTime<Utc>,
    pub(crate) user: User,
}

#[derive(Deserialize)]
pub(crate) struct AuditEntry {
    pub(crate) at: DateTime<Utc>,
    pub(crate) actor_kind: ActorKind,
    pub(crate) actor_name: String,
    pub(crate) client: Option<String>,
    pub(crate) action: String,
    pub(crate) object_id: Option<String>,
}

/// The answer to a batch.
#[derive(Deserialize)]
pub(crate) struct Posted {
    pub(crate) rejected: Vec<ContactIssue>,
    pub(crate) warnings: Vec<ContactIssue>,
    #[serde(flatten)]
    pub(crate) result: PostResult,
}

#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum PostResult {
    Accepted(SendAccepted),
    DryRun { contacts: Vec<Preview> },
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct SendAccepted {
    pub(crate) queue_id: QueueId,
    pub(crate) accepted: usize,
    pub(crate) replayed: bool,
}

/// A message that would be sent. It has no `Debug`, because it holds a phone number.
#[derive(Deserialize)]
pub(crate) struct Preview {
    pub(crate) index: usize,
    pub(crate) phone: String,
    pub(crate) text: String,
    pub(crate) would_send_at: Option<DateTime<Utc>>,
}

/// Why a contact was rejected, or a warning about an accepted one.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct ContactIssue {
    pub(crate) index: usize,
    pub(crate) external_id: Option<String>,
    pub(crate) field: String,
    pub(crate) code: String,
    pub(crate) message: String,
}

/// The progress of a campaign.
#[derive(Deserialize)]
pub(crate) struct QueueStatus {
    pub(crate) queue_id: QueueId,
    pub(crate) external_id: String,
    pub(crate) name: String,
    pub(crate) r#type: MessageType,
    pub(crate) status: Status,
    pub(crate) total: u64,
    pub(crate) pending: u64,
    pub(crate) sending: u64,
    pub(crate) sent: u64,
    pub(crate) failed: u64,
    pub(crate) unconfirmed: u64,
    pub(crate) skipped: u64,
    pub(crate) cancelled: u64,
    pub(crate) eta: Option<DateTime<Utc>>,
    pub(crate) reason: Option<String>,
    pub(crate) resume_at: Option<DateTime<Utc>>,
    pub(crate) created_at: DateTime<Utc>,
}

impl QueueStatus {
    /// Contacts that are neither pending nor sending.
    pub(crate) const fn finished(&self) -> u64 {
        self.total - self.pending - self.sending
    }
}

/// One contact. It has no `Debug`, because it holds a phone number.
#[derive(Deserialize)]
pub(crate) struct Contact {
    pub(crate) contact_id: ContactId,
    pub(crate) external_id: Option<String>,
    pub(crate) phone: String,
    pub(crate) status: ContactStatus,
    pub(crate) reference: String,
    pub(crate) variation: u8,
    pub(crate) attempts: u16,
    pub(crate) resends: u16,
    pub(crate) reason: Option<String>,
    pub(crate) message_id: Option<String>,
    pub(crate) sent_at: Option<DateTime<Utc>>,
    pub(crate) delivered_at: Option<DateTime<Utc>>,
    pub(crate) read_at: Option<DateTime<Utc>>,
    pub(crate) metadata: Value,
}

/// One contact with all its attempts.
#[derive(Deserialize)]
pub(crate) struct ContactHistory {
    #[serde(flatten)]
    pub(crate) contact: Contact,
    pub(crate) history: Vec<Attempt>,
}

#[derive(Deserialize)]
pub(crate) struct Attempt {
    pub(crate) number: i16,
    pub(crate) started_at: DateTime<Utc>,
    pub(crate) outcome: Option<AttemptOutcome>,
    pub(crate) reason: Option<String>,
    pub(crate) looks: i16,
    pub(crate) next_look_at: Option<DateTime<Utc>>,
    pub(crate) settled_by: Option<Resolution>,
}
