//! Table `holidays`: a tenant's own closed days, beside the national ones that `domain` knows.

use chrono::NaiveDate;
use regua_domain::TenantId;
use sqlx::{Error, PgConnection};

/// All closed days of a tenant.
///
/// # Errors
/// The database's.
pub async fn all(conn: &mut PgConnection, tenant: TenantId) -> Result<Vec<NaiveDate>, Error> {
    let rows =
        sqlx::query!("select day from holidays where tenant_id = $1 order by day", tenant.0).fetch_all(conn).await?;
    Ok(rows.into_iter().map(|row| row.day).collect())
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
