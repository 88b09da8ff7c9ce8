//! Templates as the people of a tenant look after them.

use chrono::{DateTime, Utc};
use regua_domain::{TemplateId, TenantId};
use serde_json::Value;
use sqlx::{Error, PgConnection};

/// A template with what is known of it.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Its id.
    pub template_id: TemplateId,
    /// Unique per tenant.
    pub name: String,
    /// The type of message it is for.
    pub message_type: String,
    /// JSON Schema of a contact's own variables.
    pub variables_schema: Option<Value>,
    /// One to five sources.
    pub variations: Vec<String>,
    /// Whether a batch that names none is sent with it.
    pub is_default: bool,
    /// Since when.
    pub created_at: DateTime<Utc>,
    /// Last changed.
    pub updated_at: DateTime<Utc>,
}

/// A tenant's templates by name, or one of them.
///
/// # Errors
/// The database's.
pub async fn list(conn: &mut PgConnection, tenant: TenantId, one: Option<TemplateId>) -> Result<Vec<Listed>, Error> {
    sqlx::query_as!(
        Listed,
        r#"select t.template_id, t.name, t.type as message_type, t.variables_schema, t.created_at, t.updated_at,
                  (select array_agg(v.source order by v.variation) from template_variations v
                   where v.tenant_id = t.tenant_id and v.template_id = t.template_id) as "variations!",
                  exists (select from type_defaults d
                          where d.tenant_id = t.tenant_id and d.template_id = t.template_id) as "is_default!"
           from templates t
           where t.tenant_id = $1 and ($2::uuid is null or t.template_id = $2)
           order by t.name"#,
        tenant.0,
        one.map(|id| id.0)
    )
    .fetch_all(conn)
    .await
}

/// Deletes a template; the database refuses it where a campaign or a default refers to it.
///
/// # Errors
/// The database's, among them a violated reference.
pub async fn delete(conn: &mut PgConnection, tenant: TenantId, template: TemplateId) -> Result<(), Error> {
    sqlx::query!("delete from templates where tenant_id = $1 and template_id = $2", tenant.0, template.0)
        .execute(conn)
        .await?;
    Ok(())
}
