//! An instance in answers and in bodies.

use chrono::{DateTime, Utc};
use regua_domain::{InstanceName, InstanceState, MessageType, Sealed};
use regua_store::instances::InstanceSettings;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// An instance: a WhatsApp number at a gateway.
#[derive(Serialize, ToSchema)]
#[schema(as = Instance)]
pub(super) struct InstanceView {
    instance_id: Uuid,
    /// The name at the gateway.
    #[schema(value_type = String)]
    name: InstanceName,
    base_url: String,
    /// Whether a token is stored. No answer contains it.
    token_set: bool,
    /// The id of the key that seals the token; null when the token is older than sealing.
    token_key_id: Option<String>,
    /// The instance's own; null: the tenant's.
    messages_per_minute: Option<i32>,
    /// The instance's own; null: the tenant's.
    daily_cap: Option<i32>,
    /// Messages that may be sent at the same time.
    lane_concurrency: i16,
    /// The instance's own, or the tenant's.
    effective_messages_per_minute: i32,
    /// The instance's own, or the tenant's; null: no cap.
    effective_daily_cap: Option<i32>,
    /// Whether webhooks about the instance are accepted.
    webhook_set: bool,
    /// The state at the last check by a worker.
    #[schema(value_type = String)]
    state: InstanceState,
    state_reason: Option<String>,
    state_checked_at: Option<DateTime<Utc>>,
    /// Message types whose default is the instance.
    #[schema(value_type = Vec<String>)]
    default_for: Vec<MessageType>,
    created_at: DateTime<Utc>,
}

impl From<&InstanceSettings> for InstanceView {
    fn from(instance: &InstanceSettings) -> Self {
        Self {
            instance_id: instance.instance_id.0,
            name: instance.name.clone(),
            base_url: instance.base_url.clone(),
            token_set: !instance.token.is_empty(),
            token_key_id: Sealed::parse(&instance.token).map(|sealed| sealed.key_id().to_owned()),
            messages_per_minute: instance.messages_per_minute,
            daily_cap: instance.daily_cap,
            lane_concurrency: instance.lane_concurrency,
            effective_messages_per_minute: instance.rate_in_use,
            effective_daily_cap: instance.cap_in_use,
            webhook_set: instance.has_webhook,
            state: instance.state,
            state_reason: instance.state_reason.clone(),
            state_checked_at: instance.state_checked_at,
            default_for: instance.default_for.clone(),
            created_at: instance.created_at,
        }
    }
}

#[derive(Serialize, ToSchema)]
pub(super) struct Instances {
    pub(super) items: Vec<InstanceView>,
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "OpenAPI schema only: `Form` reads the body and reports every fault at once")]
pub(super) struct NewInstanceRequest {
    /// The instance's name at the gateway.
    #[schema(pattern = "^[A-Za-z0-9._-]{1,64}$")]
    name: String,
    /// The Evolution API server.
    #[schema(example = "https://evolution.acme.example", max_length = 500)]
    base_url: String,
    /// The instance's token, or the server's global key.
    #[schema(min_length = 1, max_length = 500)]
    token: String,
    /// Default: the tenant's.
    #[schema(minimum = 1, maximum = 6_000_000)]
    messages_per_minute: Option<i32>,
    /// Default: the tenant's.
    #[schema(minimum = 1, maximum = 2_147_483_647)]
    daily_cap: Option<i32>,
    /// More than 1 only for an instance that may send fast. Default: 1.
    #[schema(minimum = 1, maximum = 256)]
    lane_concurrency: Option<i16>,
}

/// The new address, token and rate of an instance. The name cannot be changed.
#[derive(ToSchema)]
#[expect(dead_code, reason = "OpenAPI schema only: `Form` reads the body and reports every fault at once")]
pub(super) struct InstanceRequest {
    /// The Evolution API server.
    #[schema(max_length = 500)]
    base_url: String,
    /// Default: the present token.
    #[schema(min_length = 1, max_length = 500)]
    token: Option<String>,
    /// Default: the tenant's.
    #[schema(minimum = 1, maximum = 6_000_000)]
    messages_per_minute: Option<i32>,
    /// Default: the tenant's.
    #[schema(minimum = 1, maximum = 2_147_483_647)]
    daily_cap: Option<i32>,
    /// More than 1 only for an instance that may send fast. Default: 1.
    #[schema(minimum = 1, maximum = 256)]
    lane_concurrency: Option<i16>,
}
