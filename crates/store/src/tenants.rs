//! Table `tenants`: the customers of the platform.

use chrono::{DateTime, Utc};
use regua_domain::TenantId;
use sqlx::{Error, PgConnection};

/// What became of a new tenant.
#[derive(Debug, PartialEq, Eq)]
pub enum Created {
    /// It is there now.
    New,
    /// Another tenant has the slug.
    SlugTaken,
}

/// Creates a tenant with the defaults for Brazil: America/Sao_Paulo, 20 messages a minute, and no hours yet (the caller
/// sets them in the same transaction).
///
/// # Errors
/// The database's.
pub async fn create(
    conn: &mut PgConnection,
    tenant: TenantId,
    slug: &str,
    name: &str,
    now: DateTime<Utc>,
) -> Result<Created, Error> {
    let inserted = sqlx::query!(
        "insert into tenants (tenant_id, slug, name, created_at) values ($1, $2, $3, $4) on conflict (slug) do nothing",
        tenant.0,
        slug,
        name,
        now
    )
    .execute(&mut *conn)
    .await?
    .rows_affected();
    if inserted == 0 {
        return Ok(Created::SlugTaken);
    }
    sqlx::query!("insert into tenant_configs (tenant_id) values ($1)", tenant.0).execute(conn).await?;
    Ok(Created::New)
}

/// The tenant with this slug.
///
/// # Errors
/// The database's.
pub async fn by_slug(conn: &mut PgConnection, slug: &str) -> Result<Option<TenantId>, Error> {
    let row = sqlx::query!("select tenant_id from tenants where slug = $1", slug).fetch_optional(conn).await?;
    Ok(row.map(|row| TenantId(row.tenant_id)))
}

/// The tenant's name for people: the template variable `empresa`.
///
/// # Errors
/// The database's.
pub async fn name(conn: &mut PgConnection, tenant: TenantId) -> Result<String, Error> {
    Ok(sqlx::query!("select name from tenants where tenant_id = $1", tenant.0).fetch_one(conn).await?.name)
}

/// Takes the references of the tenant's next `count` messages; answers the number of the first of them.
///
/// It must be committed by itself before the messages are stored: a block that is not used is only a gap, but a row that
/// stays locked while a batch is written would let a tenant's batches in one by one. Its commit waits for no disk: the
/// messages' own is later in the database's log, and where it stands this one does as well.
///
/// # Errors
/// The database's.
pub async fn take_references(conn: &mut PgConnection, tenant: TenantId, count: i64) -> Result<i64, Error> {
    let row = sqlx::query!(
        r#"update tenants set references_used = references_used + $2 where tenant_id = $1
           returning references_used - $2 as "first!", set_config('synchronous_commit', 'off', true)"#,
        tenant.0,
        count
    )
    .fetch_one(conn)
    .await?;
    Ok(row.first)
}

/// A tenant as the platform sees it.
#[derive(Clone, Debug)]
pub struct Tenant {
    /// Its id.
    pub tenant_id: TenantId,
    /// Short name, for commands and logins.
    pub slug: String,
    /// As debtors read it.
    pub name: String,
    /// `active` or `suspended`.
    pub status: String,
    /// Since when.
    pub created_at: DateTime<Utc>,
}

/// One tenant.
///
/// # Errors
/// The database's.
pub async fn find(conn: &mut PgConnection, tenant: TenantId) -> Result<Option<Tenant>, Error> {
    sqlx::query_as!(
        Tenant,
        "select tenant_id, slug, name, status, created_at from tenants where tenant_id = $1",
        tenant.0
    )
    .fetch_optional(conn)
    .await
}

/// All tenants, in the order of their slugs, after one of them; or the one of this slug.
///
/// # Errors
/// The database's.
pub async fn list(conn: &mut PgConnection, slug: Option<&str>, after: &str, limit: i64) -> Result<Vec<Tenant>, Error> {
    sqlx::query_as!(
        Tenant,
        "select tenant_id, slug, name, status, created_at from tenants
         where slug > $1 and ($2::text is null or slug = $2) order by slug limit $3",
        after,
        slug,
        limit
    )
    .fetch_all(conn)
    .await
}

/// One tenant, which nobody else changes meanwhile.
///
/// # Errors
/// The database's.
pub async fn lock(conn: &mut PgConnection, tenant: TenantId) -> Result<Option<Tenant>, Error> {
    sqlx::query_as!(
        Tenant,
        "select tenant_id, slug, name, status, created_at from tenants where tenant_id = $1 for no key update",
        tenant.0
    )
    .fetch_optional(conn)
    .await
}

/// Renames a tenant, suspends it, or lets it go on.
///
/// # Errors
/// The database's.
pub async fn update(conn: &mut PgConnection, tenant: TenantId, name: &str, status: &str) -> Result<(), Error> {
    sqlx::query!("update tenants set name = $2, status = $3 where tenant_id = $1", tenant.0, name, status)
        .execute(conn)
        .await?;
    Ok(())
}
