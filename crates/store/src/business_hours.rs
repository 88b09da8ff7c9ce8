//! Table `business_hours`: when a tenant's overdue and upcoming messages may go.

use regua_domain::TenantId;
use sqlx::{Error, PgConnection};

/// One open interval of a weekday, in minutes after local midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenHours {
    /// ISO: 1 is Monday.
    pub weekday: i16,
    /// First open minute.
    pub opens_minute: i16,
    /// First closed minute.
    pub closes_minute: i16,
}

/// All open intervals of these tenants.
///
/// # Errors
/// The database's.
pub async fn all(conn: &mut PgConnection, tenants: &[TenantId]) -> Result<Vec<(TenantId, OpenHours)>, Error> {
    let rows = sqlx::query!(
        "select tenant_id, weekday, opens_minute, closes_minute from business_hours where tenant_id = any($1)
         order by tenant_id, weekday, opens_minute",
        &tenants.iter().map(|tenant| tenant.0).collect::<Vec<_>>()
    )
    .fetch_all(conn)
    .await?;
    let hours = rows.into_iter().map(|row| {
        let (weekday, opens_minute, closes_minute) = (row.weekday, row.opens_minute, row.closes_minute);
        (TenantId(row.tenant_id), OpenHours { weekday, opens_minute, closes_minute })
    });
    Ok(hours.collect())
}

/// Replaces all open intervals of a tenant.
///
/// # Errors
/// The database's, including an interval that the table's checks refuse.
pub async fn replace(conn: &mut PgConnection, tenant: TenantId, hours: &[OpenHours]) -> Result<(), Error> {
    sqlx::query!("delete from business_hours where tenant_id = $1", tenant.0).execute(&mut *conn).await?;
    sqlx::query!(
        "insert into business_hours (tenant_id, weekday, opens_minute, closes_minute)
         select $1, * from unnest($2::smallint[], $3::smallint[], $4::smallint[])",
        tenant.0,
        &hours.iter().map(|open| open.weekday).collect::<Vec<_>>(),
        &hours.iter().map(|open| open.opens_minute).collect::<Vec<_>>(),
        &hours.iter().map(|open| open.closes_minute).collect::<Vec<_>>()
    )
    .execute(conn)
    .await?;
    Ok(())
}
