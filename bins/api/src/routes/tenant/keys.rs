//! API keys: create, change, rotate with an overlap, revoke. Only the answer that creates a key contains its text.

mod request;

use chrono::TimeDelta;
use regua_domain::{ApiKeyId, Scope};
use regua_store::api_keys::{self, ListedKey, NewApiKey};

use self::request::{KeyRequest, RotateRequest, refuse_past_expiry};
use super::refuse_unless;
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

/// The tenant's API keys, newest first.
#[utoipa::path(get, path = "/keys", responses((status = 200, description = "All keys", body = Keys)))]
async fn list_keys(access: Access<Administer>) -> Answer<Keys> {
    let items = access.read(async |conn| Ok(api_keys::list(conn, access.tenant_id, None).await?)).await?;
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
    let key = body.finish()?.into_key(id, generated.lookup_prefix, &Scope::DEFAULT, now);
    let key = access.change("key.created", id, async |conn, now| {
        store(conn, &access, &key, &generated.secret_hash, now).await?;
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
        let prefix = before.lookup_prefix.clone();
        let changed = body.finish()?.into_key(id, prefix, &before.scopes, before.created_at);
        let after = ListedKey { last_used_at: before.last_used_at, ..changed };
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
    let mut created_key = None;
    let work = async |conn: &mut PgConnection, now| {
        let old = lock(conn, &access, id).await?;
        if !old.active || old.expires_at.is_some_and(|end| end <= now) {
            return Err(Problem::conflict(Text::of("key-not-valid")));
        }
        let (api_key_id, lookup_prefix) = (ApiKeyId::new(now), generated.lookup_prefix);
        let key = ListedKey { api_key_id, lookup_prefix, last_used_at: None, created_at: now, ..old.clone() };
        store(conn, &access, &key, &generated.secret_hash, now).await?;
        let end = now + TimeDelta::seconds(body.overlap_seconds);
        let ending =
            ListedKey { expires_at: Some(old.expires_at.map_or(end, |before| before.min(end))), ..old.clone() };
        api_keys::update(conn, access.tenant_id, &ending).await?;
        access.record(conn, Change::new("key.created", api_key_id, &(), &key)?, now).await?;
        created_key = Some(key);
        Ok((old, ending))
    };
    access.change("key.rotated", id, work).await?;
    created(NewKey { api_key: generated.text, key: found(created_key)? })
}

async fn lock(conn: &mut PgConnection, access: &Principal, id: ApiKeyId) -> Result<ListedKey, Problem> {
    found(api_keys::lock(conn, access.tenant_id, id).await?)
}

async fn store(
    conn: &mut PgConnection,
    access: &Principal,
    key: &ListedKey,
    secret_hash: &[u8],
    now: DateTime<Utc>,
) -> Result<(), Problem> {
    let count = api_keys::list(conn, access.tenant_id, None).await?.len();
    refuse_unless(count < MAX_KEYS, Text::of("key-too-many").with("most", MAX_KEYS))?;
    let new = NewApiKey {
        tenant_id: access.tenant_id,
        api_key_id: key.api_key_id,
        name: &key.name,
        lookup_prefix: &key.lookup_prefix,
        secret_hash,
        scopes: &key.scopes,
        allowed_types: &key.allowed_types,
        allowed_networks: &key.allowed_networks,
        expires_at: key.expires_at,
        requests_per_minute: key.requests_per_minute,
    };
    Ok(api_keys::create(conn, &new, now).await?)
}
