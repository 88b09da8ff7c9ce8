//! A tenant's calendar, put together from `tenant_configs`, `business_hours` and `holidays` as the domain reads it.

use regua_domain::{Calendar, OpenInterval, TenantId};
use sqlx::{Error, PgConnection};

use crate::business_hours::{self, OpenHours};
use crate::holidays;
use crate::tenant_configs::TenantConfig;

/// When a tenant's overdue and upcoming messages may go.
///
/// # Errors
/// The database's, and `Decode` for a zone or hours that no program could have written.
pub async fn of(conn: &mut PgConnection, tenant: TenantId, config: &TenantConfig) -> Result<Calendar, Error> {
    let time_zone = config.time_zone.parse().map_err(|error| Error::Decode(Box::new(error)))?;
    if !config.keeps_hours {
        return Ok(Calendar::always_open(time_zone));
    }
    let hours = business_hours::all(conn, tenant).await?;
    Ok(Calendar {
        time_zone,
        hours: hours.iter().map(open_interval).collect::<Result<_, _>>()?,
        holidays: holidays::all(conn, tenant).await?.into_iter().collect(),
        national_holidays: config.national_holidays,
    })
}

fn open_interval(hours: &OpenHours) -> Result<OpenInterval, Error> {
    let unsigned = |number: i16| u16::try_from(number).map_err(|error| Error::Decode(Box::new(error)));
    let weekday = u8::try_from(hours.weekday).map_err(|error| Error::Decode(Box::new(error)))?;
    OpenInterval::new(weekday, unsigned(hours.opens_minute)?, unsigned(hours.closes_minute)?)
        .map_err(|error| Error::Decode(Box::new(error)))
}
