//! Templates: what is sent, in one to five wordings. Name and type stay, because batches name the one and campaigns have the
//! other; the wordings are replaced.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use regua_domain::{MessageType, Right, TemplateId, VariablesSchema, Variations, VariationsError};
use regua_store::templates::{self, Listed};
use regua_store::type_defaults;
use serde::Serialize;
use serde_json::Value;
use sqlx::PgConnection;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::{InPath, noted, unless_in_use};
use crate::Context;
use crate::error::{CREATED, Code, DONE, PersonActionProblems, PersonChangeProblems, PersonProblems, Problem};
use crate::form::{Form, object_fault};
use crate::people::{Access, Change, JsonBody};

/// More than a tenant has wordings for.
const MOST_TEMPLATES: usize = 200;
const LONGEST_SCHEMA: usize = 64 * 1024;

pub(super) fn router() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(get, replace, remove))
}

/// A template.
#[derive(Serialize, ToSchema)]
#[schema(as = Template)]
struct TemplateView {
    template_id: Uuid,
    name: String,
    #[schema(schema_with = super::super::queue::message_type_schema)]
    r#type: String,
    /// Its wordings.
    #[schema(min_items = 1, max_items = 5)]
    variations: Vec<String>,
    /// JSON Schema of the contacts' own variables.
    #[schema(value_type = Option<Object>)]
    variables_schema: Option<Value>,
    /// Whether a batch of the type that names none is sent with it.
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

/// All templates.
#[derive(Serialize, ToSchema)]
struct Templates {
    items: Vec<TemplateView>,
}

/// A new template.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes the body; a form reads it, so that all that is wrong is answered at once")]
struct NewTemplateRequest {
    #[schema(example = "cobranca-padrao", min_length = 1, max_length = 100)]
    name: String,
    #[schema(schema_with = super::super::queue::message_type_schema)]
    r#type: String,
    #[schema(min_items = 1, max_items = 5)]
    variations: Vec<String>,
    /// JSON Schema of the contacts' own variables; none are taken unless given.
    #[schema(value_type = Option<Object>)]
    variables_schema: Option<Value>,
}

/// A template's contents.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes the body; a form reads it, so that all that is wrong is answered at once")]
struct TemplateRequest {
    #[schema(min_items = 1, max_items = 5)]
    variations: Vec<String>,
    /// JSON Schema of the contacts' own variables; none are taken unless given.
    #[schema(value_type = Option<Object>)]
    variables_schema: Option<Value>,
}

/// The tenant's templates by name.
#[utoipa::path(
    get, path = "/templates", operation_id = "list_templates", tag = "admin",
    security(("bearer" = []), ("session" = [])),
    responses((status = 200, description = "All templates", body = Templates), PersonProblems)
)]
async fn list(State(context): State<Context>, access: Access) -> Result<Json<Templates>, Problem> {
    access.require(Right::Look)?;
    let mut transaction = access.begin(&context).await?;
    let found = templates::list(&mut transaction, access.tenant_id, None).await?;
    transaction.commit().await?;
    Ok(Json(Templates { items: found.into_iter().map(TemplateView::from).collect() }))
}

/// One template.
#[utoipa::path(
    get, path = "/templates/{template_id}", operation_id = "get_template", tag = "admin",
    security(("bearer" = []), ("session" = [])), params(("template_id" = Uuid, Path)),
    responses((status = 200, description = "The template", body = TemplateView), PersonProblems)
)]
async fn get(
    State(context): State<Context>,
    access: Access,
    InPath(id): InPath,
) -> Result<Json<TemplateView>, Problem> {
    access.require(Right::Look)?;
    let mut transaction = access.begin(&context).await?;
    let found = find(&mut transaction, &access, TemplateId(id)).await?;
    transaction.commit().await?;
    Ok(Json(found.into()))
}

/// Adds a template. The first of its type is the type's default.
#[utoipa::path(
    post, path = "/templates", operation_id = "create_template", tag = "admin",
    security(("bearer" = []), ("session" = [])), request_body = NewTemplateRequest,
    responses((status = 201, description = "Added", body = TemplateView), PersonChangeProblems)
)]
async fn create(State(context): State<Context>, access: Access, JsonBody(body): JsonBody) -> Result<Response, Problem> {
    access.require(Right::Operate)?;
    let now = context.clock.now();
    let mut form = Form::read(&body, access.language)?;
    let name = form.required_text("name", 100);
    let message_type = message_type(&mut form);
    let (variations, variables_schema) = contents(&mut form);
    form.finish()?;
    let message_type = message_type.ok_or(Problem::of(Code::ValidationFailed))?;
    let template_id = TemplateId::new(now);
    let template = templates::Template { template_id, name, message_type, variables_schema, variations };
    let mut transaction = access.begin(&context).await?;
    let conn = &mut *transaction;
    if templates::list(conn, access.tenant_id, None).await?.len() >= MOST_TEMPLATES {
        let detail = access.language.pick(
            format!("Há {MOST_TEMPLATES} modelos, o máximo. Apague os que ninguém usa."),
            format!("There are {MOST_TEMPLATES} templates, the most. Delete those that nobody uses."),
        );
        return Err(Problem::with_detail(Code::StateConflict, detail));
    }
    // One of that name keeps its id; what was done to it is undone with the transaction.
    if templates::put(conn, access.tenant_id, &template, now).await? != template_id {
        let detail = access.language.pick(
            format!("Já há um modelo \"{}\". Altere-o, ou escolha outro nome.", template.name),
            format!("There is already a template {:?}. Change it, or choose another name.", template.name),
        );
        return Err(Problem::with_detail(Code::NameTaken, detail));
    }
    type_defaults::set_template(conn, access.tenant_id, message_type, template_id, true).await?;
    let view = TemplateView::from(find(conn, &access, template_id).await?);
    let after = noted(&view)?;
    let object = template_id.to_string();
    access.record(conn, Change { action: "template.created", object, before: None, after: Some(&after) }, now).await?;
    transaction.commit().await?;
    Ok((CREATED, Json(view)).into_response())
}

/// Replaces a template's wordings. Batches that were taken before keep the texts that they were taken with.
#[utoipa::path(
    put, path = "/templates/{template_id}", operation_id = "replace_template", tag = "admin",
    security(("bearer" = []), ("session" = [])), params(("template_id" = Uuid, Path)), request_body = TemplateRequest,
    responses((status = 200, description = "As it is now", body = TemplateView), PersonChangeProblems)
)]
async fn replace(
    State(context): State<Context>,
    access: Access,
    InPath(id): InPath,
    JsonBody(body): JsonBody,
) -> Result<Json<TemplateView>, Problem> {
    access.require(Right::Operate)?;
    let now = context.clock.now();
    let mut form = Form::read(&body, access.language)?;
    let (variations, variables_schema) = contents(&mut form);
    form.finish()?;
    let mut transaction = access.begin(&context).await?;
    let conn = &mut *transaction;
    let before = find(conn, &access, TemplateId(id)).await?;
    let message_type = before.message_type.parse().map_err(Problem::internal)?;
    let (template_id, name) = (before.template_id, before.name.clone());
    let template = templates::Template { template_id, name, message_type, variables_schema, variations };
    templates::put(conn, access.tenant_id, &template, now).await?;
    let view = TemplateView::from(find(conn, &access, template_id).await?);
    let (before, after) = (noted(&TemplateView::from(before))?, noted(&view)?);
    let change =
        Change { action: "template.updated", object: id.to_string(), before: Some(&before), after: Some(&after) };
    access.record(conn, change, now).await?;
    transaction.commit().await?;
    Ok(Json(view))
}

/// Deletes a template that no campaign was sent with, and that is no default.
#[utoipa::path(
    delete, path = "/templates/{template_id}", operation_id = "delete_template", tag = "admin",
    security(("bearer" = []), ("session" = [])), params(("template_id" = Uuid, Path)),
    responses((status = 204, description = "Gone"), PersonActionProblems)
)]
async fn remove(State(context): State<Context>, access: Access, InPath(id): InPath) -> Result<Response, Problem> {
    access.require(Right::Operate)?;
    let mut transaction = access.begin(&context).await?;
    let conn = &mut *transaction;
    let before = find(conn, &access, TemplateId(id)).await?;
    let deleted = templates::delete(conn, access.tenant_id, before.template_id).await;
    unless_in_use(deleted, || {
        access.language.pick(
            "O modelo é o padrão de um tipo, ou já há campanhas com ele.",
            "The template is a type's default, or there are campaigns with it.",
        )
    })?;
    let before = noted(&TemplateView::from(before))?;
    let change = Change { action: "template.deleted", object: id.to_string(), before: Some(&before), after: None };
    access.record(conn, change, context.clock.now()).await?;
    transaction.commit().await?;
    Ok(DONE.into_response())
}

async fn find(conn: &mut PgConnection, access: &Access, id: TemplateId) -> Result<Listed, Problem> {
    let found = templates::list(conn, access.tenant_id, Some(id)).await?;
    found.into_iter().next().ok_or_else(|| Problem::of(Code::NotFound))
}

fn message_type(form: &mut Form<'_>) -> Option<MessageType> {
    let text = form.required_text("type", 20);
    let message_type = text.parse().ok();
    if message_type.is_none() && !text.is_empty() {
        let message = form.language.pick(
            "Valores aceitos: overdue, upcoming, notification.",
            "Values that are taken: overdue, upcoming, notification.",
        );
        form.refuse("type", "invalid_value", message);
    }
    message_type
}

/// The wordings and the schema of a body, as far as they are right. Each wording that is wrong is named.
fn contents(form: &mut Form<'_>) -> (Vec<String>, Option<Value>) {
    let variations = form.list("variations", 100);
    if let Some(sources) = &variations {
        if let Err(error @ VariationsError::Count { .. }) = Variations::parse(sources.clone()) {
            form.refuse("variations", error.code(), &error.explain(form.language));
        }
        for (index, source) in sources.iter().enumerate() {
            if let Err(error) = regua_domain::MessageTemplate::parse(source) {
                let message = error.explain(form.language);
                form.refuse(&format!("variations[{index}]"), error.code(), &message);
            }
        }
    } else if !form.has_refused("variations") {
        form.required("variations");
    }
    (variations.unwrap_or_default(), schema(form))
}

fn schema(form: &mut Form<'_>) -> Option<Value> {
    let raw = form.take("variables_schema")?;
    let schema: Value = serde_json::from_str(raw.get()).ok()?;
    if let Some((code, message)) = object_fault(&schema, raw.get().len(), LONGEST_SCHEMA, form.language) {
        form.refuse("variables_schema", code, &message);
    } else if let Err(error) = VariablesSchema::parse(&schema) {
        let message = error.explain(form.language);
        form.refuse("variables_schema", error.code(), &message);
    }
    Some(schema)
}
