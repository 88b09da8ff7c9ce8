//! A tenant's calendar, made of `tenant_configs`, `business_hours` and `holidays`.

use std::collections::HashMap;

use regua_domain::{Calendar, OpenInterval, TenantId};
use sqlx::error::BoxDynError;
use sqlx::{Error, PgConnection};

use crate::business_hours::{self, OpenHours};
use crate::holidays;
use crate::tenant_configs::TenantConfig;

/// When a tenant's overdue and upcoming messages may be sent. A time zone or an interval that no program could have
/// written is `Error::Decode`.
pub async fn get(conn: &mut PgConnection, config: &TenantConfig) -> Result<Calendar, Error> {
    let mut calendars = get_all(conn, [config]).await?;
    calendars.remove(&config.tenant_id).ok_or(Error::RowNotFound)
}

/// The calendars of many tenants.
pub async fn get_all(
    conn: &mut PgConnection,
    configs: impl IntoIterator<Item = &TenantConfig>,
) -> Result<HashMap<TenantId, Calendar>, Error> {
    let mut calendars = HashMap::new();
    let mut with_hours = Vec::new();
    for config in configs {
        let mut calendar = always_open(config).map_err(Error::Decode)?;
        if config.keeps_hours {
            calendar = Calendar { hours: Vec::new(), national_holidays: config.national_holidays, ..calendar };
            with_hours.push(config.tenant_id);
        }
        calendars.insert(config.tenant_id, calendar);
    }
    if with_hours.is_empty() {
        return Ok(calendars);
    }
    for (tenant, hours) in business_hours::all(conn, &with_hours).await? {
        if let Some(calendar) = calendars.get_mut(&tenant) {
            calendar.hours.push(open_interval(&hours).map_err(Error::Decode)?);
        }
    }
    for (tenant, day) in holidays::all(conn, &with_hours).await? {
        if let Some(calendar) = calendars.get_mut(&tenant) {
            calendar.holidays.insert(day);
        }
    }
    Ok(calendars)
}

fn always_open(config: &TenantConfig) -> Result<Calendar, BoxDynError> {
    Ok(Calendar::always_open(config.time_zone.parse()?))
}

fn open_interval(hours: &OpenHours) -> Result<OpenInterval, BoxDynError> {
    let OpenHours { weekday, opens_minute, closes_minute } = *hours;
    Ok(OpenInterval::new(weekday.try_into()?, opens_minute.try_into()?, closes_minute.try_into()?)?)
}
