//! A tenant's calendar, put together from `tenant_configs`, `business_hours` and `holidays` as the domain reads it.

use std::collections::HashMap;

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
    let mut calendars = of_all(conn, [(tenant, config)]).await?;
    calendars.remove(&tenant).ok_or(Error::RowNotFound)
}

/// The same of many tenants.
///
/// # Errors
/// As [`of`].
pub async fn of_all(
    conn: &mut PgConnection,
    configs: impl IntoIterator<Item = (TenantId, &TenantConfig)>,
) -> Result<HashMap<TenantId, Calendar>, Error> {
    let mut calendars = HashMap::new();
    let mut keep_hours = Vec::new();
    for (tenant, config) in configs {
        let time_zone = config.time_zone.parse().map_err(|error| Error::Decode(Box::new(error)))?;
        let mut calendar = Calendar::always_open(time_zone);
        if config.keeps_hours {
            calendar = Calendar { hours: Vec::new(), national_holidays: config.national_holidays, ..calendar };
            keep_hours.push(tenant);
        }
        calendars.insert(tenant, calendar);
    }
    if keep_hours.is_empty() {
        return Ok(calendars);
    }
    for (tenant, hours) in business_hours::all(conn, &keep_hours).await? {
        if let Some(calendar) = calendars.get_mut(&tenant) {
            calendar.hours.push(open_interval(&hours)?);
        }
    }
    for (tenant, day) in holidays::all(conn, &keep_hours).await? {
        if let Some(calendar) = calendars.get_mut(&tenant) {
            calendar.holidays.insert(day);
        }
    }
    Ok(calendars)
}

fn open_interval(hours: &OpenHours) -> Result<OpenInterval, Error> {
    let unsigned = |number: i16| u16::try_from(number).map_err(|error| Error::Decode(Box::new(error)));
    let weekday = u8::try_from(hours.weekday).map_err(|error| Error::Decode(Box::new(error)))?;
    OpenInterval::new(weekday, unsigned(hours.opens_minute)?, unsigned(hours.closes_minute)?)
        .map_err(|error| Error::Decode(Box::new(error)))
}
