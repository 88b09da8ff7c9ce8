//! The default template and instance of each message type, for batches that name none.

use axum::Json;
use axum::extract::{Path, State};
use regua_domain::{Capability, InstanceId, MessageType, TemplateId, Text};
use regua_store::type_defaults::{self, Default};
use regua_store::{instances, templates};
use serde::Serialize;
use sqlx::PgConnection;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::callers::{Access, Change, snapshot};
use crate::context::Context;
use crate::http::error::{UserChangeProblems, UserReadProblems};
use crate::http::schema::message_type_schema;
use crate::http::{Code, Form, JsonBody, Problem};

pub(super) fn router() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(replace))
}

#[derive(Serialize, ToSchema)]
struct TypeDefault {
    #[schema(schema_with = message_type_schema)]
    r#type: &'static str,
    /// Null: a batch must name one.
    template_id: Option<Uuid>,
    /// Null: a batch must name one.
    instance_id: Option<Uuid>,
}

impl From<&Default> for TypeDefault {
    fn from(default: &Default) -> Self {
        let template_id = default.template.map(|id| id.0);
        let instance_id = default.instance.map(|id| id.0);
        Self { r#type: default.message_type.as_str(), template_id, instance_id }
    }
}

#[derive(Serialize, ToSchema)]
struct TypeDefaults {
    items: Vec<TypeDefault>,
}

/// The defaults of a message type. An absent field means no default.
#[derive(ToSchema)]
#[expect(dead_code, reason = "OpenAPI schema only: `Form` reads the body and reports every fault at once")]
struct DefaultRequest {
    /// A template of this type.
    template_id: Option<Uuid>,
    instance_id: Option<Uuid>,
}

/// The defaults of all types.
#[utoipa::path(
    get, path = "/defaults", operation_id = "list_defaults", tag = "admin", security(("bearer" = []), ("session" = [])),
    responses((status = 200, description = "The defaults", body = TypeDefaults), UserReadProblems)
)]
async fn list(State(context): State<Context>, access: Access) -> Result<Json<TypeDefaults>, Problem> {
    access.require(Capability::Read)?;
    let mut transaction = access.begin(&context).await?;
    let found = type_defaults::list(&mut transaction, access.tenant_id).await?;
    transaction.commit().await?;
    Ok(Json(TypeDefaults { items: found.iter().map(TypeDefault::from).collect() }))
}

/// Replaces the defaults of a message type. An absent field means no default. Accepted batches do not change.
#[utoipa::path(
    put, path = "/defaults/{type}", operation_id = "replace_default", tag = "admin",
    security(("bearer" = []), ("session" = [])),
    params(("type" = String, Path, description = "overdue, upcoming or notification")), request_body = DefaultRequest,
    responses((status = 200, description = "The changed defaults", body = TypeDefault), UserChangeProblems)
)]
async fn replace(
    State(context): State<Context>,
    access: Access,
    Path(type_name): Path<String>,
    JsonBody(body): JsonBody,
) -> Result<Json<TypeDefault>, Problem> {
    access.require(Capability::Operate)?;
    let message_type: MessageType = type_name.parse().map_err(|_| Problem::of(Code::NotFound))?;
    let mut form = Form::read(&body, access.language)?;
    let template = id(&mut form, "template_id").map(TemplateId);
    let instance = id(&mut form, "instance_id").map(InstanceId);
    let after = Default { message_type, template, instance };
    let mut transaction = access.begin(&context).await?;
    let conn = &mut *transaction;
    check_existence(conn, &access, &mut form, &after).await?;
    form.finish()?;
    let before = type_defaults::list(conn, access.tenant_id).await?;
    let before = before.iter().find(|before| before.message_type == message_type).map(TypeDefault::from);
    type_defaults::put(conn, access.tenant_id, &after).await?;
    let (old, new) = (snapshot(&before)?, snapshot(&TypeDefault::from(&after))?);
    let change = Change { action: "default.updated", object: type_name, before: Some(&old), after: Some(&new) };
    access.record(conn, change, context.clock.now()).await?;
    transaction.commit().await?;
    Ok(Json((&after).into()))
}

/// Refuses an unknown instance, an unknown template, and a template of another type.
async fn check_existence(
    conn: &mut PgConnection,
    access: &Access,
    form: &mut Form<'_>,
    default: &Default,
) -> Result<(), Problem> {
    if let Some(id) = default.template {
        let found = templates::list(conn, access.tenant_id, Some(id)).await?;
        if !found.iter().any(|template| template.message_type == default.message_type) {
            form.refuse(
                "template_id",
                "template_not_found",
                &Text::of("default-template-unknown").with("type", default.message_type),
            );
        }
    }
    if let Some(id) = default.instance
        && instances::get(conn, access.tenant_id, id).await?.is_none()
    {
        form.refuse("instance_id", "instance_not_found", &Text::of("default-instance-unknown"));
    }
    Ok(())
}

fn id(form: &mut Form<'_>, name: &'static str) -> Option<Uuid> {
    let text = form.text(name, 40)?;
    let id = text.parse().ok();
    if id.is_none() {
        form.wrong_type(name, Text::of("type-id"));
    }
    id
}
