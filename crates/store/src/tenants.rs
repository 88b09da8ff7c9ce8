//! Table `tenants`, and the areas of a tenant's settings and data.

pub mod api_keys;
pub mod business_hours;
pub mod calendars;
pub mod debtors;
pub mod holidays;
pub mod retention;
pub mod tenant_configs;

use chrono::{DateTime, Utc};
use regua_domain::{Slug, TenantId, TenantStatus};
use sqlx::{Error, PgConnection};

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

/// The tenant's name in messages: the template variable `empresa`.
pub async fn name(conn: &mut PgConnection, tenant: TenantId) -> Result<String, Error> {
    sqlx::query_scalar!("select name from tenants where tenant_id = $1", tenant as TenantId).fetch_one(conn).await
}

/// Reserves the references of the tenant's next `count` messages; returns the number of the first one.
///
/// The caller commits it before it stores the messages: a lock on the row while a batch is written would admit a
/// tenant's batches one by one, and a block that is not used is only a gap. The commit does not wait for the disk: the
/// commit of the messages is later in the write-ahead log, and makes this one durable too.
pub async fn take_references(conn: &mut PgConnection, tenant: TenantId, count: i64) -> Result<i64, Error> {
    let row = sqlx::query!(
        r#"update tenants set references_used = references_used + $2 where tenant_id = $1
           returning references_used - $2 as "first!", set_config('synchronous_commit', 'off', true)"#,
        tenant as TenantId,
        count
    )
    .fetch_one(conn)
    .await?;
    Ok(row.first)
}

/// A tenant, for the platform.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are the table's columns")]
pub struct Tenant {
    pub tenant_id: TenantId,
    pub slug: Slug,
    /// The name in messages to debtors.
    pub name: String,
    pub status: TenantStatus,
    pub created_at: DateTime<Utc>,
}

/// One tenant.
pub async fn find(conn: &mut PgConnection, tenant: TenantId) -> Result<Option<Tenant>, Error> {
    sqlx::query_as!(
        Tenant,
        r#"select tenant_id, slug as "slug: Slug", name, status as "status: TenantStatus", created_at
         from tenants where tenant_id = $1"#,
        tenant as TenantId
    )
    .fetch_optional(conn)
    .await
}

/// The tenants in the order of their slugs, after the slug `after`; or only the one with the slug `slug`.
pub async fn list(conn: &mut PgConnection, slug: Option<&str>, after: &str, limit: i64) -> Result<Vec<Tenant>, Error> {
    sqlx::query_as!(
        Tenant,
        r#"select tenant_id, slug as "slug: Slug", name, status as "status: TenantStatus", created_at from tenants
         where slug > $1 and ($2::text is null or slug = $2) order by slug limit $3"#,
        after,
        slug,
        limit
    )
    .fetch_all(conn)
    .await
}

/// One tenant, locked until the transaction ends.
pub async fn lock(conn: &mut PgConnection, tenant: TenantId) -> Result<Option<Tenant>, Error> {
    sqlx::query_as!(
        Tenant,
        r#"select tenant_id, slug as "slug: Slug", name, status as "status: TenantStatus", created_at
         from tenants where tenant_id = $1 for no key update"#,
        tenant as TenantId
    )
    .fetch_optional(conn)
    .await
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
