//! A tenant's calendar, made of `tenant_configs`, `business_hours` and `holidays`.

use std::collections::{BTreeSet, HashMap};

use chrono::NaiveDate;
use regua_domain::{Calendar, OpenInterval, TenantId};
use sqlx::error::BoxDynError;
use sqlx::{Error, PgConnection};

use crate::business_hours::{self, OpenHours};
use crate::holidays;
use crate::tenant_configs::TenantConfig;

/// The calendars of these tenants. A time zone or an interval that no program could have written is `Error::Decode`.
pub async fn get_all(
    conn: &mut PgConnection,
    configs: impl IntoIterator<Item = &TenantConfig>,
) -> Result<HashMap<TenantId, Calendar>, Error> {
    let configs: Vec<_> = configs.into_iter().collect();
    let with_hours: Vec<_> =
        configs.iter().filter(|config| config.keeps_hours).map(|config| config.tenant_id).collect();
    let (mut hours, mut closed) = (HashMap::<_, Vec<_>>::new(), HashMap::<_, BTreeSet<_>>::new());
    if !with_hours.is_empty() {
        for (tenant, open) in business_hours::all(conn, &with_hours).await? {
            hours.entry(tenant).or_default().push(open);
        }
        for (tenant, day) in holidays::all(conn, &with_hours).await? {
            closed.entry(tenant).or_default().insert(day);
        }
    }
    let calendar = |config: &TenantConfig| {
        let TenantConfig { tenant_id, ref time_zone, keeps_hours, national_holidays, .. } = *config;
        let hours = hours.remove(&tenant_id).unwrap_or_default();
        let closed = closed.remove(&tenant_id).unwrap_or_default();
        let calendar = calendar(time_zone, keeps_hours, national_holidays, &hours, closed);
        Ok((tenant_id, calendar.map_err(Error::Decode)?))
    };
    configs.into_iter().map(calendar).collect()
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
