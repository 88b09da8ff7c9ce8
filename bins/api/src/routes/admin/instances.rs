//! WhatsApp numbers at Evolution API servers. A token goes in and never comes out: it is sealed before it is kept.

mod gateway;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use regua_domain::{InstanceId, MessageType, Right, Sealed};
use regua_store::instances::{self, Kept};
use regua_store::type_defaults;
use serde::Serialize;
use sqlx::PgConnection;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use self::gateway::{Pace, is_name, new_address, opened, pace, seal};
use super::{InPath, noted, unless_in_use};
use crate::Context;
use crate::error::{CREATED, Code, DONE, PersonActionProblems, PersonChangeProblems, PersonProblems, Problem};
use crate::form::Form;
use crate::people::{Access, Change, JsonBody};

pub(super) fn router() -> OpenApiRouter<Context> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(get, replace, remove))
        .routes(routes!(gateway::check))
        .routes(routes!(gateway::set_webhook))
}

/// A WhatsApp number.
#[derive(Serialize, ToSchema)]
#[schema(as = Instance)]
struct InstanceView {
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
struct Instances {
    items: Vec<InstanceView>,
}

/// A new number.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes the body; a form reads it, so that all that is wrong is answered at once")]
struct NewInstanceRequest {
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
struct InstanceRequest {
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

/// The tenant's numbers by name.
#[utoipa::path(
    get, path = "/instances", operation_id = "list_instances", tag = "admin",
    security(("bearer" = []), ("session" = [])),
    responses((status = 200, description = "All numbers", body = Instances), PersonProblems)
)]
async fn list(State(context): State<Context>, access: Access) -> Result<Json<Instances>, Problem> {
    access.require(Right::Look)?;
    let mut transaction = access.begin(&context).await?;
    let found = instances::kept(&mut transaction, access.tenant_id, None).await?;
    transaction.commit().await?;
    Ok(Json(Instances { items: found.iter().map(InstanceView::from).collect() }))
}

/// One number.
#[utoipa::path(
    get, path = "/instances/{instance_id}", operation_id = "get_instance", tag = "admin",
    security(("bearer" = []), ("session" = [])), params(("instance_id" = Uuid, Path)),
    responses((status = 200, description = "The number", body = InstanceView), PersonProblems)
)]
async fn get(
    State(context): State<Context>,
    access: Access,
    InPath(id): InPath,
) -> Result<Json<InstanceView>, Problem> {
    access.require(Right::Look)?;
    let mut transaction = access.begin(&context).await?;
    let found = find(&mut transaction, &access, id).await?;
    transaction.commit().await?;
    Ok(Json((&found).into()))
}

/// Adds a number. It is the default of every type that has none.
#[utoipa::path(
    post, path = "/instances", operation_id = "create_instance", tag = "admin",
    security(("bearer" = []), ("session" = [])), request_body = NewInstanceRequest,
    responses((status = 201, description = "Added", body = InstanceView), PersonChangeProblems)
)]
async fn create(State(context): State<Context>, access: Access, JsonBody(body): JsonBody) -> Result<Response, Problem> {
    access.require(Right::Operate)?;
    let now = context.clock.now();
    let mut form = Form::read(&body, access.language)?;
    let name = form.required_text("name", 64);
    if !name.is_empty() && !is_name(&name) {
        let message = form.language.pick(
            "Use de 1 a 64 letras, algarismos, pontos, hífens e sublinhados.",
            "Use 1 to 64 letters, digits, dots, hyphens and underscores.",
        );
        form.refuse("name", "invalid_name", message);
    }
    let (base_url, token) = (form.required_text("base_url", 500), form.required_text("token", 500));
    let address = new_address(&mut form, &context, &base_url, &name, &token);
    let pace = pace(&mut form);
    form.finish()?;
    let address = address.ok_or(Problem::of(Code::ValidationFailed))?;
    let id = InstanceId::new(now);
    let sealed = seal(&context, &access, id, &token)?;
    let mut transaction = access.begin(&context).await?;
    let conn = &mut *transaction;
    refuse_anothers(conn, &access, address.server(), &name).await?;
    if instances::create(conn, access.tenant_id, id, &name, address.server(), &sealed, now).await?.is_none() {
        let detail = access.language.pick(
            format!("A empresa já tem um número \"{name}\"."),
            format!("The tenant already has an instance {name:?}."),
        );
        return Err(Problem::with_detail(Code::NameTaken, detail));
    }
    set_pace(conn, &access, id, &pace).await?;
    for message_type in MessageType::ALL {
        type_defaults::set_instance(conn, access.tenant_id, message_type, id, true).await?;
    }
    let view = InstanceView::from(&find(conn, &access, id.0).await?);
    let (after, object) = (noted(&view)?, id.to_string());
    access.record(conn, Change { action: "instance.created", object, before: None, after: Some(&after) }, now).await?;
    transaction.commit().await?;
    Ok((CREATED, Json(view)).into_response())
}

/// Changes a number's address, token and pace; the token stays unless it is given. A running worker goes by it within ten
/// seconds, and a number that was down is looked at again at once.
#[utoipa::path(
    put, path = "/instances/{instance_id}", operation_id = "replace_instance", tag = "admin",
    security(("bearer" = []), ("session" = [])), params(("instance_id" = Uuid, Path)), request_body = InstanceRequest,
    responses((status = 200, description = "As it is now", body = InstanceView), PersonChangeProblems)
)]
async fn replace(
    State(context): State<Context>,
    access: Access,
    InPath(id): InPath,
    JsonBody(body): JsonBody,
) -> Result<Json<InstanceView>, Problem> {
    access.require(Right::Operate)?;
    let now = context.clock.now();
    let mut transaction = access.begin(&context).await?;
    let conn = &mut *transaction;
    let before = find(conn, &access, id).await?;
    let mut form = Form::read(&body, access.language)?;
    let (base_url, new_token) = (form.required_text("base_url", 500), form.text("token", 500));
    let is_new = new_token.is_some();
    // A token that cannot be opened any more does not keep its number from being given another one.
    let token = match new_token {
        Some(token) => token,
        None => opened(&context, &access, &before)?,
    };
    let address = new_address(&mut form, &context, &base_url, &before.name, &token);
    let pace = pace(&mut form);
    form.finish()?;
    let address = address.ok_or(Problem::of(Code::ValidationFailed))?;
    let sealed = seal(&context, &access, before.instance_id, &token)?;
    refuse_anothers(conn, &access, address.server(), &before.name).await?;
    let (tenant, instance) = (access.tenant_id, before.instance_id);
    instances::set_address(conn, tenant, instance, address.server(), &sealed, now).await?;
    set_pace(conn, &access, instance, &pace).await?;
    let view = InstanceView::from(&find(conn, &access, id).await?);
    let (before, mut after) = (noted(&InstanceView::from(&before))?, noted(&view)?);
    after["token_replaced"] = is_new.into();
    let change =
        Change { action: "instance.updated", object: id.to_string(), before: Some(&before), after: Some(&after) };
    access.record(conn, change, now).await?;
    transaction.commit().await?;
    Ok(Json(view))
}

/// Deletes a number that nothing was sent through, and that is no default.
#[utoipa::path(
    delete, path = "/instances/{instance_id}", operation_id = "delete_instance", tag = "admin",
    security(("bearer" = []), ("session" = [])), params(("instance_id" = Uuid, Path)),
    responses((status = 204, description = "Gone"), PersonActionProblems)
)]
async fn remove(State(context): State<Context>, access: Access, InPath(id): InPath) -> Result<Response, Problem> {
    access.require(Right::Operate)?;
    let mut transaction = access.begin(&context).await?;
    let conn = &mut *transaction;
    let before = find(conn, &access, id).await?;
    let deleted = instances::delete(conn, access.tenant_id, before.instance_id).await;
    unless_in_use(deleted, || {
        access.language.pick(
            "O número é o padrão de um tipo, ou já há filas que passam por ele.",
            "The number is a type's default, or there are queues that go through it.",
        )
    })?;
    let before = noted(&InstanceView::from(&before))?;
    let change = Change { action: "instance.deleted", object: id.to_string(), before: Some(&before), after: None };
    access.record(conn, change, context.clock.now()).await?;
    transaction.commit().await?;
    Ok(DONE.into_response())
}

async fn find(conn: &mut PgConnection, access: &Access, id: Uuid) -> Result<Kept, Problem> {
    let found = instances::kept(conn, access.tenant_id, Some(InstanceId(id))).await?;
    found.into_iter().next().ok_or_else(|| Problem::of(Code::NotFound))
}

async fn set_pace(conn: &mut PgConnection, access: &Access, id: InstanceId, pace: &Pace) -> Result<(), Problem> {
    let Pace { messages_per_minute, daily_cap, concurrency } = *pace;
    Ok(instances::set_pace(conn, access.tenant_id, id, messages_per_minute, daily_cap, concurrency).await?)
}

/// One number is one tenant's: two could not keep its rate.
async fn refuse_anothers(conn: &mut PgConnection, access: &Access, server: &str, name: &str) -> Result<(), Problem> {
    if !instances::is_taken_by_another(conn, access.tenant_id, server, name).await? {
        return Ok(());
    }
    let detail = access.language.pick(
        format!("Outra empresa tem a instância \"{name}\" de {server}: um número é de uma só."),
        format!(
            "another tenant has the instance {name:?} of {server}: a number belongs to one tenant (docs/gateway.md)"
        ),
    );
    Err(Problem::with_detail(Code::NameTaken, detail))
}
