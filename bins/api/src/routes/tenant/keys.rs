//! API keys: create, change, rotate with an overlap, revoke. Only the answer that creates a key contains its text.

mod networks;

use chrono::TimeDelta;
use ipnetwork::IpNetwork;
use regua_domain::{ApiKeyId, MessageType, Scope};
use regua_store::api_keys::{self, ListedKey};

use self::networks::parse_network;
use super::config::refuse_above_ceiling;
use crate::credentials::{keys, random_bytes};
use crate::routes::kit::*;

const MAX_KEYS: usize = 200;

pub(super) fn router() -> OpenApiRouter<Context> {
    OpenApiRouter::new()
        .routes(routes!(list_keys, create_key))
        .routes(routes!(replace_key, revoke_key))
        .routes(routes!(rotate_key))
}

items! { Keys of ListedKey }

/// An API key with its text. No other answer contains the text.
#[derive(Serialize, ToSchema)]
struct NewKey {
    /// For the header `X-Billing-API-Key`. The fleet stores only its hash.
    api_key: String,
    #[serde(flatten)]
    key: ListedKey,
}

body! {
    struct KeyRequest {
        name: Line<1, 200>,
        /// `send` posts batches, `control` pauses, resumes and cancels queues and decides contacts, `read` reads. Default of a
        /// new key: all three; a change without them keeps the key's.
        scopes: Option<Scopes>,
        // Default: all types.
        types: Types = MessageType::ALL.to_vec(),
        /// Such as `203.0.113.0/24`. Default: all networks.
        allowed_networks: Networks = Vec::new(),
        /// At most the ceiling that the platform sets for the tenant. Default: the tenant's rate limit.
        requests_per_minute: Option<Number<1, 6_000_000>>,
        /// Default: never.
        expires_at: Option<DateTime<Utc>>,
        /// Default: true.
        active: bool = true,
    }
}

body! {
    struct RotateRequest {
        /// Seconds for which the old key still works; 0 ends it at once. Default: one day.
        overlap_seconds: Number<0, 2_592_000, i64> = 86_400,
    }
}

/// The tenant's API keys, newest first.
#[utoipa::path(get, path = "/keys", responses((status = 200, description = "All keys", body = Keys)))]
async fn list_keys(access: Access<Administer>) -> Answer<Keys> {
    let items = access.read(async |conn| api_keys::list(conn, access.tenant_id, None).await).await?;
    Ok(Json(Keys { items }))
}

/// Creates an API key. No other answer contains its text.
#[utoipa::path(
    post, path = "/keys", request_body = KeyRequest, responses((status = 201, description = "Created", body = NewKey))
)]
async fn create_key(access: Access<Administer>, mut body: Draft<KeyRequest>) -> Created<NewKey> {
    let now = access.context.clock.now();
    refuse_past_expiry(&mut body, None, now);
    let (id, generated) = (ApiKeyId::new(now), keys::generate(&random_bytes()?));
    let key = body.finish()?.apply(ListedKey::new(id, "", &generated.lookup_prefix, now));
    let key = access.change("key.created", id, async |conn, _| {
        refuse_above_ceiling(conn, &access, key.requests_per_minute).await?;
        store(conn, &access, &key, &generated.secret_hash).await?;
        Ok(((), key))
    });
    created(NewKey { key: key.await?, api_key: generated.text })
}

/// Replaces the name and the permissions of an API key. An absent field gets its default.
#[utoipa::path(
    put, path = "/keys/{key_id}", request_body = KeyRequest,
    responses((status = 200, description = "The changed key", body = ListedKey))
)]
async fn replace_key(
    access: Access<Administer>,
    InPath(id): InPath<ApiKeyId>,
    mut body: Draft<KeyRequest>,
) -> Answer<ListedKey> {
    let work = async |conn: &mut PgConnection, now| {
        let before = lock(conn, &access, id).await?;
        refuse_past_expiry(&mut body, before.expires_at, now);
        let after = body.finish()?.apply(before.clone());
        refuse_above_ceiling(conn, &access, after.requests_per_minute).await?;
        api_keys::update(conn, access.tenant_id, &after).await?;
        Ok((before, after))
    };
    access.change("key.updated", id, work).await.map(Json)
}

/// Revokes an API key. Every process refuses it within two seconds. `PUT` with `active` reactivates it.
#[utoipa::path(delete, path = "/keys/{key_id}", responses((status = 204, description = "Revoked")))]
async fn revoke_key(access: Access<Administer>, InPath(id): InPath<ApiKeyId>) -> Done {
    let work = async |conn: &mut PgConnection, _| {
        let before = lock(conn, &access, id).await?;
        let after = ListedKey { active: false, ..before.clone() };
        api_keys::update(conn, access.tenant_id, &after).await?;
        Ok((before, after))
    };
    access.change("key.revoked", id, work).await?;
    Ok(DONE)
}

/// Creates an API key with the same permissions, and ends the old key after the overlap.
#[utoipa::path(
    post, path = "/keys/{key_id}/rotate", request_body = RotateRequest,
    responses((status = 201, description = "The new key", body = NewKey))
)]
async fn rotate_key(
    access: Access<Administer>,
    InPath(id): InPath<ApiKeyId>,
    Valid(body): Valid<RotateRequest>,
) -> Created<NewKey> {
    let generated = keys::generate(&random_bytes()?);
    let work = async |conn: &mut PgConnection, now| {
        let old = lock(conn, &access, id).await?;
        refuse_unless(old.active && old.expires_at.is_none_or(|end| end > now), Text::of("key-not-valid"))?;
        let (api_key_id, lookup_prefix) = (ApiKeyId::new(now), generated.lookup_prefix);
        let key = ListedKey { api_key_id, lookup_prefix, last_used_at: None, created_at: now, ..old.clone() };
        store(conn, &access, &key, &generated.secret_hash).await?;
        let end = now + TimeDelta::seconds(body.overlap_seconds);
        let ending =
            ListedKey { expires_at: Some(old.expires_at.map_or(end, |before| before.min(end))), ..old.clone() };
        api_keys::update(conn, access.tenant_id, &ending).await?;
        access.record(conn, "key.created", api_key_id, (&(), &key), now).await?;
        access.record(conn, "key.rotated", id, (&old, &ending), now).await?;
        Ok(key)
    };
    let key = access.transact(work).await?;
    created(NewKey { api_key: generated.text, key })
}

async fn lock(conn: &mut PgConnection, access: &Principal, id: ApiKeyId) -> Result<ListedKey, Problem> {
    found(api_keys::lock(conn, access.tenant_id, id).await?)
}

async fn store(
    conn: &mut PgConnection,
    access: &Principal,
    key: &ListedKey,
    secret_hash: &[u8],
) -> Result<(), Problem> {
    let count = api_keys::list(conn, access.tenant_id, None).await?.len();
    refuse_unless(count < MAX_KEYS, Text::of("key-too-many").with("most", MAX_KEYS))?;
    Ok(api_keys::create(conn, access.tenant_id, key, secret_hash).await?)
}

impl KeyRequest {
    /// The key with the name and the permissions of the body; a body without scopes leaves it its own.
    fn apply(self, key: ListedKey) -> ListedKey {
        let Self { name, scopes, types: allowed_types, allowed_networks, requests_per_minute, expires_at, active } =
            self;
        let scopes = sorted(scopes.unwrap_or(key.scopes), Scope::as_str);
        ListedKey { name, scopes, allowed_types, allowed_networks, requests_per_minute, expires_at, active, ..key }
    }
}

/// Refuses an end in the past; a key that has ended keeps its end.
fn refuse_past_expiry(body: &mut Draft<KeyRequest>, before: Option<DateTime<Utc>>, now: DateTime<Utc>) {
    let expires_at = body.expires_at.flatten();
    if expires_at.is_some_and(|end| end <= now && before != Some(end)) {
        body.refuse("expires_at", "in_the_past", &Text::of("key-expiry-past"));
    }
}

/// One or more words of an enum, in the order of their names.
macro_rules! lists {
    ($($list:ident of $word:ident;)+) => {$(
        struct $list;

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

struct Networks;

impl Member for Networks {
    type Value = Vec<IpNetwork>;

    fn schema() -> Schema {
        ArrayBuilder::new().items(text()).max_items(Some(50)).into()
    }

    fn read(field: &mut Field<'_, '_>) -> Option<Vec<IpNetwork>> {
        let texts = field.texts(50)?;
        let mut networks = Vec::new();
        for (index, text) in texts.iter().enumerate() {
            match parse_network(text) {
                Ok(network) => networks.push(network),
                Err(refusal) => field.refuse_item(index, "invalid_network", &refusal),
            }
        }
        (networks.len() == texts.len()).then_some(networks)
    }
}
