//! Table `business_hours`: when a tenant's overdue and upcoming messages may be sent.

use regua_domain::{OpenInterval, TenantId};
use sqlx::{Error, PgConnection};

use crate::columns::column;

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

impl OpenHours {
    /// The intervals whose columns are these arrays; none: there are no rows.
    pub(crate) fn from_columns(
        weekdays: Option<Vec<i16>>,
        opens: Option<Vec<i16>>,
        closes: Option<Vec<i16>>,
    ) -> Vec<Self> {
        let minutes = opens.into_iter().flatten().zip(closes.into_iter().flatten());
        let hours = weekdays.into_iter().flatten().zip(minutes);
        hours.map(|(weekday, (opens_minute, closes_minute))| Self { weekday, opens_minute, closes_minute }).collect()
    }
}

/// The open intervals of a tenant, in the order of the week.
pub async fn list(conn: &mut PgConnection, tenant: TenantId) -> Result<Vec<OpenHours>, Error> {
    sqlx::query_as!(
        OpenHours,
        "select weekday, opens_minute, closes_minute from business_hours
         where tenant_id = $1 order by weekday, opens_minute",
        tenant as TenantId
    )
    .fetch_all(conn)
    .await
}

/// Replaces the open intervals of a tenant. Checks of the table refuse wrong intervals.
pub async fn replace(conn: &mut PgConnection, tenant: TenantId, hours: &[OpenInterval]) -> Result<(), Error> {
    // The minutes of a day fit into an `i16`.
    let minutes =
        |minute: fn(&OpenInterval) -> u16| column(hours, |open| i16::try_from(minute(open)).unwrap_or(i16::MAX));
    sqlx::query!("delete from business_hours where tenant_id = $1", tenant as TenantId).execute(&mut *conn).await?;
    sqlx::query!(
        "insert into business_hours (tenant_id, weekday, opens_minute, closes_minute)
         select $1, * from unnest($2::smallint[], $3::smallint[], $4::smallint[])",
        tenant as TenantId,
        &column(hours, |open| i16::from(open.weekday())),
        &minutes(OpenInterval::opens_minute),
        &minutes(OpenInterval::closes_minute)
    )
    .execute(conn)
    .await?;
    Ok(())
}
