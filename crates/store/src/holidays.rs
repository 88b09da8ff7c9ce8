//! Table `holidays`: a tenant's own closed days, beside the national ones that `domain` knows.

use chrono::NaiveDate;
use regua_domain::TenantId;
use sqlx::{Error, PgConnection};

/// All closed days of these tenants.
///
/// # Errors
/// The database's.
pub async fn all(conn: &mut PgConnection, tenants: &[TenantId]) -> Result<Vec<(TenantId, NaiveDate)>, Error> {
    let rows = sqlx::query!(
        "select tenant_id, day from holidays where tenant_id = any($1)",
        &tenants.iter().map(|tenant| tenant.0).collect::<Vec<_>>()
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (TenantId(row.tenant_id), row.day)).collect())
}

/// Adds a closed day, or renames it.
///
/// # Errors
/// The database's.
pub async fn put(conn: &mut PgConnection, tenant: TenantId, day: NaiveDate, name: &str) -> Result<(), Error> {
    sqlx::query!(
        "insert into holidays (tenant_id, day, name) values ($1, $2, $3)
         on conflict (tenant_id, day) do update set name = excluded.name",
        tenant.0,
        day,
        name
    )
    .execute(conn)
    .await?;
    Ok(())
}
