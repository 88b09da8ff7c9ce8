//! API keys: create, change, rotate with an overlap, revoke. Only the answer that creates a key contains its text.

mod shape;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, TimeDelta, Utc};
use regua_domain::{ApiKeyId, Capability, Text};
use regua_store::api_keys::{self, ListedKey, NewApiKey};
use sqlx::PgConnection;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use self::shape::{Key, KeyRequest, Keys, NewKey, RotateRequest, blank_key, read};
use crate::callers::{Access, Change, snapshot};
use crate::context::Context;
use crate::credentials::{keys, random_bytes};
use crate::http::error::{UserActionProblems, UserChangeProblems, UserReadProblems};
use crate::http::{CREATED, Code, DONE, Form, InPath, JsonBody, Problem};

const MAX_KEYS: usize = 200;
/// How long a rotated key still works.
const DEFAULT_OVERLAP_SECONDS: i64 = 24 * 3600;
const MAX_OVERLAP_SECONDS: i64 = 30 * 24 * 3600;

pub(super) fn router() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(replace, revoke)).routes(routes!(rotate))
}

/// The tenant's API keys, newest first.
#[utoipa::path(
    get, path = "/keys", operation_id = "list_keys", tag = "admin", security(("bearer" = []), ("session" = [])),
    responses((status = 200, description = "All keys", body = Keys), UserReadProblems)
)]
async fn list(State(context): State<Context>, access: Access) -> Result<Json<Keys>, Problem> {
    access.require(Capability::Administer)?;
    let mut transaction = access.begin(&context).await?;
    let found = api_keys::list(&mut transaction, access.tenant_id, None).await?;
    transaction.commit().await?;
    Ok(Json(Keys { items: found.iter().map(Key::from).collect() }))
}

/// Creates an API key. No other answer contains its text.
#[utoipa::path(
    post, path = "/keys", operation_id = "create_key", tag = "admin", security(("bearer" = []), ("session" = [])),
    request_body = KeyRequest, responses((status = 201, description = "Created", body = NewKey), UserChangeProblems)
)]
async fn create(State(context): State<Context>, access: Access, JsonBody(body): JsonBody) -> Result<Response, Problem> {
    access.require(Capability::Administer)?;
    let now = context.clock.now();
    let generated = keys::generate(&random_bytes()?);
    let blank = blank_key(ApiKeyId::new(now), generated.lookup_prefix.clone(), now);
    let key = read(&body, &access, blank, now)?;
    let mut transaction = access.begin(&context).await?;
    let conn = &mut *transaction;
    if api_keys::list(conn, access.tenant_id, None).await?.len() >= MAX_KEYS {
        return Err(too_many());
    }
    let created = store(conn, &access, &key, generated, now).await?;
    let after = snapshot(&created.key)?;
    let object = key.api_key_id.to_string();
    access.record(conn, Change { action: "key.created", object, before: None, after: Some(&after) }, now).await?;
    transaction.commit().await?;
    Ok((CREATED, Json(created)).into_response())
}

/// Replaces the name and the permissions of an API key. An absent field gets its default.
#[utoipa::path(
    put, path = "/keys/{key_id}", operation_id = "replace_key", tag = "admin", security(("bearer" = []), ("session" = [])),
    params(("key_id" = Uuid, Path)), request_body = KeyRequest,
    responses((status = 200, description = "The changed key", body = Key), UserChangeProblems)
)]
async fn replace(
    State(context): State<Context>,
    access: Access,
    InPath(id): InPath<Uuid>,
    JsonBody(body): JsonBody,
) -> Result<Json<Key>, Problem> {
    access.require(Capability::Administer)?;
    let now = context.clock.now();
    let mut transaction = access.begin(&context).await?;
    let conn = &mut *transaction;
    let before = get(conn, &access, id).await?;
    let after = read(&body, &access, before.clone(), now)?;
    change(conn, &access, "key.updated", &before, &after, now).await?;
    transaction.commit().await?;
    Ok(Json((&after).into()))
}

/// Revokes an API key. Every process refuses it within two seconds. `PUT` with `active` reactivates it.
#[utoipa::path(
    delete, path = "/keys/{key_id}", operation_id = "revoke_key", tag = "admin", security(("bearer" = []), ("session" = [])),
    params(("key_id" = Uuid, Path)), responses((status = 204, description = "Revoked"), UserActionProblems)
)]
async fn revoke(State(context): State<Context>, access: Access, InPath(id): InPath<Uuid>) -> Result<Response, Problem> {
    access.require(Capability::Administer)?;
    let mut transaction = access.begin(&context).await?;
    let before = get(&mut transaction, &access, id).await?;
    let after = ListedKey { active: false, ..before.clone() };
    change(&mut transaction, &access, "key.revoked", &before, &after, context.clock.now()).await?;
    transaction.commit().await?;
    Ok(DONE.into_response())
}

/// Creates an API key with the same permissions, and ends the old key after the overlap.
#[utoipa::path(
    post, path = "/keys/{key_id}/rotate", operation_id = "rotate_key", tag = "admin",
    security(("bearer" = []), ("session" = [])), params(("key_id" = Uuid, Path)), request_body = RotateRequest,
    responses((status = 201, description = "The new key", body = NewKey), UserChangeProblems)
)]
async fn rotate(
    State(context): State<Context>,
    access: Access,
    InPath(id): InPath<Uuid>,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    access.require(Capability::Administer)?;
    let mut form = Form::read(&body, access.language)?;
    let overlap = form.number("overlap_seconds", 0..=MAX_OVERLAP_SECONDS).unwrap_or(DEFAULT_OVERLAP_SECONDS);
    form.finish()?;
    let now = context.clock.now();
    let mut transaction = access.begin(&context).await?;
    let conn = &mut *transaction;
    let old = get(conn, &access, id).await?;
    if !old.active || old.expires_at.is_some_and(|end| end <= now) {
        return Err(Problem::with_detail(Code::StateConflict, Text::of("key-not-valid")));
    }
    if api_keys::list(conn, access.tenant_id, None).await?.len() >= MAX_KEYS {
        return Err(too_many());
    }
    let generated = keys::generate(&random_bytes()?);
    let (api_key_id, lookup_prefix) = (ApiKeyId::new(now), generated.lookup_prefix.clone());
    let key = ListedKey { api_key_id, lookup_prefix, last_used_at: None, created_at: now, ..old.clone() };
    let created = store(conn, &access, &key, generated, now).await?;
    let end = now + TimeDelta::seconds(overlap);
    let ending = ListedKey { expires_at: Some(old.expires_at.map_or(end, |before| before.min(end))), ..old.clone() };
    change(conn, &access, "key.rotated", &old, &ending, now).await?;
    let after = snapshot(&created.key)?;
    let object = api_key_id.to_string();
    access.record(conn, Change { action: "key.created", object, before: None, after: Some(&after) }, now).await?;
    transaction.commit().await?;
    Ok((CREATED, Json(created)).into_response())
}

async fn get(conn: &mut PgConnection, access: &Access, id: Uuid) -> Result<ListedKey, Problem> {
    api_keys::lock(conn, access.tenant_id, ApiKeyId(id)).await?.ok_or_else(|| Problem::of(Code::NotFound))
}

async fn change(
    conn: &mut PgConnection,
    access: &Access,
    action: &'static str,
    before: &ListedKey,
    after: &ListedKey,
    now: DateTime<Utc>,
) -> Result<(), Problem> {
    api_keys::update(conn, access.tenant_id, after).await?;
    let (before, after) = (snapshot(&Key::from(before))?, snapshot(&Key::from(after))?);
    let object = after["key_id"].as_str().unwrap_or_default().to_owned();
    access.record(conn, Change { action, object, before: Some(&before), after: Some(&after) }, now).await
}

async fn store(
    conn: &mut PgConnection,
    access: &Access,
    key: &ListedKey,
    generated: keys::GeneratedKey,
    now: DateTime<Utc>,
) -> Result<NewKey, Problem> {
    let new = NewApiKey {
        tenant_id: access.tenant_id,
        api_key_id: key.api_key_id,
        name: &key.name,
        lookup_prefix: &generated.lookup_prefix,
        secret_hash: &generated.secret_hash,
        scopes: &key.scopes,
        allowed_types: &key.allowed_types,
        allowed_networks: &key.allowed_networks,
        expires_at: key.expires_at,
        requests_per_minute: key.requests_per_minute,
    };
    api_keys::create(conn, &new, now).await?;
    Ok(NewKey { api_key: generated.text, key: key.into() })
}

fn too_many() -> Problem {
    Problem::with_detail(Code::StateConflict, Text::of("key-too-many").with("most", MAX_KEYS))
}
