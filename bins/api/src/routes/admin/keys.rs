//! API keys: made, changed, replaced while the old one still works for a while, and switched off. A key's text is answered once.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, TimeDelta, Utc};
use ipnetwork::IpNetwork;
use regua_domain::{ApiKeyId, MessageType, Right};
use regua_store::api_keys::{self, ListedKey, NewApiKey};
use ring::rand::{SecureRandom, SystemRandom};
use serde::Serialize;
use sqlx::PgConnection;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::{InPath, noted};
use crate::Context;
use crate::error::{CREATED, Code, DONE, PersonActionProblems, PersonChangeProblems, PersonProblems, Problem};
use crate::form::Form;
use crate::keys::{self, GeneratedKey, RANDOM_BYTES};
use crate::people::{Access, Change, JsonBody};

/// More keys than a tenant has programs.
const MOST_KEYS: usize = 200;
const MOST_NETWORKS: usize = 50;
/// For how long a replaced key still works, unless said.
const USUAL_OVERLAP: i64 = 24 * 3600;
const LONGEST_OVERLAP: i64 = 30 * 24 * 3600;

pub(super) fn router() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(replace, revoke)).routes(routes!(rotate))
}

/// An API key.
#[derive(Clone, Serialize, ToSchema)]
struct Key {
    key_id: Uuid,
    name: String,
    /// What the key itself begins with after `regua_`; not secret.
    prefix: String,
    /// What it may send.
    types: Vec<String>,
    /// Networks it may be used from; empty: any.
    allowed_networks: Vec<String>,
    /// Null: the tenant's.
    requests_per_minute: Option<i32>,
    active: bool,
    expires_at: Option<DateTime<Utc>>,
    /// To the minute.
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

/// All keys.
#[derive(Serialize, ToSchema)]
struct Keys {
    items: Vec<Key>,
}

/// A key with its text, which is answered this once.
#[derive(Serialize, ToSchema)]
struct NewKey {
    /// For `X-Billing-API-Key`. Only a hash of it is kept.
    api_key: String,
    #[serde(flatten)]
    key: Key,
}

/// What a key may do.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes the body; a form reads it, so that all that is wrong is answered at once")]
struct KeyRequest {
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// All of them unless given.
    #[schema(schema_with = super::super::queue::message_types_schema)]
    types: Option<Vec<String>>,
    /// Such as `203.0.113.0/24`; any unless given.
    #[schema(max_items = 50)]
    allowed_networks: Option<Vec<String>>,
    /// The tenant's unless given.
    #[schema(minimum = 1, maximum = 6_000_000)]
    requests_per_minute: Option<i32>,
    /// It never ends unless given.
    expires_at: Option<DateTime<Utc>>,
    /// True unless given.
    active: Option<bool>,
}

/// How a key is replaced.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes the body; a form reads it, so that all that is wrong is answered at once")]
struct RotateRequest {
    /// Seconds for which the old key still works; a day unless given, 0: not at all.
    #[schema(minimum = 0, maximum = 2_592_000)]
    overlap_seconds: Option<i64>,
}

/// The tenant's keys, newest first.
#[utoipa::path(
    get, path = "/keys", operation_id = "list_keys", tag = "admin", security(("bearer" = []), ("session" = [])),
    responses((status = 200, description = "All keys", body = Keys), PersonProblems)
)]
async fn list(State(context): State<Context>, access: Access) -> Result<Json<Keys>, Problem> {
    access.require(Right::Own)?;
    let mut transaction = access.begin(&context).await?;
    let found = api_keys::list(&mut transaction, access.tenant_id, None).await?;
    transaction.commit().await?;
    Ok(Json(Keys { items: found.iter().map(Key::from).collect() }))
}

/// Makes a key. Its text is in the answer, and nowhere else.
#[utoipa::path(
    post, path = "/keys", operation_id = "create_key", tag = "admin", security(("bearer" = []), ("session" = [])),
    request_body = KeyRequest, responses((status = 201, description = "Made", body = NewKey), PersonChangeProblems)
)]
async fn create(State(context): State<Context>, access: Access, JsonBody(body): JsonBody) -> Result<Response, Problem> {
    access.require(Right::Own)?;
    let now = context.clock.now();
    let generated = generate()?;
    let key = read(
        &body,
        &access,
        ListedKey {
            api_key_id: ApiKeyId::new(now),
            lookup_prefix: generated.lookup_prefix.clone(),
            last_used_at: None,
            created_at: now,
            ..unread()
        },
        now,
    )?;
    let mut transaction = access.begin(&context).await?;
    let conn = &mut *transaction;
    if api_keys::list(conn, access.tenant_id, None).await?.len() >= MOST_KEYS {
        return Err(too_many(&access));
    }
    let made = store(conn, &access, &key, generated, now).await?;
    let after = noted(&made.key)?;
    let object = key.api_key_id.to_string();
    access.record(conn, Change { action: "key.created", object, before: None, after: Some(&after) }, now).await?;
    transaction.commit().await?;
    Ok((CREATED, Json(made)).into_response())
}

/// Replaces what a key may do: what is not given is as for a new key.
#[utoipa::path(
    put, path = "/keys/{key_id}", operation_id = "replace_key", tag = "admin", security(("bearer" = []), ("session" = [])),
    params(("key_id" = Uuid, Path)), request_body = KeyRequest,
    responses((status = 200, description = "As it is now", body = Key), PersonChangeProblems)
)]
async fn replace(
    State(context): State<Context>,
    access: Access,
    InPath(id): InPath,
    JsonBody(body): JsonBody,
) -> Result<Json<Key>, Problem> {
    access.require(Right::Own)?;
    let now = context.clock.now();
    let mut transaction = access.begin(&context).await?;
    let conn = &mut *transaction;
    let before = get(conn, &access, id).await?;
    let after = read(&body, &access, before.clone(), now)?;
    change(conn, &access, "key.updated", &before, &after, now).await?;
    transaction.commit().await?;
    Ok(Json((&after).into()))
}

/// Switches a key off, for good unless it is switched on again. Every process refuses it within two seconds.
#[utoipa::path(
    delete, path = "/keys/{key_id}", operation_id = "revoke_key", tag = "admin", security(("bearer" = []), ("session" = [])),
    params(("key_id" = Uuid, Path)), responses((status = 204, description = "Off"), PersonActionProblems)
)]
async fn revoke(State(context): State<Context>, access: Access, InPath(id): InPath) -> Result<Response, Problem> {
    access.require(Right::Own)?;
    let mut transaction = access.begin(&context).await?;
    let before = get(&mut transaction, &access, id).await?;
    let after = ListedKey { active: false, ..before.clone() };
    change(&mut transaction, &access, "key.revoked", &before, &after, context.clock.now()).await?;
    transaction.commit().await?;
    Ok(DONE.into_response())
}

/// Makes a key that may do the same, and ends the old one after the overlap.
#[utoipa::path(
    post, path = "/keys/{key_id}/rotate", operation_id = "rotate_key", tag = "admin",
    security(("bearer" = []), ("session" = [])), params(("key_id" = Uuid, Path)), request_body = RotateRequest,
    responses((status = 201, description = "The new key", body = NewKey), PersonChangeProblems)
)]
async fn rotate(
    State(context): State<Context>,
    access: Access,
    InPath(id): InPath,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    access.require(Right::Own)?;
    let mut form = Form::read(&body, access.language)?;
    let overlap = form.number("overlap_seconds", 0..=LONGEST_OVERLAP).unwrap_or(USUAL_OVERLAP);
    form.finish()?;
    let now = context.clock.now();
    let mut transaction = access.begin(&context).await?;
    let conn = &mut *transaction;
    let old = get(conn, &access, id).await?;
    if !old.active || old.expires_at.is_some_and(|end| end <= now) {
        let detail =
            access.language.pick("A chave já não vale. Crie outra.", "The key is not good any more. Make another.");
        return Err(Problem::with_detail(Code::StateConflict, detail.to_owned()));
    }
    if api_keys::list(conn, access.tenant_id, None).await?.len() >= MOST_KEYS {
        return Err(too_many(&access));
    }
    let generated = generate()?;
    let (api_key_id, lookup_prefix) = (ApiKeyId::new(now), generated.lookup_prefix.clone());
    let key = ListedKey { api_key_id, lookup_prefix, last_used_at: None, created_at: now, ..old.clone() };
    let made = store(conn, &access, &key, generated, now).await?;
    let end = now + TimeDelta::seconds(overlap);
    let ended = ListedKey { expires_at: Some(old.expires_at.map_or(end, |before| before.min(end))), ..old.clone() };
    change(conn, &access, "key.rotated", &old, &ended, now).await?;
    let after = noted(&made.key)?;
    let object = api_key_id.to_string();
    access.record(conn, Change { action: "key.created", object, before: None, after: Some(&after) }, now).await?;
    transaction.commit().await?;
    Ok((CREATED, Json(made)).into_response())
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
    let (before, after) = (noted(&Key::from(before))?, noted(&Key::from(after))?);
    let object = after["key_id"].as_str().unwrap_or_default().to_owned();
    access.record(conn, Change { action, object, before: Some(&before), after: Some(&after) }, now).await
}

async fn store(
    conn: &mut PgConnection,
    access: &Access,
    key: &ListedKey,
    generated: GeneratedKey,
    now: DateTime<Utc>,
) -> Result<NewKey, Problem> {
    let new = NewApiKey {
        tenant_id: access.tenant_id,
        api_key_id: key.api_key_id,
        name: &key.name,
        lookup_prefix: &generated.lookup_prefix,
        secret_hash: &generated.secret_hash,
        allowed_types: &key.allowed_types,
        allowed_networks: &key.allowed_networks,
        expires_at: key.expires_at,
        requests_per_minute: key.requests_per_minute,
    };
    api_keys::create(conn, &new, now).await?;
    Ok(NewKey { api_key: generated.text, key: key.into() })
}

fn generate() -> Result<GeneratedKey, Problem> {
    let mut random = [0; RANDOM_BYTES];
    SystemRandom::new().fill(&mut random).map_err(|_| Problem::internal(anyhow::anyhow!("no random numbers")))?;
    Ok(keys::generate(&random))
}

/// What a body says of a key, over what nobody may say.
fn read(body: &[u8], access: &Access, key: ListedKey, now: DateTime<Utc>) -> Result<ListedKey, Problem> {
    let mut form = Form::read(body, access.language)?;
    let name = form.required_text("name", 200);
    let all = MessageType::ALL.map(|message_type| message_type.to_string());
    let mut types: Vec<String> = form.list("types", 3).unwrap_or_else(|| all.to_vec());
    types.sort_unstable();
    types.dedup();
    if types.is_empty() || types.iter().any(|one| !all.contains(one)) {
        let message = form
            .language
            .pick("Valores aceitos: overdue, upcoming, notification.", "Use overdue, upcoming and notification.");
        form.refuse("types", "invalid_value", message);
    }
    let networks = networks(&mut form);
    let requests_per_minute = form.number("requests_per_minute", 1..=6_000_000);
    let expires_at = form.instant("expires_at");
    if expires_at.is_some_and(|end| end <= now && key.expires_at != Some(end)) {
        form.refuse("expires_at", "in_the_past", form.language.pick("A data já passou.", "The instant has passed."));
    }
    let active = form.choice("active").unwrap_or(true);
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
    let given = form.list("allowed_networks", MOST_NETWORKS).unwrap_or_default();
    let mut networks = Vec::new();
    for (index, text) in given.iter().enumerate() {
        // A network is stored without the bits of a host.
        let network = text.parse::<IpNetwork>().and_then(|one| IpNetwork::new(one.network(), one.prefix()));
        match network {
            Ok(network) => networks.push(network),
            Err(_) => {
                let message =
                    form.language.pick("Escreva uma rede como 203.0.113.0/24.", "Write a network as 203.0.113.0/24.");
                form.refuse(&format!("allowed_networks[{index}]"), "invalid_network", message);
            }
        }
    }
    networks
}

fn unread() -> ListedKey {
    ListedKey {
        api_key_id: ApiKeyId(Uuid::nil()),
        name: String::new(),
        lookup_prefix: String::new(),
        allowed_types: Vec::new(),
        allowed_networks: Vec::new(),
        requests_per_minute: None,
        active: true,
        expires_at: None,
        last_used_at: None,
        created_at: DateTime::UNIX_EPOCH,
    }
}

fn too_many(access: &Access) -> Problem {
    let detail = access.language.pick(
        format!("Há {MOST_KEYS} chaves, o máximo. Use ou altere uma das que existem."),
        format!("There are {MOST_KEYS} keys, the most. Use or change one of those."),
    );
    Problem::with_detail(Code::StateConflict, detail)
}
