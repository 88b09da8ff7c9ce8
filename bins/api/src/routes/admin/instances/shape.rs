//! Numbers as they are shown, and what bodies say of them.

use chrono::{DateTime, Utc};
use regua_domain::Sealed;
use regua_store::instances::Kept;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// A WhatsApp number.
#[derive(Serialize, ToSchema)]
#[schema(as = Instance)]
pub(super) struct InstanceView {
    instance_id: Uuid,
    /// At the gateway.
    name: String,
    /// The gateway.
    base_url: String,
    /// Whether there is a token; it is not shown.
    token_set: bool,
    /// The id of the key that seals it; null where it is older than sealing.
    token_key_id: Option<String>,
    /// Its own; null: the tenant's.
    messages_per_minute: Option<i32>,
    /// Its own; null: the tenant's.
    daily_cap: Option<i32>,
    /// Sends that may be on their way at once.
    lane_concurrency: i16,
    /// Its own or the tenant's.
    effective_messages_per_minute: i32,
    /// Its own or the tenant's; null: no cap.
    effective_daily_cap: Option<i32>,
    /// Whether the gateway's webhooks about it are taken.
    webhook_set: bool,
    /// As last seen by a worker.
    state: String,
    state_reason: Option<String>,
    state_checked_at: Option<DateTime<Utc>>,
    /// For which types a batch that names none goes through it.
    default_for: Vec<String>,
    created_at: DateTime<Utc>,
}

impl From<&Kept> for InstanceView {
    fn from(kept: &Kept) -> Self {
        Self {
            instance_id: kept.instance_id.0,
            name: kept.name.clone(),
            base_url: kept.base_url.clone(),
            token_set: !kept.token.is_empty(),
            token_key_id: Sealed::parse(&kept.token).map(|sealed| sealed.key_id().to_owned()),
            messages_per_minute: kept.messages_per_minute,
            daily_cap: kept.daily_cap,
            lane_concurrency: kept.lane_concurrency,
            effective_messages_per_minute: kept.rate_in_use,
            effective_daily_cap: kept.cap_in_use,
            webhook_set: kept.has_webhook,
            state: kept.state.clone(),
            state_reason: kept.state_reason.clone(),
            state_checked_at: kept.state_checked_at,
            default_for: kept.default_for.clone(),
            created_at: kept.created_at,
        }
    }
}

/// All numbers.
#[derive(Serialize, ToSchema)]
pub(super) struct Instances {
    pub(super) items: Vec<InstanceView>,
}

/// A new number.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes the body; a form reads it, so that all that is wrong is answered at once")]
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
    /// The tenant's unless given.
    #[schema(minimum = 1, maximum = 6_000_000)]
    messages_per_minute: Option<i32>,
    /// The tenant's unless given.
    #[schema(minimum = 1, maximum = 2_147_483_647)]
    daily_cap: Option<i32>,
    /// 1 unless given; more only for numbers that may send fast.
    #[schema(minimum = 1, maximum = 256)]
    lane_concurrency: Option<i16>,
}

/// What is changed of a number; its name stays.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes the body; a form reads it, so that all that is wrong is answered at once")]
pub(super) struct InstanceRequest {
    /// The Evolution API server.
    #[schema(max_length = 500)]
    base_url: String,
    /// It stays unless given.
    #[schema(min_length = 1, max_length = 500)]
    token: Option<String>,
    /// The tenant's unless given.
    #[schema(minimum = 1, maximum = 6_000_000)]
    messages_per_minute: Option<i32>,
    /// The tenant's unless given.
    #[schema(minimum = 1, maximum = 2_147_483_647)]
    daily_cap: Option<i32>,
    /// 1 unless given; more only for numbers that may send fast.
    #[schema(minimum = 1, maximum = 256)]
    lane_concurrency: Option<i16>,
}
