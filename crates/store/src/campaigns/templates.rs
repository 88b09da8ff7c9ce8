//! Tables `templates`, `template_variations` and `template_versions`.

mod versions;

use chrono::{DateTime, Utc};
use regua_domain::{MessageTemplate, MessageType, TemplateId, TenantId, Variations};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{Error, PgConnection};

pub use versions::{Version, delete_old_versions, list_versions};

/// A template with its variations.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are the table's columns")]
pub struct Template {
    pub template_id: TemplateId,
    /// Unique per tenant.
    pub name: String,
    pub message_type: MessageType,
    /// JSON Schema of a contact's own variables.
    pub variables_schema: Option<Value>,
    pub variations: Variations,
}

/// Creates the template of this name or replaces its contents; its id stays. A replaced text becomes a version. Returns
/// the id.
pub async fn put(
    conn: &mut PgConnection,
    tenant: TenantId,
    template: &Template,
    now: DateTime<Utc>,
) -> Result<TemplateId, Error> {
    versions::store_replaced(conn, tenant, template, now).await?;
    let id = sqlx::query_scalar!(
        r#"insert into templates (tenant_id, template_id, name, type, variables_schema, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $6)
         on conflict (tenant_id, name) do update
             set type = excluded.type, variables_schema = excluded.variables_schema, updated_at = excluded.updated_at
         returning template_id as "template_id: TemplateId""#,
        tenant as TenantId,
        template.template_id as TemplateId,
        template.name,
        template.message_type as MessageType,
        template.variables_schema,
        now
    )
    .fetch_one(&mut *conn)
    .await?;
    sqlx::query!(
        "delete from template_variations where tenant_id = $1 and template_id = $2",
        tenant as TenantId,
        id as TemplateId
    )
    .execute(&mut *conn)
    .await?;
    let sources: Vec<_> = template.variations.iter().map(MessageTemplate::source).collect();
    sqlx::query!(
        "insert into template_variations (tenant_id, template_id, variation, source)
         select $1, $2, variation::smallint, source from unnest($3::text[]) with ordinality as v (source, variation)",
        tenant as TenantId,
        id as TemplateId,
        &sources as &[&str]
    )
    .execute(conn)
    .await?;
    Ok(id)
}

// A template with its times and whether it is a default.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Template))]
#[expect(missing_docs, reason = "the fields are the table's columns")]
pub struct Listed {
    #[cfg_attr(feature = "openapi", schema(value_type = uuid::Uuid))]
    pub template_id: TemplateId,
    pub name: String,
    #[serde(rename = "type")]
    #[cfg_attr(feature = "openapi", schema(inline))]
    pub message_type: MessageType,
    /// Sources of the variations.
    #[cfg_attr(feature = "openapi", schema(min_items = 1, max_items = 5))]
    pub variations: Vec<String>,
    /// JSON Schema of the contacts' variables.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub variables_schema: Option<Value>,
    /// Whether the template is the default of its type.
    #[serde(rename = "default")]
    pub is_default: bool,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// A tenant's templates by name, or one of them.
pub async fn list(conn: &mut PgConnection, tenant: TenantId, one: Option<TemplateId>) -> Result<Vec<Listed>, Error> {
    sqlx::query_as!(
        Listed,
        r#"select t.template_id as "template_id: TemplateId", t.name, t.type as "message_type: MessageType",
                  t.variables_schema, t.created_at, t.updated_at,
                  (select array_agg(v.source order by v.variation) from template_variations v
                   where v.tenant_id = t.tenant_id and v.template_id = t.template_id) as "variations!",
                  exists (select from type_defaults d
                          where d.tenant_id = t.tenant_id and d.template_id = t.template_id) as "is_default!"
           from templates t
           where t.tenant_id = $1 and ($2::uuid is null or t.template_id = $2)
           order by t.name"#,
        tenant as TenantId,
        one as Option<TemplateId>
    )
    .fetch_all(conn)
    .await
}

/// Deletes a template. The error is a violated reference where a campaign or a default refers to it.
pub async fn delete(conn: &mut PgConnection, tenant: TenantId, template: TemplateId) -> Result<(), Error> {
    sqlx::query!(
        "delete from templates where tenant_id = $1 and template_id = $2",
        tenant as TenantId,
        template as TemplateId
    )
    .execute(conn)
    .await?;
    Ok(())
}
