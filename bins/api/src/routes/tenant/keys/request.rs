//! The bodies of the routes of API keys.

use ipnetwork::IpNetwork;
use regua_domain::{ApiKeyId, MessageType, Scope};
use regua_store::api_keys::ListedKey;

use crate::routes::kit::*;

body! {
    pub(super) struct KeyRequest {
        name: Line<1, 200>,
        /// `send` posts batches, `control` pauses, resumes and cancels queues and decides contacts, `read` reads. Default of a
        /// new key: all three; a change without them keeps the key's.
        scopes: Option<Scopes>,
        // Default: all types.
        types: Types = MessageType::ALL.to_vec(),
        /// Such as `203.0.113.0/24`. Default: all networks.
        allowed_networks: Networks = Vec::new(),
        /// Default: the tenant's rate limit.
        requests_per_minute: Option<Number<1, 6_000_000>>,
        /// Default: never.
        expires_at: Option<DateTime<Utc>>,
        /// Default: true.
        active: bool = true,
    }
}

body! {
    pub(super) struct RotateRequest {
        /// Seconds for which the old key still works; 0 ends it at once. Default: one day.
        overlap_seconds: Number<0, 2_592_000, i64> = 86_400,
    }
}

impl KeyRequest {
    /// The key; a body without scopes leaves it `scopes`.
    pub(super) fn into_key(
        self,
        api_key_id: ApiKeyId,
        lookup_prefix: String,
        scopes: &[Scope],
        created_at: DateTime<Utc>,
    ) -> ListedKey {
        ListedKey {
            api_key_id,
            name: self.name,
            lookup_prefix,
            scopes: sorted(self.scopes.unwrap_or_else(|| scopes.to_vec()), Scope::as_str),
            allowed_types: self.types,
            allowed_networks: self.allowed_networks,
            requests_per_minute: self.requests_per_minute,
            active: self.active,
            expires_at: self.expires_at,
            last_used_at: None,
            created_at,
        }
    }
}

/// Refuses an end in the past; a key that has ended keeps its end.
pub(super) fn refuse_past_expiry(body: &mut Draft<KeyRequest>, before: Option<DateTime<Utc>>, now: DateTime<Utc>) {
    let expires_at = body.expires_at.flatten();
    if expires_at.is_some_and(|end| end <= now && before != Some(end)) {
        body.refuse("expires_at", "in_the_past", &Text::of("key-expiry-past"));
    }
}

/// One or more words of an enum, in the order of their names.
macro_rules! lists {
    ($($list:ident of $word:ident;)+) => {$(
        pub(super) struct $list;

        impl Member for $list {
            type Value = Vec<$word>;

            fn schema() -> Schema {
                let most = $word::ALL.len();
                ArrayBuilder::new().items(<$word as utoipa::PartialSchema>::schema()).min_items(Some(1)).max_items(Some(most)).into()
            }

            fn optional_schema() -> Schema {
                Self::schema()
            }

            fn read(field: &mut Field<'_, '_>) -> Option<Self::Value> {
                let texts = field.texts($word::ALL.len())?;
                let words: Option<Vec<$word>> = texts.iter().map(|text| text.parse().ok()).collect();
                match words.filter(|words| !words.is_empty()) {
                    Some(words) => Some(sorted(words, $word::as_str)),
                    None => field.refuse("invalid_value", &accepted(&$word::ALL, $word::as_str)),
                }
            }
        }
    )+};
}

lists! {
    Types of MessageType;
    Scopes of Scope;
}

fn sorted<T: Copy + PartialEq>(mut words: Vec<T>, name: impl Fn(T) -> &'static str) -> Vec<T> {
    words.sort_unstable_by_key(|word| name(*word));
    words.dedup();
    words
}

pub(super) struct Networks;

impl Member for Networks {
    type Value = Vec<IpNetwork>;

    fn schema() -> Schema {
        ArrayBuilder::new().items(text()).max_items(Some(50)).into()
    }

    fn read(field: &mut Field<'_, '_>) -> Option<Vec<IpNetwork>> {
        let texts = field.texts(50)?;
        let mut networks = Vec::new();
        for (index, text) in texts.iter().enumerate() {
            // A network is stored without host bits.
            match text.parse().and_then(|parsed: IpNetwork| IpNetwork::new(parsed.network(), parsed.prefix())) {
                Ok(network) => networks.push(network),
                Err(_) => field.refuse_item(index, "invalid_network", &Text::of("key-network-invalid")),
            }
        }
        (networks.len() == texts.len()).then_some(networks)
    }
}
