//! WhatsApp instances at Evolution API servers. A token is sealed before it is stored, and no answer contains it.

mod gateway;
mod shape;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use regua_domain::{Capability, InstanceId, InstanceName, MessageType, Text};
use regua_store::instances::{self, InstanceSettings};
use regua_store::type_defaults;
use sqlx::PgConnection;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use self::gateway::{Pace, open_stored_token, read_address, read_pace, seal};
use self::shape::{InstanceRequest, InstanceView, Instances, NewInstanceRequest};
use super::unless_in_use;
use crate::callers::{Access, Change, snapshot};
use crate::context::Context;
use crate::http::error::{UserActionProblems, UserChangeProblems, UserReadProblems};
use crate::http::{CREATED, Code, DONE, Form, InPath, JsonBody, Problem};

const MAX_INSTANCES: usize = 500;

pub(super) fn router() -> OpenApiRouter<Context> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(get, replace, delete))
        .routes(routes!(gateway::check))
        .routes(routes!(gateway::set_webhook))
}

/// The tenant's instances, by name.
#[utoipa::path(
    get, path = "/instances", operation_id = "list_instances", tag = "admin",
    security(("bearer" = []), ("session" = [])),
    responses((status = 200, description = "All instances", body = Instances), UserReadProblems)
)]
async fn list(State(context): State<Context>, access: Access) -> Result<Json<Instances>, Problem> {
    access.require(Capability::Read)?;
    let mut transaction = access.begin(&context).await?;
    let found = instances::settings(&mut transaction, access.tenant_id, None).await?;
    transaction.commit().await?;
    Ok(Json(Instances { items: found.iter().map(InstanceView::from).collect() }))
}

/// One instance.
#[utoipa::path(
    get, path = "/instances/{instance_id}", operation_id = "get_instance", tag = "admin",
    security(("bearer" = []), ("session" = [])), params(("instance_id" = Uuid, Path)),
    responses((status = 200, description = "The instance", body = InstanceView), UserReadProblems)
)]
async fn get(
    State(context): State<Context>,
    access: Access,
    InPath(id): InPath<Uuid>,
) -> Result<Json<InstanceView>, Problem> {
    access.require(Capability::Read)?;
    let mut transaction = access.begin(&context).await?;
    let found = find(&mut transaction, &access, id).await?;
    transaction.commit().await?;
    Ok(Json((&found).into()))
}

/// Adds an instance. It becomes the default of each type that has none.
#[utoipa::path(
    post, path = "/instances", operation_id = "create_instance", tag = "admin",
    security(("bearer" = []), ("session" = [])), request_body = NewInstanceRequest,
    responses((status = 201, description = "Added", body = InstanceView), UserChangeProblems)
)]
async fn create(State(context): State<Context>, access: Access, JsonBody(body): JsonBody) -> Result<Response, Problem> {
    access.require(Capability::Operate)?;
    let now = context.clock.now();
    let mut form = Form::read(&body, access.language)?;
    let text = form.required_text("name", 64);
    let name = text.parse::<InstanceName>().ok();
    if name.is_none() && !text.is_empty() {
        form.refuse("name", "invalid_name", &Text::of("instance-name-invalid"));
    }
    let (base_url, token) = (form.required_text("base_url", 500), form.required_text("token", 500));
    let address = read_address(&mut form, &context, &base_url, &text, &token);
    let pace = read_pace(&mut form);
    form.finish()?;
    let (name, address) = name.zip(address).ok_or(Problem::of(Code::ValidationFailed))?;
    let id = InstanceId::new(now);
    let sealed = seal(&context, &access, id, &token)?;
    let mut transaction = access.begin(&context).await?;
    let conn = &mut *transaction;
    if instances::settings(conn, access.tenant_id, None).await?.len() >= MAX_INSTANCES {
        return Err(Problem::with_detail(
            Code::StateConflict,
            Text::of("instance-too-many").with("most", MAX_INSTANCES),
        ));
    }
    refuse_instance_of_another(conn, &access, address.server(), &name).await?;
    if !instances::create(conn, access.tenant_id, id, &name, address.server(), &sealed, now).await? {
        return Err(Problem::with_detail(Code::NameTaken, Text::of("instance-name-taken").with("name", name)));
    }
    set_pace(conn, &access, id, &pace).await?;
    for message_type in MessageType::ALL {
        type_defaults::set_instance(conn, access.tenant_id, message_type, id, true).await?;
    }
    let view = InstanceView::from(&find(conn, &access, id.0).await?);
    let (after, object) = (snapshot(&view)?, id.to_string());
    access.record(conn, Change { action: "instance.created", object, before: None, after: Some(&after) }, now).await?;
    transaction.commit().await?;
    Ok((CREATED, Json(view)).into_response())
}

/// Changes an instance's address, token and rate. Without `token` the present token stays. A worker uses the change
/// within ten seconds, and checks an instance that is down at once.
#[utoipa::path(
    put, path = "/instances/{instance_id}", operation_id = "replace_instance", tag = "admin",
    security(("bearer" = []), ("session" = [])), params(("instance_id" = Uuid, Path)), request_body = InstanceRequest,
    responses((status = 200, description = "The changed instance", body = InstanceView), UserChangeProblems)
)]
async fn replace(
    State(context): State<Context>,
    access: Access,
    InPath(id): InPath<Uuid>,
    JsonBody(body): JsonBody,
) -> Result<Json<InstanceView>, Problem> {
    access.require(Capability::Operate)?;
    let now = context.clock.now();
    let mut transaction = access.begin(&context).await?;
    let conn = &mut *transaction;
    let before = find(conn, &access, id).await?;
    let mut form = Form::read(&body, access.language)?;
    let (base_url, new_token) = (form.required_text("base_url", 500), form.text("token", 500));
    let is_new = new_token.is_some();
    // A new token replaces a token that cannot be opened.
    let token = match new_token {
        Some(token) => token,
        None => open_stored_token(&context, &access, &before)?,
    };
    let address = read_address(&mut form, &context, &base_url, before.name.as_str(), &token);
    let pace = read_pace(&mut form);
    let is_same_server =
        |address: &regua_evolution::InstanceAddress| address.server() == before.base_url.trim_end_matches('/');
    if !is_new && address.as_ref().is_some_and(|address| !is_same_server(address)) {
        // Otherwise an operator could read the token by sending it to a server of their own.
        form.refuse("token", "required", &Text::of("instance-token-required"));
    }
    form.finish()?;
    let address = address.ok_or(Problem::of(Code::ValidationFailed))?;
    let sealed = seal(&context, &access, before.instance_id, &token)?;
    refuse_instance_of_another(conn, &access, address.server(), &before.name).await?;
    let (tenant, instance) = (access.tenant_id, before.instance_id);
    instances::set_address(conn, tenant, instance, address.server(), &sealed, now).await?;
    set_pace(conn, &access, instance, &pace).await?;
    let view = InstanceView::from(&find(conn, &access, id).await?);
    let (old, mut new) = (snapshot(&InstanceView::from(&before))?, snapshot(&view)?);
    new["token_replaced"] = is_new.into();
    let change = Change { action: "instance.updated", object: id.to_string(), before: Some(&old), after: Some(&new) };
    access.record(conn, change, now).await?;
    transaction.commit().await?;
    Ok(Json(view))
}

/// Deletes an instance that no queue uses and that is not a default.
#[utoipa::path(
    delete, path = "/instances/{instance_id}", operation_id = "delete_instance", tag = "admin",
    security(("bearer" = []), ("session" = [])), params(("instance_id" = Uuid, Path)),
    responses((status = 204, description = "Deleted"), UserActionProblems)
)]
async fn delete(State(context): State<Context>, access: Access, InPath(id): InPath<Uuid>) -> Result<Response, Problem> {
    access.require(Capability::Operate)?;
    let mut transaction = access.begin(&context).await?;
    let conn = &mut *transaction;
    let before = find(conn, &access, id).await?;
    let deleted = instances::delete(conn, access.tenant_id, before.instance_id).await;
    unless_in_use(deleted, Text::of("instance-in-use"))?;
    let before = snapshot(&InstanceView::from(&before))?;
    let change = Change { action: "instance.deleted", object: id.to_string(), before: Some(&before), after: None };
    access.record(conn, change, context.clock.now()).await?;
    transaction.commit().await?;
    Ok(DONE.into_response())
}

async fn find(conn: &mut PgConnection, access: &Access, id: Uuid) -> Result<InstanceSettings, Problem> {
    let found = instances::settings(conn, access.tenant_id, Some(InstanceId(id))).await?;
    found.into_iter().next().ok_or_else(|| Problem::of(Code::NotFound))
}

async fn set_pace(conn: &mut PgConnection, access: &Access, id: InstanceId, pace: &Pace) -> Result<(), Problem> {
    let Pace { messages_per_minute, daily_cap, concurrency } = *pace;
    Ok(instances::set_pace(conn, access.tenant_id, id, messages_per_minute, daily_cap, concurrency).await?)
}

/// An instance belongs to one tenant: two tenants could not keep its rate.
async fn refuse_instance_of_another(
    conn: &mut PgConnection,
    access: &Access,
    server: &str,
    name: &InstanceName,
) -> Result<(), Problem> {
    if !instances::belongs_to_another(conn, access.tenant_id, server, name).await? {
        return Ok(());
    }
    Err(Problem::with_detail(
        Code::NameTaken,
        Text::of("instance-of-another-tenant").with("name", name).with("server", server),
    ))
}
