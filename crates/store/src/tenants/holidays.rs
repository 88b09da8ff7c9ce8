//! Table `holidays`: a tenant's own closed days. `domain` knows the national holidays.

use chrono::NaiveDate;
use regua_domain::TenantId;
use sqlx::{Error, PgConnection};

/// Adds a closed day, or renames it.
pub async fn put(conn: &mut PgConnection, tenant: TenantId, day: NaiveDate, name: &str) -> Result<(), Error> {
    sqlx::query!(
        "insert into holidays (tenant_id, day, name) values ($1, $2, $3)
         on conflict (tenant_id, day) do update set name = excluded.name",
        tenant as TenantId,
        day,
        name
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A tenant's own closed day.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are the table's columns")]
pub struct Holiday {
    pub day: NaiveDate,
    pub name: String,
}

/// A tenant's own closed days from `first` to `last`, in order.
pub async fn between(
    conn: &mut PgConnection,
    tenant: TenantId,
    first: NaiveDate,
    last: NaiveDate,
) -> Result<Vec<Holiday>, Error> {
    sqlx::query_as!(
        Holiday,
        "select day, name from holidays where tenant_id = $1 and day between $2 and $3 order by day",
        tenant as TenantId,
        first,
        last
    )
    .fetch_all(conn)
    .await
}

/// The number of a tenant's own closed days.
pub async fn count(conn: &mut PgConnection, tenant: TenantId) -> Result<i64, Error> {
    sqlx::query_scalar!(r#"select count(*) as "count!" from holidays where tenant_id = $1"#, tenant as TenantId)
        .fetch_one(conn)
        .await
}

/// Deletes a closed day; false when the day is not among them.
pub async fn delete(conn: &mut PgConnection, tenant: TenantId, day: NaiveDate) -> Result<bool, Error> {
    let deleted = sqlx::query!("delete from holidays where tenant_id = $1 and day = $2", tenant as TenantId, day);
    Ok(deleted.execute(conn).await?.rows_affected() == 1)
}
