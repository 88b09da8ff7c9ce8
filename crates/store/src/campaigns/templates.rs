//! Tables `templates` and `template_variations`.

mod listing;

use chrono::{DateTime, Utc};
use regua_domain::{MessageTemplate, MessageType, TemplateId, TenantId, Variations};
use serde_json::Value;
use sqlx::{Error, PgConnection};

pub use listing::{Listed, delete, list};

/// A template with its variations.
#[derive(Clone, Debug)]
pub struct Template {
    /// The template's id.
    pub template_id: TemplateId,
    /// Unique per tenant.
    pub name: String,
    /// The type of message it is for.
    pub message_type: MessageType,
    /// JSON Schema of a contact's own variables.
    pub variables_schema: Option<Value>,
    /// The texts.
    pub variations: Variations,
}

/// Creates the template of this name or replaces its contents; its id stays. Returns the id.
pub async fn put(
    conn: &mut PgConnection,
    tenant: TenantId,
    template: &Template,
    now: DateTime<Utc>,
) -> Result<TemplateId, Error> {
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
