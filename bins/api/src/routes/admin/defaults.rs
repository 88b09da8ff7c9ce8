//! What a batch is sent with that names no template or no number: one of each a type.

use axum::Json;
use axum::extract::{Path, State};
use regua_domain::{InstanceId, MessageType, Right, TemplateId};
use regua_store::type_defaults::{self, Default};
use regua_store::{instances, templates};
use serde::Serialize;
use sqlx::PgConnection;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::noted;
use crate::Context;
use crate::error::{Code, PersonChangeProblems, PersonProblems, Problem};
use crate::form::Form;
use crate::people::{Access, Change, JsonBody};

pub(super) fn router() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(replace))
}

/// A type's defaults.
#[derive(Serialize, ToSchema)]
struct TypeDefault {
    #[schema(schema_with = super::super::queue::message_type_schema)]
    r#type: &'static str,
    /// Null: batches must name one.
    template_id: Option<Uuid>,
    /// Null: batches must name one.
    instance_id: Option<Uuid>,
}

impl From<&Default> for TypeDefault {
    fn from(default: &Default) -> Self {
        let template_id = default.template.map(|id| id.0);
        let instance_id = default.instance.map(|id| id.0);
        Self { r#type: default.message_type.as_str(), template_id, instance_id }
    }
}

/// The defaults of all types.
#[derive(Serialize, ToSchema)]
struct TypeDefaults {
    items: Vec<TypeDefault>,
}

/// A type's defaults; what is not given is none.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes the body; a form reads it, so that all that is wrong is answered at once")]
struct DefaultRequest {
    /// A template of that type.
    template_id: Option<Uuid>,
    instance_id: Option<Uuid>,
}

/// The defaults of all types.
#[utoipa::path(
    get, path = "/defaults", operation_id = "list_defaults", tag = "admin", security(("bearer" = []), ("session" = [])),
    responses((status = 200, description = "As they are", body = TypeDefaults), PersonProblems)
)]
async fn list(State(context): State<Context>, access: Access) -> Result<Json<TypeDefaults>, Problem> {
    access.require(Right::Look)?;
    let mut transaction = access.begin(&context).await?;
    let found = type_defaults::list(&mut transaction, access.tenant_id).await?;
    transaction.commit().await?;
    Ok(Json(TypeDefaults { items: found.iter().map(TypeDefault::from).collect() }))
}

/// Replaces a type's defaults: what is not given is none. Batches that were taken before stay as they are.
#[utoipa::path(
    put, path = "/defaults/{type}", operation_id = "replace_default", tag = "admin",
    security(("bearer" = []), ("session" = [])),
    params(("type" = String, Path, description = "overdue, upcoming or notification")), request_body = DefaultRequest,
    responses((status = 200, description = "As they are now", body = TypeDefault), PersonChangeProblems)
)]
async fn replace(
    State(context): State<Context>,
    access: Access,
    Path(named): Path<String>,
    JsonBody(body): JsonBody,
) -> Result<Json<TypeDefault>, Problem> {
    access.require(Right::Operate)?;
    let message_type: MessageType = named.parse().map_err(|_| Problem::of(Code::NotFound))?;
    let mut form = Form::read(&body, access.language)?;
    let template = id(&mut form, "template_id").map(TemplateId);
    let instance = id(&mut form, "instance_id").map(InstanceId);
    let after = Default { message_type, template, instance };
    let mut transaction = access.begin(&context).await?;
    let conn = &mut *transaction;
    look_for(conn, &access, &mut form, &after).await?;
    form.finish()?;
    let before = type_defaults::list(conn, access.tenant_id).await?;
    let before = before.iter().find(|before| before.message_type == message_type).map(TypeDefault::from);
    type_defaults::put(conn, access.tenant_id, &after).await?;
    let (before, noted) = (noted(&before)?, noted(&TypeDefault::from(&after))?);
    let change = Change { action: "default.updated", object: named, before: Some(&before), after: Some(&noted) };
    access.record(conn, change, context.clock.now()).await?;
    transaction.commit().await?;
    Ok(Json((&after).into()))
}

/// Refuses what the tenant has not, and a template of another type.
async fn look_for(
    conn: &mut PgConnection,
    access: &Access,
    form: &mut Form<'_>,
    default: &Default,
) -> Result<(), Problem> {
    if let Some(id) = default.template {
        let found = templates::list(conn, access.tenant_id, Some(id)).await?;
        if !found.iter().any(|one| one.message_type == default.message_type.as_str()) {
            let message = form.language.pick(
                format!("Não há este modelo do tipo {}.", default.message_type),
                format!("There is no such template of type {}.", default.message_type),
            );
            form.refuse("template_id", "template_not_found", &message);
        }
    }
    if let Some(id) = default.instance
        && instances::get(conn, access.tenant_id, id).await?.is_none()
    {
        let message = form.language.pick("Não há este número.", "There is no such number.");
        form.refuse("instance_id", "instance_not_found", message);
    }
    Ok(())
}

fn id(form: &mut Form<'_>, name: &'static str) -> Option<Uuid> {
    let text = form.text(name, 40)?;
    let id = text.parse().ok();
    if id.is_none() {
        form.wrong_type(name, "um id", "an id");
    }
    id
}
