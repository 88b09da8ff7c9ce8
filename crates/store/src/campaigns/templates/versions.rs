//! Table `template_versions`: the texts that changes of templates replaced.

use chrono::{DateTime, TimeDelta, Utc};
use regua_domain::{MessageTemplate, TemplateId, TenantId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{Error, PgConnection};

use super::Template;

/// Versions of one template; the oldest are deleted.
const MOST: i32 = 50;
/// A version is stored for so long after it was replaced.
const STORED_FOR: TimeDelta = TimeDelta::days(400);

// A text that a change replaced.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = TemplateVersion))]
#[expect(missing_docs, reason = "the fields are the table's columns")]
pub struct Version {
    /// From 1, in the order of the changes.
    pub version: i32,
    /// Sources of the variations.
    pub variations: Vec<String>,
    /// JSON Schema of the contacts' variables.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub variables_schema: Option<Value>,
    pub written_at: DateTime<Utc>,
    pub replaced_at: DateTime<Utc>,
}

/// Stores the present contents of the template of this name as a version, unless they are those of `next`.
pub(super) async fn store_replaced(
    conn: &mut PgConnection,
    tenant: TenantId,
    next: &Template,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    // A concurrent change waits here, so that both do not count the same version.
    let id = sqlx::query_scalar!(
        r#"select template_id as "template_id: TemplateId" from templates where tenant_id = $1 and name = $2 for no key update"#,
        tenant as TenantId,
        next.name
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(id) = id else { return Ok(()) };
    let sources: Vec<_> = next.variations.iter().map(MessageTemplate::source).collect();
    sqlx::query!(
        "insert into template_versions (tenant_id, template_id, version, variations, variables_schema, written_at, replaced_at)
         select $1, $2, 1 + (select coalesce(max(v.version), 0) from template_versions v
                             where v.tenant_id = $1 and v.template_id = $2),
                p.sources, t.variables_schema, t.updated_at, $5
         from templates t cross join lateral (
             select array_agg(source order by variation) as sources from template_variations
             where tenant_id = $1 and template_id = $2
         ) p
         where t.tenant_id = $1 and t.template_id = $2
           and (p.sources is distinct from $3::text[] or t.variables_schema is distinct from $4::jsonb)",
        tenant as TenantId,
        id as TemplateId,
        &sources as &[&str],
        next.variables_schema,
        now
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "delete from template_versions v where v.tenant_id = $1 and v.template_id = $2 and v.version <= (
             select max(version) - $3 from template_versions where tenant_id = $1 and template_id = $2)",
        tenant as TenantId,
        id as TemplateId,
        MOST
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The earlier texts of a template, newest first.
pub async fn list_versions(
    conn: &mut PgConnection,
    tenant: TenantId,
    template: TemplateId,
) -> Result<Vec<Version>, Error> {
    sqlx::query_as!(
        Version,
        "select version, variations, variables_schema, written_at, replaced_at from template_versions
         where tenant_id = $1 and template_id = $2 order by version desc",
        tenant as TenantId,
        template as TemplateId
    )
    .fetch_all(conn)
    .await
}

/// Deletes old versions of all tenants; returns how many. Index `template_versions_by_replaced_at`.
pub async fn delete_old_versions(conn: &mut PgConnection, now: DateTime<Utc>, limit: i64) -> Result<u64, Error> {
    let deleted = sqlx::query!(
        "with over as materialized (
             select tenant_id, template_id, version from template_versions where replaced_at < $1
             order by replaced_at limit $2)
         delete from template_versions v using over o
         where v.tenant_id = o.tenant_id and v.template_id = o.template_id and v.version = o.version",
        now - STORED_FOR,
        limit
    )
    .execute(conn)
    .await?;
    Ok(deleted.rows_affected())
}
