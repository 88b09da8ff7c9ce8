//! An API key in answers and in bodies.

use std::str::FromStr;

use chrono::{DateTime, Utc};
use ipnetwork::IpNetwork;
use regua_domain::{ApiKeyId, MessageType, Scope, Text};
use regua_store::api_keys::ListedKey;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::callers::Access;
use crate::http::schema::{message_types_schema, scopes_schema};
use crate::http::{Form, Problem};

const MAX_NETWORKS: usize = 50;

#[derive(Clone, Serialize, ToSchema)]
pub(super) struct Key {
    key_id: Uuid,
    name: String,
    /// The beginning of the key's text after `regua_`; not secret.
    prefix: String,
    /// What the key may do: `send`, `control`, `read`.
    #[schema(value_type = Vec<String>)]
    scopes: Vec<Scope>,
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
            scopes: key.scopes.clone(),
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
    /// `send` posts batches, `control` pauses, resumes and cancels queues and decides contacts, `read` reads. Default of a
    /// new key: all three; a change without them keeps the key's.
    #[schema(schema_with = scopes_schema)]
    scopes: Option<Vec<String>>,
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
    let types = words(&mut form, "types", &MessageType::ALL, MessageType::as_str);
    let types = types.unwrap_or_else(|| sorted(MessageType::ALL.to_vec(), MessageType::as_str));
    let scopes = words(&mut form, "scopes", &Scope::ALL, Scope::as_str).unwrap_or_else(|| key.scopes.clone());
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
        scopes,
        allowed_types: types,
        allowed_networks: networks,
        requests_per_minute,
        active,
        expires_at,
        ..key
    })
}

/// The values of a list of words, sorted; none when the list is absent. An invalid or empty list is a fault.
fn words<T: Copy + FromStr + PartialEq>(
    form: &mut Form<'_>,
    name: &'static str,
    all: &[T],
    as_str: fn(T) -> &'static str,
) -> Option<Vec<T>> {
    let texts = form.list(name, all.len())?;
    let parsed = texts.iter().map(|text| text.parse().ok()).collect::<Option<Vec<T>>>().unwrap_or_default();
    if parsed.is_empty() {
        let values = all.iter().map(|value| as_str(*value)).collect::<Vec<_>>().join(", ");
        form.refuse(name, "invalid_value", &Text::of("accepted-values").with("values", values));
    }
    Some(sorted(parsed, as_str))
}

fn sorted<T: Copy + PartialEq>(mut values: Vec<T>, as_str: fn(T) -> &'static str) -> Vec<T> {
    values.sort_unstable_by_key(|value| as_str(*value));
    values.dedup();
    values
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
        scopes: sorted(Scope::DEFAULT.to_vec(), Scope::as_str),
        allowed_types: Vec::new(),
        allowed_networks: Vec::new(),
        requests_per_minute: None,
        active: true,
        expires_at: None,
        last_used_at: None,
        created_at,
    }
}
