//! Templates with their variations. The name and the type of a template cannot be changed, because batches and
//! campaigns refer to them.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use regua_domain::{Capability, MessageType, TemplateId, Text, VariablesSchema, Variations, VariationsError};
use regua_store::templates::{self, Listed};
use regua_store::type_defaults;
use serde::Serialize;
use serde_json::Value;
use sqlx::PgConnection;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::unless_in_use;
use crate::callers::{Access, Change, snapshot};
use crate::context::Context;
use crate::http::error::{UserActionProblems, UserChangeProblems, UserReadProblems};
use crate::http::schema::message_type_schema;
use crate::http::{CREATED, Code, DONE, Form, InPath, JsonBody, Problem, object_fault};
use crate::routes::choice::choose;

const MAX_TEMPLATES: usize = 200;
const MAX_SCHEMA_BYTES: usize = 64 * 1024;

pub(super) fn router() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(get, replace, delete))
}

#[derive(Serialize, ToSchema)]
#[schema(as = Template)]
struct TemplateView {
    template_id: Uuid,
    name: String,
    #[schema(schema_with = message_type_schema)]
    r#type: MessageType,
    /// Sources of the variations.
    #[schema(min_items = 1, max_items = 5)]
    variations: Vec<String>,
    /// JSON Schema of the contacts' variables.
    #[schema(value_type = Option<Object>)]
    variables_schema: Option<Value>,
    /// Whether the template is the default of its type.
    default: bool,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<Listed> for TemplateView {
    fn from(listed: Listed) -> Self {
        Self {
            template_id: listed.template_id.0,
            name: listed.name,
            r#type: listed.message_type,
            variations: listed.variations,
            variables_schema: listed.variables_schema,
            default: listed.is_default,
            created_at: listed.created_at,
            updated_at: listed.updated_at,
        }
    }
}

#[derive(Serialize, ToSchema)]
struct Templates {
    items: Vec<TemplateView>,
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "OpenAPI schema only: `Form` reads the body and reports every fault at once")]
struct NewTemplateRequest {
    #[schema(example = "cobranca-padrao", min_length = 1, max_length = 100)]
    name: String,
    #[schema(schema_with = message_type_schema)]
    r#type: String,
    #[schema(min_items = 1, max_items = 5)]
    variations: Vec<String>,
    /// JSON Schema of the contacts' variables. Without a schema all variables are accepted.
    #[schema(value_type = Option<Object>)]
    variables_schema: Option<Value>,
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "OpenAPI schema only: `Form` reads the body and reports every fault at once")]
struct TemplateRequest {
    #[schema(min_items = 1, max_items = 5)]
    variations: Vec<String>,
    /// JSON Schema of the contacts' variables. Without a schema all variables are accepted.
    #[schema(value_type = Option<Object>)]
    variables_schema: Option<Value>,
}

/// The tenant's templates, by name.
#[utoipa::path(
    get, path = "/templates", operation_id = "list_templates", tag = "admin",
    security(("bearer" = []), ("session" = [])),
    responses((status = 200, description = "All templates", body = Templates), UserReadProblems)
)]
async fn list(State(context): State<Context>, access: Access) -> Result<Json<Templates>, Problem> {
    access.require(Capability::Read)?;
    let mut transaction = access.begin(&context).await?;
    let found = templates::list(&mut transaction, access.tenant_id, None).await?;
    transaction.commit().await?;
    Ok(Json(Templates { items: found.into_iter().map(TemplateView::from).collect() }))
}

/// One template.
#[utoipa::path(
    get, path = "/templates/{template_id}", operation_id = "get_template", tag = "admin",
    security(("bearer" = []), ("session" = [])), params(("template_id" = Uuid, Path)),
    responses((status = 200, description = "The template", body = TemplateView), UserReadProblems)
)]
async fn get(
    State(context): State<Context>,
    access: Access,
    InPath(id): InPath<Uuid>,
) -> Result<Json<TemplateView>, Problem> {
    access.require(Capability::Read)?;
    let mut transaction = access.begin(&context).await?;
    let found = find(&mut transaction, &access, TemplateId(id)).await?;
    transaction.commit().await?;
    Ok(Json(found.into()))
}

/// Adds a template. The first template of a type becomes the default of the type.
#[utoipa::path(
    post, path = "/templates", operation_id = "create_template", tag = "admin",
    security(("bearer" = []), ("session" = [])), request_body = NewTemplateRequest,
    responses((status = 201, description = "Added", body = TemplateView), UserChangeProblems)
)]
async fn create(State(context): State<Context>, access: Access, JsonBody(body): JsonBody) -> Result<Response, Problem> {
    access.require(Capability::Operate)?;
    let now = context.clock.now();
    let mut form = Form::read(&body, access.language)?;
    let name = form.required_text("name", 100);
    let type_name = form.required_text("type", 20);
    let message_type = choose(&mut form, "type", &type_name, &MessageType::ALL, MessageType::as_str);
    let (variations, variables_schema) = read_contents(&mut form);
    form.finish()?;
    let (Some(message_type), Some(variations)) = (message_type, variations) else {
        return Err(Problem::of(Code::ValidationFailed));
    };
    let template_id = TemplateId::new(now);
    let template = templates::Template { template_id, name, message_type, variables_schema, variations };
    let mut transaction = access.begin(&context).await?;
    let conn = &mut *transaction;
    if templates::list(conn, access.tenant_id, None).await?.len() >= MAX_TEMPLATES {
        return Err(Problem::with_detail(
            Code::StateConflict,
            Text::of("template-too-many").with("most", MAX_TEMPLATES),
        ));
    }
    // A template of this name keeps its id; the rollback undoes the change to it.
    if templates::put(conn, access.tenant_id, &template, now).await? != template_id {
        return Err(Problem::with_detail(
            Code::NameTaken,
            Text::of("template-name-taken").with("name", &template.name),
        ));
    }
    type_defaults::set_template(conn, access.tenant_id, message_type, template_id, true).await?;
    let view = TemplateView::from(find(conn, &access, template_id).await?);
    let after = snapshot(&view)?;
    let object = template_id.to_string();
    access.record(conn, Change { action: "template.created", object, before: None, after: Some(&after) }, now).await?;
    transaction.commit().await?;
    Ok((CREATED, Json(view)).into_response())
}

/// Replaces a template's variations. Accepted batches keep their texts.
#[utoipa::path(
    put, path = "/templates/{template_id}", operation_id = "replace_template", tag = "admin",
    security(("bearer" = []), ("session" = [])), params(("template_id" = Uuid, Path)), request_body = TemplateRequest,
    responses((status = 200, description = "The changed template", body = TemplateView), UserChangeProblems)
)]
async fn replace(
    State(context): State<Context>,
    access: Access,
    InPath(id): InPath<Uuid>,
    JsonBody(body): JsonBody,
) -> Result<Json<TemplateView>, Problem> {
    access.require(Capability::Operate)?;
    let now = context.clock.now();
    let mut form = Form::read(&body, access.language)?;
    let (variations, variables_schema) = read_contents(&mut form);
    form.finish()?;
    let variations = variations.ok_or(Problem::of(Code::ValidationFailed))?;
    let mut transaction = access.begin(&context).await?;
    let conn = &mut *transaction;
    let before = find(conn, &access, TemplateId(id)).await?;
    let (template_id, name, message_type) = (before.template_id, before.name.clone(), before.message_type);
    let template = templates::Template { template_id, name, message_type, variables_schema, variations };
    templates::put(conn, access.tenant_id, &template, now).await?;
    let view = TemplateView::from(find(conn, &access, template_id).await?);
    let (old, new) = (snapshot(&TemplateView::from(before))?, snapshot(&view)?);
    let change = Change { action: "template.updated", object: id.to_string(), before: Some(&old), after: Some(&new) };
    access.record(conn, change, now).await?;
    transaction.commit().await?;
    Ok(Json(view))
}

/// Deletes a template that no campaign uses and that is not a default.
#[utoipa::path(
    delete, path = "/templates/{template_id}", operation_id = "delete_template", tag = "admin",
    security(("bearer" = []), ("session" = [])), params(("template_id" = Uuid, Path)),
    responses((status = 204, description = "Deleted"), UserActionProblems)
)]
async fn delete(State(context): State<Context>, access: Access, InPath(id): InPath<Uuid>) -> Result<Response, Problem> {
    access.require(Capability::Operate)?;
    let mut transaction = access.begin(&context).await?;
    let conn = &mut *transaction;
    let before = find(conn, &access, TemplateId(id)).await?;
    let deleted = templates::delete(conn, access.tenant_id, before.template_id).await;
    unless_in_use(deleted, Text::of("template-in-use"))?;
    let before = snapshot(&TemplateView::from(before))?;
    let change = Change { action: "template.deleted", object: id.to_string(), before: Some(&before), after: None };
    access.record(conn, change, context.clock.now()).await?;
    transaction.commit().await?;
    Ok(DONE.into_response())
}

async fn find(conn: &mut PgConnection, access: &Access, id: TemplateId) -> Result<Listed, Problem> {
    let found = templates::list(conn, access.tenant_id, Some(id)).await?;
    found.into_iter().next().ok_or_else(|| Problem::of(Code::NotFound))
}

/// The variations and the schema of a body. Each invalid variation is refused by its index.
fn read_contents(form: &mut Form<'_>) -> (Option<Variations>, Option<Value>) {
    let sources = form.list("variations", 100);
    let variations = sources.clone().map(Variations::parse);
    if let Some(Err(error @ VariationsError::Count { .. })) = &variations {
        form.refuse("variations", error.code(), &error.text());
    }
    for (index, source) in sources.iter().flatten().enumerate() {
        if let Err(error) = regua_domain::MessageTemplate::parse(source) {
            form.refuse(&format!("variations[{index}]"), error.code(), &error.text());
        }
    }
    if sources.is_none() && !form.has_error("variations") {
        form.required("variations");
    }
    (variations.and_then(Result::ok), read_schema(form))
}

fn read_schema(form: &mut Form<'_>) -> Option<Value> {
    let raw = form.take("variables_schema")?;
    let schema: Value = serde_json::from_str(raw.get()).ok()?;
    if let Some((code, text)) = object_fault(&schema, raw.get().len(), MAX_SCHEMA_BYTES) {
        form.refuse("variables_schema", code, &text);
    } else if let Err(error) = VariablesSchema::parse(&schema) {
        form.refuse("variables_schema", error.code(), &error.text());
    }
    Some(schema)
}
