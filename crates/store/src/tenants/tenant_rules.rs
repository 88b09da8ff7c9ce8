//! The rules of a tenant's sends, made of `tenants`, `tenant_configs`, `business_hours` and `holidays`.

use std::collections::{BTreeSet, HashMap};

use chrono::NaiveDate;
use regua_domain::{Calendar, OpenInterval, TenantId, TenantRules};
use sqlx::error::BoxDynError;
use sqlx::{Error, PgConnection};

use crate::business_hours::OpenHours;

/// The rules of those of these tenants that exist. A time zone or an interval that no program could have written is
/// `Error::Decode`.
pub async fn get_all(conn: &mut PgConnection, tenants: &[TenantId]) -> Result<HashMap<TenantId, TenantRules>, Error> {
    let rows = sqlx::query!(
        r#"select c.tenant_id as "tenant_id: TenantId", t.status = 'active' as "active!", c.max_attempts, c.time_zone,
                  c.keeps_hours, c.national_holidays, h.weekdays, h.opens, h.closes,
                  array(select day from holidays where tenant_id = c.tenant_id) as "holidays!"
           from tenant_configs c join tenants t using (tenant_id)
           cross join lateral (
               select array_agg(weekday order by weekday, opens_minute) as weekdays,
                      array_agg(opens_minute order by weekday, opens_minute) as opens,
                      array_agg(closes_minute order by weekday, opens_minute) as closes
               from business_hours where tenant_id = c.tenant_id
           ) h
           where c.tenant_id = any($1)"#,
        tenants as &[TenantId]
    )
    .fetch_all(conn)
    .await?;
    let rules = rows.into_iter().map(|row| {
        let hours = OpenHours::from_columns(row.weekdays, row.opens, row.closes);
        let holidays = row.holidays.into_iter().collect();
        let calendar = calendar(&row.time_zone, row.keeps_hours, row.national_holidays, &hours, holidays);
        let max_attempts = u16::try_from(row.max_attempts).map_err(|error| Error::Decode(Box::new(error)))?;
        Ok((
            row.tenant_id,
            TenantRules { calendar: calendar.map_err(Error::Decode)?, max_attempts, active: row.active },
        ))
    });
    rules.collect()
}

/// When a tenant's overdue and upcoming messages may be sent, by the columns of its configuration.
pub(crate) fn calendar(
    time_zone: &str,
    keeps_hours: bool,
    national_holidays: bool,
    hours: &[OpenHours],
    holidays: BTreeSet<NaiveDate>,
) -> Result<Calendar, BoxDynError> {
    let always_open = Calendar::always_open(time_zone.parse()?);
    if !keeps_hours {
        return Ok(always_open);
    }
    let hours = hours.iter().map(open_interval).collect::<Result<_, _>>()?;
    Ok(Calendar { hours, holidays, national_holidays, ..always_open })
}

fn open_interval(hours: &OpenHours) -> Result<OpenInterval, BoxDynError> {
    let OpenHours { weekday, opens_minute, closes_minute } = *hours;
    Ok(OpenInterval::new(weekday.try_into()?, opens_minute.try_into()?, closes_minute.try_into()?)?)
}
