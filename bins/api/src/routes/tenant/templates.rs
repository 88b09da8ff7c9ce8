//! Templates with their variations. The name and the type of a template cannot be changed, because batches and
//! campaigns refer to them.

use regua_domain::{MessageTemplate, MessageType, TemplateId, VariablesSchema, Variations, VariationsError};
use regua_store::templates::{self, Listed, Template, Version};
use regua_store::type_defaults;
use utoipa::openapi::{ObjectBuilder, Type};

use crate::http::{object_fault, too_large};
use crate::routes::kit::*;

const MAX_TEMPLATES: usize = 200;
const MAX_SCHEMA_BYTES: usize = 64 * 1024;

pub(super) fn router() -> OpenApiRouter<Context> {
    OpenApiRouter::new()
        .routes(routes!(list_templates, create_template))
        .routes(routes!(get_template, replace_template, delete_template))
        .routes(routes!(list_template_versions))
}

items! { Templates of Listed }
items! { TemplateVersions of Version }

body! {
    struct NewTemplateRequest {
        #[example = "cobranca-padrao"]
        name: Line<1, 100>,
        r#type: MessageType,
        variations: Variations,
        /// JSON Schema of the contacts' variables. Without a schema all variables are accepted.
        variables_schema: Option<VariablesSchema>,
    }
}

body! {
    struct TemplateRequest {
        variations: Variations,
        /// JSON Schema of the contacts' variables. Without a schema all variables are accepted.
        variables_schema: Option<VariablesSchema>,
    }
}

/// The tenant's templates, by name.
#[utoipa::path(get, path = "/templates", responses((status = 200, description = "All templates", body = Templates)))]
async fn list_templates(access: Access<Read>) -> Answer<Templates> {
    let items = access.read(async |conn| templates::list(conn, access.tenant_id, None).await).await?;
    Ok(Json(Templates { items }))
}

/// One template.
#[utoipa::path(
    get, path = "/templates/{template_id}", responses((status = 200, description = "The template", body = Listed))
)]
async fn get_template(access: Access<Read>, InPath(id): InPath<TemplateId>) -> Answer<Listed> {
    access.read(async |conn| find(conn, &access, id).await).await.map(Json)
}

/// The earlier texts of a template, newest first: the 50 newest of the last 400 days.
#[utoipa::path(
    get, path = "/templates/{template_id}/versions",
    responses((status = 200, description = "All stored versions", body = TemplateVersions))
)]
async fn list_template_versions(access: Access<Read>, InPath(id): InPath<TemplateId>) -> Answer<TemplateVersions> {
    let work = async |conn: &mut PgConnection| {
        find(conn, &access, id).await?;
        Ok::<_, Problem>(templates::list_versions(conn, access.tenant_id, id).await?)
    };
    Ok(Json(TemplateVersions { items: access.read(work).await? }))
}

/// Adds a template. The first template of a type becomes the default of the type.
#[utoipa::path(
    post, path = "/templates", request_body = NewTemplateRequest,
    responses((status = 201, description = "Added", body = Listed))
)]
async fn create_template(access: Access<Operate>, Valid(body): Valid<NewTemplateRequest>) -> Created<Listed> {
    let NewTemplateRequest { name, r#type: message_type, variations, variables_schema } = body;
    let template_id = TemplateId::new(access.context.clock.now());
    let template = Template { template_id, name, message_type, variables_schema, variations };
    let work = async |conn: &mut PgConnection, now| {
        let count = templates::list(conn, access.tenant_id, None).await?.len();
        refuse_unless(count < MAX_TEMPLATES, Text::of("template-too-many").with("most", MAX_TEMPLATES))?;
        // A template of this name keeps its id; the rollback undoes the change to it.
        if templates::put(conn, access.tenant_id, &template, now).await? != template_id {
            return Err(Problem::name_taken(Text::of("template-name-taken").with("name", &template.name)));
        }
        type_defaults::set_missing(conn, access.tenant_id, message_type, Some(template_id), None).await?;
        Ok(((), find(conn, &access, template_id).await?))
    };
    created(access.change("template.created", template_id, work).await?)
}

/// Replaces a template's variations. Accepted batches keep their texts.
#[utoipa::path(
    put, path = "/templates/{template_id}", request_body = TemplateRequest,
    responses((status = 200, description = "The changed template", body = Listed))
)]
async fn replace_template(
    access: Access<Operate>,
    InPath(id): InPath<TemplateId>,
    Valid(body): Valid<TemplateRequest>,
) -> Answer<Listed> {
    let TemplateRequest { variations, variables_schema } = body;
    let work = async |conn: &mut PgConnection, now| {
        let before = find(conn, &access, id).await?;
        let (name, message_type) = (before.name.clone(), before.message_type);
        let template = Template { template_id: id, name, message_type, variables_schema, variations };
        templates::put(conn, access.tenant_id, &template, now).await?;
        Ok((before, find(conn, &access, id).await?))
    };
    access.change("template.updated", id, work).await.map(Json)
}

/// Deletes a template that no campaign uses and that is not a default.
#[utoipa::path(delete, path = "/templates/{template_id}", responses((status = 204, description = "Deleted")))]
async fn delete_template(access: Access<Operate>, InPath(id): InPath<TemplateId>) -> Done {
    let work = async |conn: &mut PgConnection, _| {
        let before = find(conn, &access, id).await?;
        unless_in_use(templates::delete(conn, access.tenant_id, id).await, Text::of("template-in-use"))?;
        Ok((before, ()))
    };
    access.change("template.deleted", id, work).await?;
    Ok(DONE)
}

async fn find(conn: &mut PgConnection, access: &Principal, id: TemplateId) -> Result<Listed, Problem> {
    found(templates::list(conn, access.tenant_id, Some(id)).await?.pop())
}

/// Each invalid variation is refused by its index.
impl Member for Variations {
    type Value = Self;

    fn schema() -> Schema {
        ArrayBuilder::new().items(text()).min_items(Some(1)).max_items(Some(5)).into()
    }

    fn read(field: &mut Field<'_, '_>) -> Option<Self> {
        let sources = field.texts(100)?;
        let variations = Self::parse(sources.clone());
        if let Err(error @ VariationsError::Count { .. }) = &variations {
            field.refuse::<Self>(error.code(), &error.text());
        }
        for (index, source) in sources.iter().enumerate() {
            if let Err(error) = MessageTemplate::parse(source) {
                field.refuse_item(index, error.code(), &error.text());
            }
        }
        variations.ok()
    }
}

impl Member for VariablesSchema {
    type Value = Value;

    fn schema() -> Schema {
        ObjectBuilder::new().schema_type(Type::Object).into()
    }

    fn read(field: &mut Field<'_, '_>) -> Option<Value> {
        let bytes = field.json.len();
        if bytes > MAX_SCHEMA_BYTES {
            let (code, text) = too_large(bytes, MAX_SCHEMA_BYTES);
            return field.refuse(code, &text);
        }
        let schema: Value = field.parse(Text::of("type-object"))?;
        if let Some((code, text)) = object_fault(&schema, bytes, MAX_SCHEMA_BYTES) {
            return field.refuse(code, &text);
        }
        match Self::parse(&schema) {
            Ok(_) => Some(schema),
            Err(error) => field.refuse(error.code(), &error.text()),
        }
    }
}
