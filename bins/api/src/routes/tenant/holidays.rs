//! A tenant's own closed days, listed with the national holidays.

use axum::Json;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::Uri;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use chrono::{Datelike, NaiveDate};
use regua_domain::{Capability, Text, national_holidays};
use regua_store::holidays;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::callers::{Access, Change};
use crate::context::Context;
use crate::http::error::{UserActionProblems, UserChangeProblems, UserReadProblems};
use crate::http::{Code, DONE, Form, JsonBody, Parameters, Problem};

/// Twenty a year for a hundred years.
const MAX_CLOSED_DAYS: i64 = 2000;
const YEARS: std::ops::RangeInclusive<i32> = 2000..=2199;

pub(super) fn router() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(put, delete))
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

#[derive(Serialize, ToSchema)]
struct Holidays {
    items: Vec<Holiday>,
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "OpenAPI schema only: `Form` reads the body and reports every fault at once")]
struct HolidayRequest {
    #[schema(example = "Aniversário da cidade", min_length = 1, max_length = 200)]
    name: String,
}

/// The day in a path; an invalid day is not found.
struct Day(NaiveDate);

impl FromRequestParts<Context> for Day {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, context: &Context) -> Result<Self, Problem> {
        let day = Path::<NaiveDate>::from_request_parts(parts, context).await.ok();
        let day = day.filter(|Path(day)| YEARS.contains(&day.year()));
        day.map(|Path(day)| Self(day)).ok_or_else(|| Problem::of(Code::NotFound))
    }
}

/// The closed days of a year: the tenant's own and the national holidays.
#[utoipa::path(
    get, path = "/holidays", operation_id = "list_holidays", tag = "admin", security(("bearer" = []), ("session" = [])),
    params(("year" = Option<i32>, Query, description = "2000 to 2199. Default: this year", minimum = 2000, maximum = 2199)),
    responses((status = 200, description = "The closed days in their order", body = Holidays), UserReadProblems)
)]
async fn list(State(context): State<Context>, access: Access, uri: Uri) -> Result<Json<Holidays>, Problem> {
    access.require(Capability::Read)?;
    let mut parameters = Parameters::of(&uri, access.language);
    let year = parameters
        .text("year")
        .map_or_else(|| Some(context.clock.now().year()), |text| text.parse().ok().filter(|year| YEARS.contains(year)));
    if year.is_none() {
        parameters.refuse("year", "invalid_year", &Text::of("holiday-year"));
    }
    parameters.finish()?;
    let days = |month, day| year.and_then(|year| NaiveDate::from_ymd_opt(year, month, day));
    let (Some(first), Some(last)) = (days(1, 1), days(12, 31)) else { return Err(Problem::of(Code::NotFound)) };
    let mut transaction = access.begin(&context).await?;
    let own = holidays::between(&mut transaction, access.tenant_id, first, last).await?;
    transaction.commit().await?;
    let national = national_holidays(first.year());
    let mut items: Vec<_> = own
        .into_iter()
        .map(|own| Holiday { day: own.day, name: Some(own.name), national: national.contains(&own.day), own: true })
        .collect();
    let own_days: Vec<_> = items.iter().map(|holiday| holiday.day).collect();
    let others = national.into_iter().filter(|day| !own_days.contains(day));
    items.extend(others.map(|day| Holiday { day, name: None, national: true, own: false }));
    items.sort_unstable_by_key(|holiday| holiday.day);
    Ok(Json(Holidays { items }))
}

/// Adds a closed day, or renames one.
#[utoipa::path(
    put, path = "/holidays/{day}", operation_id = "put_holiday", tag = "admin",
    security(("bearer" = []), ("session" = [])), params(("day" = NaiveDate, Path)), request_body = HolidayRequest,
    responses((status = 200, description = "The closed day", body = Holiday), UserChangeProblems)
)]
async fn put(
    State(context): State<Context>,
    access: Access,
    Day(day): Day,
    JsonBody(body): JsonBody,
) -> Result<Json<Holiday>, Problem> {
    access.require(Capability::Operate)?;
    let mut form = Form::read(&body, access.language)?;
    let name = form.required_text("name", 200);
    form.finish()?;
    let mut transaction = access.begin(&context).await?;
    let conn = &mut *transaction;
    let before = holidays::between(conn, access.tenant_id, day, day).await?.pop();
    if before.is_none() && holidays::count(conn, access.tenant_id).await? >= MAX_CLOSED_DAYS {
        return Err(Problem::with_detail(
            Code::StateConflict,
            Text::of("holiday-too-many").with("most", MAX_CLOSED_DAYS),
        ));
    }
    holidays::put(conn, access.tenant_id, day, &name).await?;
    let (before, after) = (before.map(|holiday| json!({"name": holiday.name})), json!({"name": name}));
    let change =
        Change { action: "holiday.set", object: day.to_string(), before: before.as_ref(), after: Some(&after) };
    access.record(conn, change, context.clock.now()).await?;
    transaction.commit().await?;
    let national = national_holidays(day.year()).contains(&day);
    Ok(Json(Holiday { day, name: Some(name), national, own: true }))
}

/// Deletes one of the tenant's own closed days.
#[utoipa::path(
    delete, path = "/holidays/{day}", operation_id = "delete_holiday", tag = "admin",
    security(("bearer" = []), ("session" = [])), params(("day" = NaiveDate, Path)),
    responses((status = 204, description = "Deleted"), UserActionProblems)
)]
async fn delete(State(context): State<Context>, access: Access, Day(day): Day) -> Result<Response, Problem> {
    access.require(Capability::Operate)?;
    let mut transaction = access.begin(&context).await?;
    let conn = &mut *transaction;
    let before = holidays::between(conn, access.tenant_id, day, day).await?.pop();
    let before = before.ok_or_else(|| Problem::of(Code::NotFound))?;
    holidays::delete(conn, access.tenant_id, day).await?;
    let before = json!({"name": before.name});
    let change = Change { action: "holiday.removed", object: day.to_string(), before: Some(&before), after: None };
    access.record(conn, change, context.clock.now()).await?;
    transaction.commit().await?;
    Ok(DONE.into_response())
}
