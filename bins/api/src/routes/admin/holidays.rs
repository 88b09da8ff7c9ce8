//! A tenant's own closed days, shown beside the national ones.

use axum::Json;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::Uri;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use chrono::{Datelike, NaiveDate};
use regua_domain::{Right, national_holidays};
use regua_store::holidays;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::Parameters;
use crate::Context;
use crate::error::{Code, DONE, PersonActionProblems, PersonChangeProblems, PersonProblems, Problem};
use crate::form::Form;
use crate::people::{Access, Change, JsonBody};

/// A hundred years of them.
const MOST_DAYS: i64 = 2000;
const YEARS: std::ops::RangeInclusive<i32> = 2000..=2199;

pub(super) fn router() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(put, remove))
}

/// A closed day.
#[derive(Serialize, ToSchema)]
struct Holiday {
    day: NaiveDate,
    /// Null for a national one that the tenant has not named.
    name: Option<String>,
    /// Whether it is a national one. The configuration's `national_holidays` says whether the tenant keeps those.
    national: bool,
    /// Whether it is the tenant's own.
    own: bool,
}

/// The closed days of a year.
#[derive(Serialize, ToSchema)]
struct Holidays {
    items: Vec<Holiday>,
}

/// A closed day's name.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes the body; a form reads it, so that all that is wrong is answered at once")]
struct HolidayRequest {
    #[schema(example = "Aniversário da cidade", min_length = 1, max_length = 200)]
    name: String,
}

/// The day in a path; what is no day names nothing.
struct Day(NaiveDate);

impl FromRequestParts<Context> for Day {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, context: &Context) -> Result<Self, Problem> {
        let day = Path::<NaiveDate>::from_request_parts(parts, context).await.ok();
        let day = day.filter(|Path(day)| YEARS.contains(&day.year()));
        day.map(|Path(day)| Self(day)).ok_or_else(|| Problem::of(Code::NotFound))
    }
}

/// The closed days of a year: the tenant's own and the national ones.
#[utoipa::path(
    get, path = "/holidays", operation_id = "list_holidays", tag = "admin", security(("bearer" = []), ("session" = [])),
    params(("year" = Option<i32>, Query, description = "2000 to 2199; this year unless given", minimum = 2000, maximum = 2199)),
    responses((status = 200, description = "In order", body = Holidays), PersonProblems)
)]
async fn list(State(context): State<Context>, access: Access, uri: Uri) -> Result<Json<Holidays>, Problem> {
    access.require(Right::Look)?;
    let mut parameters = Parameters::of(&uri, access.language);
    let year = parameters
        .text("year")
        .map_or_else(|| Some(context.clock.now().year()), |text| text.parse().ok().filter(|year| YEARS.contains(year)));
    if year.is_none() {
        let message = access.language.pick("Envie um ano de 2000 a 2199.", "Send a year from 2000 to 2199.");
        parameters.refuse("year", "invalid_year", message.to_owned());
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
        .map(|one| Holiday { day: one.day, name: Some(one.name), national: national.contains(&one.day), own: true })
        .collect();
    let named: Vec<_> = items.iter().map(|one| one.day).collect();
    let others = national.into_iter().filter(|day| !named.contains(day));
    items.extend(others.map(|day| Holiday { day, name: None, national: true, own: false }));
    items.sort_unstable_by_key(|one| one.day);
    Ok(Json(Holidays { items }))
}

/// Closes a day, or renames a closed one.
#[utoipa::path(
    put, path = "/holidays/{day}", operation_id = "put_holiday", tag = "admin",
    security(("bearer" = []), ("session" = [])), params(("day" = NaiveDate, Path)), request_body = HolidayRequest,
    responses((status = 200, description = "Closed", body = Holiday), PersonChangeProblems)
)]
async fn put(
    State(context): State<Context>,
    access: Access,
    Day(day): Day,
    JsonBody(body): JsonBody,
) -> Result<Json<Holiday>, Problem> {
    access.require(Right::Operate)?;
    let mut form = Form::read(&body, access.language)?;
    let name = form.required_text("name", 200);
    form.finish()?;
    let mut transaction = access.begin(&context).await?;
    let conn = &mut *transaction;
    let before = holidays::between(conn, access.tenant_id, day, day).await?.pop();
    if before.is_none() && holidays::count(conn, access.tenant_id).await? >= MOST_DAYS {
        let detail = access.language.pick(
            format!("Há {MOST_DAYS} dias fechados, o máximo. Apague os que passaram."),
            format!("There are {MOST_DAYS} closed days, the most. Delete those that have passed."),
        );
        return Err(Problem::with_detail(Code::StateConflict, detail));
    }
    holidays::put(conn, access.tenant_id, day, &name).await?;
    let (before, after) = (before.map(|one| json!({"name": one.name})), json!({"name": name}));
    let change =
        Change { action: "holiday.set", object: day.to_string(), before: before.as_ref(), after: Some(&after) };
    access.record(conn, change, context.clock.now()).await?;
    transaction.commit().await?;
    let national = national_holidays(day.year()).contains(&day);
    Ok(Json(Holiday { day, name: Some(name), national, own: true }))
}

/// Opens one of the tenant's own closed days again.
#[utoipa::path(
    delete, path = "/holidays/{day}", operation_id = "delete_holiday", tag = "admin",
    security(("bearer" = []), ("session" = [])), params(("day" = NaiveDate, Path)),
    responses((status = 204, description = "Open again"), PersonActionProblems)
)]
async fn remove(State(context): State<Context>, access: Access, Day(day): Day) -> Result<Response, Problem> {
    access.require(Right::Operate)?;
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
