//! Table `tenants`, and the areas of a tenant's settings and data.

pub mod api_keys;
pub mod business_hours;
pub mod debtors;
pub mod holidays;
pub mod retention;
pub mod tenant_configs;
pub mod tenant_rules;

use chrono::{DateTime, Utc};
use regua_domain::{Slug, TenantId, TenantStatus};
use serde::{Deserialize, Serialize};
use sqlx::{Error, PgConnection};

use crate::PageRows;
use crate::database::PageReader;

/// Creates a tenant with the default configuration, in America/Sao_Paulo and at 20 messages a minute; false when
/// another tenant has the slug. It has no business hours yet: the caller sets them in the same transaction.
pub async fn create(
    conn: &mut PgConnection,
    tenant: TenantId,
    slug: &Slug,
    name: &str,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let inserted = sqlx::query!(
        "insert into tenants (tenant_id, slug, name, created_at) values ($1, $2, $3, $4) on conflict (slug) do nothing",
        tenant as TenantId,
        slug as &Slug,
        name,
        now
    )
    .execute(&mut *conn)
    .await?;
    if inserted.rows_affected() == 0 {
        return Ok(false);
    }
    sqlx::query!("insert into tenant_configs (tenant_id) values ($1)", tenant as TenantId).execute(conn).await?;
    Ok(true)
}

/// The tenant with this slug.
pub async fn find_by_slug(conn: &mut PgConnection, slug: &str) -> Result<Option<TenantId>, Error> {
    sqlx::query_scalar!(r#"select tenant_id as "tenant_id: TenantId" from tenants where slug = $1"#, slug)
        .fetch_optional(conn)
        .await
}

// A tenant, for the platform.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[expect(missing_docs, reason = "the fields are the table's columns")]
pub struct Tenant {
    #[cfg_attr(feature = "openapi", schema(value_type = uuid::Uuid))]
    pub tenant_id: TenantId,
    /// Short name in commands and logins.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub slug: Slug,
    /// The name in messages to debtors.
    pub name: String,
    #[cfg_attr(feature = "openapi", schema(inline))]
    pub status: TenantStatus,
    /// Highest rate limit of an API key.
    pub max_requests_per_minute: i32,
    pub created_at: DateTime<Utc>,
}

/// One tenant.
pub async fn find(conn: &mut PgConnection, tenant: TenantId) -> Result<Option<Tenant>, Error> {
    sqlx::query_as!(
        Tenant,
        r#"select tenant_id, slug as "slug: Slug", name, status as "status: TenantStatus", max_requests_per_minute,
                  created_at
         from tenants where tenant_id = $1"#,
        tenant as TenantId
    )
    .fetch_optional(conn)
    .await
}

/// The tenants in the order of their slugs, after the slug `after`; or only the one with the slug `slug`.
pub async fn list(
    conn: &mut PgConnection,
    slug: Option<&str>,
    after: &str,
    limit: i64,
) -> Result<PageRows<Tenant>, Error> {
    let mut page = PageReader::up_to(limit);
    while let Some(count) = page.next_part() {
        let after = page.last().map_or(after, |tenant: &Tenant| tenant.slug.as_str());
        let rows = sqlx::query_as!(
            Tenant,
            r#"select tenant_id, slug as "slug: Slug", name, status as "status: TenantStatus", max_requests_per_minute,
                  created_at from tenants
         where slug > $1 and ($2::text is null or slug = $2) order by slug limit $3"#,
            after,
            slug,
            count
        );
        page.add(rows.fetch(&mut *conn)).await?;
    }
    Ok(page.finish())
}

/// One tenant, locked until the transaction ends.
pub async fn lock(conn: &mut PgConnection, tenant: TenantId) -> Result<Option<Tenant>, Error> {
    sqlx::query!("select tenant_id from tenants where tenant_id = $1 for no key update", tenant as TenantId)
        .fetch_optional(&mut *conn)
        .await?;
    find(conn, tenant).await
}

/// Sets a tenant's name and status.
pub async fn update(conn: &mut PgConnection, tenant: TenantId, name: &str, status: TenantStatus) -> Result<(), Error> {
    sqlx::query!(
        "update tenants set name = $2, status = $3 where tenant_id = $1",
        tenant as TenantId,
        name,
        status as TenantStatus
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Sets the highest rate limit of a tenant's API keys. A trigger refuses it to all but the platform.
pub async fn set_max_requests(conn: &mut PgConnection, tenant: TenantId, per_minute: i32) -> Result<(), Error> {
    sqlx::query!(
        "update tenants set max_requests_per_minute = $2 where tenant_id = $1",
        tenant as TenantId,
        per_minute
    )
    .execute(conn)
    .await?;
    Ok(())
}
