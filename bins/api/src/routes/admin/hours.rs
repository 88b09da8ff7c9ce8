//! A tenant's business hours: when its overdue and upcoming messages may go.

use axum::Json;
use axum::extract::State;
use regua_domain::{OpenInterval, Right};
use regua_store::business_hours::{self, OpenHours};
use serde::Serialize;
use serde_json::Value;
use sqlx::PgConnection;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::noted;
use crate::Context;
use crate::error::{PersonChangeProblems, PersonProblems, Problem};
use crate::form::Form;
use crate::people::{Access, Change, JsonBody};

/// More than seven a day.
const MOST_INTERVALS: usize = 50;

pub(super) fn router() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(get, replace))
}

/// A stretch of open hours.
#[derive(Serialize, ToSchema)]
struct Open {
    /// 1 is Monday, 7 Sunday.
    #[schema(minimum = 1, maximum = 7)]
    weekday: i16,
    /// First open minute.
    #[schema(example = "08:00", pattern = "^[0-9]{2}:[0-9]{2}$")]
    opens: String,
    /// First closed minute; the day ends at 24:00.
    #[schema(example = "18:00", pattern = "^[0-9]{2}:[0-9]{2}$")]
    closes: String,
}

/// A tenant's business hours.
#[derive(Serialize, ToSchema)]
struct Hours {
    /// In the order of the week; a day without any is closed.
    #[schema(max_items = 50)]
    items: Vec<Open>,
}

impl Hours {
    fn of(hours: &[OpenHours]) -> Self {
        let text = |minute: i16| format!("{:02}:{:02}", minute / 60, minute % 60);
        let open = |open: &OpenHours| Open {
            weekday: open.weekday,
            opens: text(open.opens_minute),
            closes: text(open.closes_minute),
        };
        Self { items: hours.iter().map(open).collect() }
    }
}

/// The business hours, in the tenant's time zone.
#[utoipa::path(
    get, path = "/hours", operation_id = "get_hours", tag = "admin", security(("bearer" = []), ("session" = [])),
    responses((status = 200, description = "As they are", body = Hours), PersonProblems)
)]
async fn get(State(context): State<Context>, access: Access) -> Result<Json<Hours>, Problem> {
    access.require(Right::Look)?;
    let mut transaction = access.begin(&context).await?;
    let hours = read(&mut transaction, &access).await?;
    transaction.commit().await?;
    Ok(Json(Hours::of(&hours)))
}

/// Replaces the business hours. Workers go by them within ten seconds.
#[utoipa::path(
    put, path = "/hours", operation_id = "replace_hours", tag = "admin", security(("bearer" = []), ("session" = [])),
    request_body = Hours,
    responses((status = 200, description = "As they are now", body = Hours), PersonChangeProblems)
)]
async fn replace(
    State(context): State<Context>,
    access: Access,
    JsonBody(body): JsonBody,
) -> Result<Json<Hours>, Problem> {
    access.require(Right::Own)?;
    let mut form = Form::read(&body, access.language)?;
    let after = intervals(&mut form);
    form.finish()?;
    let mut transaction = access.begin(&context).await?;
    let before = read(&mut transaction, &access).await?;
    business_hours::replace(&mut transaction, access.tenant_id, &after).await?;
    let (before, noted) = (noted(&Hours::of(&before))?, noted(&Hours::of(&after))?);
    let change = Change { action: "hours.updated", before: Some(&before), after: Some(&noted), ..Change::default() };
    access.record(&mut transaction, change, context.clock.now()).await?;
    transaction.commit().await?;
    Ok(Json(Hours::of(&after)))
}

async fn read(conn: &mut PgConnection, access: &Access) -> Result<Vec<OpenHours>, Problem> {
    let all = business_hours::all(conn, &[access.tenant_id]).await?;
    Ok(all.into_iter().map(|(_, open)| open).collect())
}

/// The intervals of a body in the order of the week, as far as they are right.
fn intervals(form: &mut Form<'_>) -> Vec<OpenHours> {
    let Some(raw) = form.take("items") else {
        form.required("items");
        return Vec::new();
    };
    let given = serde_json::from_str::<Vec<Value>>(raw.get()).ok().filter(|given| given.len() <= MOST_INTERVALS);
    let Some(given) = given else {
        form.wrong_type(
            "items",
            &format!("uma lista de até {MOST_INTERVALS} intervalos"),
            &format!("a list of at most {MOST_INTERVALS} intervals"),
        );
        return Vec::new();
    };
    let mut read: Vec<(usize, OpenInterval)> = Vec::new();
    for (index, one) in given.iter().enumerate() {
        read.extend(interval(form, index, one).map(|interval| (index, interval)));
    }
    read.sort_unstable_by_key(|(_, open)| *open);
    for pair in read.windows(2) {
        let [(_, first), (index, second)] = pair else { continue };
        if first.weekday() == second.weekday() && second.opens_minute() < first.closes_minute() {
            let message = form.language.pick(
                "Este intervalo começa antes que outro do mesmo dia termine.",
                "It opens before another one of the same day closes.",
            );
            form.refuse(&format!("items[{index}]"), "hours_overlap", message);
        }
    }
    // Minutes of a day fit.
    let minute = |minute: u16| i16::try_from(minute).unwrap_or(i16::MAX);
    let kept = |(_, open): &(usize, OpenInterval)| OpenHours {
        weekday: open.weekday().into(),
        opens_minute: minute(open.opens_minute()),
        closes_minute: minute(open.closes_minute()),
    };
    read.iter().map(kept).collect()
}

fn interval(form: &mut Form<'_>, index: usize, given: &Value) -> Option<OpenInterval> {
    let members = given.as_object().filter(|members| members.len() == 3);
    let member = |name: &str| members.and_then(|members| members.get(name));
    let weekday = member("weekday").and_then(Value::as_u64);
    let opens = member("opens").and_then(Value::as_str).and_then(minute);
    let closes = member("closes").and_then(Value::as_str).and_then(minute);
    let (Some(weekday), Some(opens), Some(closes)) = (weekday, opens, closes) else {
        let message = form.language.pick(
            "Envie um objeto como {\"weekday\": 1, \"opens\": \"08:00\", \"closes\": \"18:00\"}.",
            "Send an object like {\"weekday\": 1, \"opens\": \"08:00\", \"closes\": \"18:00\"}.",
        );
        form.refuse(&format!("items[{index}]"), "invalid_hours", message);
        return None;
    };
    match OpenInterval::new(u8::try_from(weekday).unwrap_or(u8::MAX), opens, closes) {
        Ok(interval) => Some(interval),
        Err(error) => {
            let message = error.explain(form.language);
            form.refuse(&format!("items[{index}]"), error.code(), &message);
            None
        }
    }
}

/// `08:00` in minutes after midnight.
fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let part = |text: &str| text.parse::<u16>().ok().filter(|_| text.len() == 2 && !text.starts_with('+'));
    let (hour, minute) = (part(hour)?, part(minute)?);
    (minute < 60).then_some(hour * 60 + minute)
}

#[cfg(test)]
mod tests {
    use regua_domain::Language;

    use super::*;

    /// The fields that were refused, with their codes.
    type Faults = Vec<(String, String)>;

    fn read(items: &str) -> Result<Vec<(i16, i16, i16)>, Faults> {
        let body = format!("{{\"items\": {items}}}");
        let mut form = Form::read(body.as_bytes(), Language::English).unwrap();
        let hours = intervals(&mut form);
        let errors = |problem: Problem| {
            problem.errors().iter().map(|error| (error.field.clone(), error.code.clone())).collect::<Vec<_>>()
        };
        form.finish().map_err(errors)?;
        Ok(hours.iter().map(|open| (open.weekday, open.opens_minute, open.closes_minute)).collect())
    }

    #[test]
    fn hours_are_read_in_the_order_of_the_week() {
        let given = r#"[{"weekday":2,"opens":"13:00","closes":"24:00"},{"weekday":1,"opens":"00:00","closes":"08:30"},
                        {"weekday":2,"opens":"08:00","closes":"13:00"}]"#;
        assert_eq!(read(given).unwrap(), [(1, 0, 510), (2, 480, 780), (2, 780, 1440)]);
        assert_eq!(read("[]").unwrap(), []);
    }

    #[test]
    fn what_is_wrong_with_hours_is_said_with_its_place() {
        let one = |text: &str| read(&format!("[{text}]")).unwrap_err()[0].1.clone();
        assert_eq!(one(r#"{"weekday":8,"opens":"08:00","closes":"18:00"}"#), "hours_weekday");
        assert_eq!(one(r#"{"weekday":1,"opens":"18:00","closes":"08:00"}"#), "hours_empty");
        assert_eq!(one(r#"{"weekday":1,"opens":"18:00","closes":"24:01"}"#), "hours_past_midnight");
        for odd in [
            "1",
            "{}",
            r#"{"weekday":1,"opens":"8:00","closes":"18:00"}"#,
            r#"{"weekday":1,"opens":"+8:00","closes":"18:00"}"#,
            r#"{"weekday":1,"opens":"08:60","closes":"18:00"}"#,
            r#"{"weekday":1,"opens":"08:00","closes":"18:00","note":1}"#,
        ] {
            assert_eq!(one(odd), "invalid_hours", "{odd}");
        }
        let overlap =
            r#"[{"weekday":1,"opens":"12:00","closes":"18:00"},{"weekday":1,"opens":"08:00","closes":"12:01"}]"#;
        assert_eq!(read(overlap).unwrap_err(), [("items[0]".to_owned(), "hours_overlap".to_owned())]);
        let many = vec![r#"{"weekday":1,"opens":"08:00","closes":"18:00"}"#; 51].join(",");
        assert_eq!(read(&format!("[{many}]")).unwrap_err(), [("items".to_owned(), "wrong_type".to_owned())]);
        assert_eq!(read("null").unwrap_err(), [("items".to_owned(), "required".to_owned())]);
    }
}
