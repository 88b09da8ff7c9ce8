//! A tenant's own closed days, listed with the national holidays.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use chrono::{Datelike, NaiveDate};
use regua_domain::{is_national_holiday, national_holidays};
use regua_store::holidays;

use crate::routes::kit::*;

/// Twenty a year for a hundred years.
const MAX_CLOSED_DAYS: i64 = 2000;
const YEARS: std::ops::RangeInclusive<i32> = 2000..=2199;

pub(super) fn router() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(list_holidays)).routes(routes!(put_holiday, delete_holiday))
}

#[derive(Serialize, ToSchema)]
struct Holiday {
    day: NaiveDate,
    /// Null for a national holiday that the tenant has not named.
    name: Option<String>,
    /// Whether the day is a national holiday. The configuration's `national_holidays` says whether those are closed.
    national: bool,
    /// Whether the tenant has added the day.
    own: bool,
}

items! { Holidays of Holiday }

impl Holiday {
    /// A closed day; the tenant has added the days that have a name.
    fn new(day: NaiveDate, name: Option<String>) -> Self {
        Self { day, own: name.is_some(), name, national: is_national_holiday(day) }
    }
}

body! {
    struct HolidayRequest {
        #[example = "Aniversário da cidade"]
        name: Line<1, 200>,
    }
}

/// A day of these years.
struct Day(NaiveDate);

impl FromStr for Day {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        text.parse().ok().filter(|day: &NaiveDate| YEARS.contains(&day.year())).map(Self).ok_or(())
    }
}

/// The closed days of a year: the tenant's own and the national holidays.
#[utoipa::path(
    get, path = "/holidays",
    params(("year" = Option<i32>, Query, description = "2000 to 2199. Default: this year", minimum = 2000, maximum = 2199)),
    responses((status = 200, description = "The closed days in their order", body = Holidays))
)]
async fn list_holidays(access: Access<Read>, uri: Uri) -> Answer<Holidays> {
    let mut parameters = Parameters::of(&uri, access.language);
    let year = match parameters.text("year") {
        Some(text) => text.parse().ok().filter(|year| YEARS.contains(year)),
        None => Some(access.context.clock.now().year()),
    };
    if year.is_none() {
        parameters.refuse("year", "invalid_year", &Text::of("holiday-year"));
    }
    parameters.finish()?;
    let days = |month, day| year.and_then(|year| NaiveDate::from_ymd_opt(year, month, day));
    let (Some(first), Some(last)) = (days(1, 1), days(12, 31)) else { return Err(Problem::of(Code::NotFound)) };
    let own = access.read(async |conn| holidays::between(conn, access.tenant_id, first, last).await).await?;
    let own: BTreeMap<_, _> = own.into_iter().map(|holiday| (holiday.day, holiday.name)).collect();
    let days: BTreeSet<_> = own.keys().copied().chain(national_holidays(first.year())).collect();
    let items = days.into_iter().map(|day| Holiday::new(day, own.get(&day).cloned()));
    Ok(Json(Holidays { items: items.collect() }))
}

/// Adds a closed day, or renames one.
#[utoipa::path(
    put, path = "/holidays/{day}", params(("day" = NaiveDate, Path)), request_body = HolidayRequest,
    responses((status = 200, description = "The closed day", body = Holiday))
)]
async fn put_holiday(
    access: Access<Operate>,
    InPath(Day(day)): InPath<Day>,
    Valid(HolidayRequest { name }): Valid<HolidayRequest>,
) -> Answer<Holiday> {
    let work = async |conn: &mut PgConnection, _| {
        let before = holidays::between(conn, access.tenant_id, day, day).await?.pop();
        if before.is_none() {
            let count = holidays::count(conn, access.tenant_id).await?;
            refuse_unless(count < MAX_CLOSED_DAYS, Text::of("holiday-too-many").with("most", MAX_CLOSED_DAYS))?;
        }
        holidays::put(conn, access.tenant_id, day, &name).await?;
        Ok((before.map(|holiday| json!({"name": holiday.name})), json!({"name": name})))
    };
    access.change("holiday.set", day, work).await?;
    Ok(Json(Holiday::new(day, Some(name))))
}

/// Deletes one of the tenant's own closed days.
#[utoipa::path(
    delete, path = "/holidays/{day}", params(("day" = NaiveDate, Path)),
    responses((status = 204, description = "Deleted"))
)]
async fn delete_holiday(access: Access<Operate>, InPath(Day(day)): InPath<Day>) -> Done {
    let work = async |conn: &mut PgConnection, _| {
        let before = found(holidays::between(conn, access.tenant_id, day, day).await?.pop())?;
        holidays::delete(conn, access.tenant_id, day).await?;
        Ok((json!({"name": before.name}), ()))
    };
    access.change("holiday.removed", day, work).await?;
    Ok(DONE)
}
