//! An API key in answers and in bodies.

use chrono::{DateTime, Utc};
use ipnetwork::IpNetwork;
use regua_domain::{ApiKeyId, MessageType, Text};
use regua_store::api_keys::ListedKey;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::callers::Access;
use crate::http::schema::message_types_schema;
use crate::http::{Form, Problem};

const MAX_NETWORKS: usize = 50;

#[derive(Clone, Serialize, ToSchema)]
pub(super) struct Key {
    key_id: Uuid,
    name: String,
    /// The beginning of the key's text after `regua_`; not secret.
    prefix: String,
    /// Message types that the key may send.
    #[schema(value_type = Vec<String>)]
    types: Vec<MessageType>,
    /// Networks from which the key is accepted; empty: all.
    allowed_networks: Vec<String>,
    /// Null: the tenant's rate limit.
    requests_per_minute: Option<i32>,
    active: bool,
    expires_at: Option<DateTime<Utc>>,
    /// Accurate to a minute.
    last_used_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
}

impl From<&ListedKey> for Key {
    fn from(key: &ListedKey) -> Self {
        Self {
            key_id: key.api_key_id.0,
            name: key.name.clone(),
            prefix: key.lookup_prefix.clone(),
            types: key.allowed_types.clone(),
            allowed_networks: key.allowed_networks.iter().map(ToString::to_string).collect(),
            requests_per_minute: key.requests_per_minute,
            active: key.active,
            expires_at: key.expires_at,
            last_used_at: key.last_used_at,
            created_at: key.created_at,
        }
    }
}

#[derive(Serialize, ToSchema)]
pub(super) struct Keys {
    pub(super) items: Vec<Key>,
}

/// An API key with its text. No other answer contains the text.
#[derive(Serialize, ToSchema)]
pub(super) struct NewKey {
    /// For the header `X-Billing-API-Key`. The fleet stores only its hash.
    pub(super) api_key: String,
    #[serde(flatten)]
    pub(super) key: Key,
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "OpenAPI schema only: `Form` reads the body and reports every fault at once")]
pub(super) struct KeyRequest {
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// Default: all types.
    #[schema(schema_with = message_types_schema)]
    types: Option<Vec<String>>,
    /// Such as `203.0.113.0/24`. Default: all networks.
    #[schema(max_items = 50)]
    allowed_networks: Option<Vec<String>>,
    /// Default: the tenant's rate limit.
    #[schema(minimum = 1, maximum = 6_000_000)]
    requests_per_minute: Option<i32>,
    /// Default: never.
    expires_at: Option<DateTime<Utc>>,
    /// Default: true.
    active: Option<bool>,
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "OpenAPI schema only: `Form` reads the body and reports every fault at once")]
pub(super) struct RotateRequest {
    /// Seconds for which the old key still works; 0 ends it at once. Default: one day.
    #[schema(minimum = 0, maximum = 2_592_000)]
    overlap_seconds: Option<i64>,
}

/// Reads the fields of a body; the other fields are those of `key`.
pub(super) fn read(body: &[u8], access: &Access, key: ListedKey, now: DateTime<Utc>) -> Result<ListedKey, Problem> {
    let mut form = Form::read(body, access.language)?;
    let name = form.required_text("name", 200);
    let mut types = match form.list("types", 3) {
        Some(texts) => texts.iter().map(|text| text.parse().ok()).collect::<Option<_>>().unwrap_or_default(),
        None => MessageType::ALL.to_vec(),
    };
    types.sort_unstable_by_key(|message_type| message_type.as_str());
    types.dedup();
    if types.is_empty() {
        let values = MessageType::ALL.map(MessageType::as_str).join(", ");
        form.refuse("types", "invalid_value", &Text::of("accepted-values").with("values", values));
    }
    let networks = networks(&mut form);
    let requests_per_minute = form.number("requests_per_minute", 1..=6_000_000);
    let expires_at = form.instant("expires_at");
    if expires_at.is_some_and(|end| end <= now && key.expires_at != Some(end)) {
        form.refuse("expires_at", "in_the_past", &Text::of("key-expiry-past"));
    }
    let active = form.boolean("active").unwrap_or(true);
    form.finish()?;
    Ok(ListedKey {
        name,
        allowed_types: types,
        allowed_networks: networks,
        requests_per_minute,
        active,
        expires_at,
        ..key
    })
}

fn networks(form: &mut Form<'_>) -> Vec<IpNetwork> {
    let texts = form.list("allowed_networks", MAX_NETWORKS).unwrap_or_default();
    let mut networks = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        // A network is stored without host bits.
        let network = text.parse::<IpNetwork>().and_then(|parsed| IpNetwork::new(parsed.network(), parsed.prefix()));
        match network {
            Ok(network) => networks.push(network),
            Err(_) => {
                form.refuse(&format!("allowed_networks[{index}]"), "invalid_network", &Text::of("key-network-invalid"));
            }
        }
    }
    networks
}

/// A new key before its body is read.
pub(super) fn blank_key(api_key_id: ApiKeyId, lookup_prefix: String, created_at: DateTime<Utc>) -> ListedKey {
    ListedKey {
        api_key_id,
        name: String::new(),
        lookup_prefix,
        allowed_types: Vec::new(),
        allowed_networks: Vec::new(),
        requests_per_minute: None,
        active: true,
        expires_at: None,
        last_used_at: None,
        created_at,
    }
}
