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

/// A closed day of a tenant's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holiday {
    /// Closed all day.
    pub day: NaiveDate,
    /// For people.
    pub name: String,
}

/// A tenant's own closed days from one to another, both included, in order.
///
/// # Errors
/// The database's.
pub async fn between(
    conn: &mut PgConnection,
    tenant: TenantId,
    first: NaiveDate,
    last: NaiveDate,
) -> Result<Vec<Holiday>, Error> {
    sqlx::query_as!(
        Holiday,
        "select day, name from holidays where tenant_id = $1 and day between $2 and $3 order by day",
        tenant.0,
        first,
        last
    )
    .fetch_all(conn)
    .await
}

/// How many closed days of its own a tenant has.
///
/// # Errors
/// The database's.
pub async fn count(conn: &mut PgConnection, tenant: TenantId) -> Result<i64, Error> {
    let row = sqlx::query!(r#"select count(*) as "count!" from holidays where tenant_id = $1"#, tenant.0);
    Ok(row.fetch_one(conn).await?.count)
}

/// Opens a day again; false where it was not closed.
///
/// # Errors
/// The database's.
pub async fn delete(conn: &mut PgConnection, tenant: TenantId, day: NaiveDate) -> Result<bool, Error> {
    let deleted = sqlx::query!("delete from holidays where tenant_id = $1 and day = $2", tenant.0, day);
    Ok(deleted.execute(conn).await?.rows_affected() == 1)
}
