//! WhatsApp numbers at Evolution API servers. A token goes in and never comes out: it is sealed before it is kept.

mod gateway;
mod shape;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use regua_domain::{InstanceId, MessageType, Right};
use regua_store::instances::{self, Kept};
use regua_store::type_defaults;
use sqlx::PgConnection;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use self::gateway::{Pace, is_name, new_address, opened, pace, seal};
use self::shape::{InstanceRequest, InstanceView, Instances, NewInstanceRequest};
use super::{InPath, noted, unless_in_use};
use crate::Context;
use crate::error::{CREATED, Code, DONE, PersonActionProblems, PersonChangeProblems, PersonProblems, Problem};
use crate::form::Form;
use crate::people::{Access, Change, JsonBody};

/// More numbers than a tenant has.
const MOST_INSTANCES: usize = 500;

pub(super) fn router() -> OpenApiRouter<Context> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(get, replace, remove))
        .routes(routes!(gateway::check))
        .routes(routes!(gateway::set_webhook))
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
    if instances::kept(conn, access.tenant_id, None).await?.len() >= MOST_INSTANCES {
        let detail = access.language.pick("Há 500 números, o máximo.", "There are 500 numbers, the most.");
        return Err(Problem::with_detail(Code::StateConflict, detail.to_owned()));
    }
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
    let stays = |address: &regua_evolution::InstanceAddress| address.server() == before.base_url.trim_end_matches('/');
    if !is_new && address.as_ref().is_some_and(|address| !stays(address)) {
        // Whoever may set an address may not thereby read a token: it would be shown to the new one.
        let message = form.language.pick(
            "Com outro endereço, envie também o token: o atual não é mostrado a outro servidor.",
            "With another address send the token as well: the present one is not shown to another server.",
        );
        form.refuse("token", "required", message);
    }
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
