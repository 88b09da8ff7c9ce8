//! A tenant's business hours: when overdue and upcoming messages may be sent.

use axum::Json;
use axum::extract::State;
use regua_domain::{Capability, OpenInterval, Text};
use regua_store::business_hours::{self, OpenHours};
use serde::Serialize;
use serde_json::Value;
use sqlx::PgConnection;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::callers::{Access, Change, snapshot};
use crate::context::Context;
use crate::http::error::{UserChangeProblems, UserReadProblems};
use crate::http::{Form, JsonBody, Problem};

/// Seven a day.
const MAX_INTERVALS: usize = 50;

pub(super) fn router() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(get, replace))
}

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

#[derive(Serialize, ToSchema)]
struct Hours {
    /// In the order of the week; a day without an interval is closed.
    #[schema(max_items = 50)]
    items: Vec<Open>,
}

impl Hours {
    fn new(hours: &[OpenHours]) -> Self {
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
    responses((status = 200, description = "The business hours", body = Hours), UserReadProblems)
)]
async fn get(State(context): State<Context>, access: Access) -> Result<Json<Hours>, Problem> {
    access.require(Capability::Read)?;
    let mut transaction = access.begin(&context).await?;
    let hours = read(&mut transaction, &access).await?;
    transaction.commit().await?;
    Ok(Json(Hours::new(&hours)))
}

/// Replaces the business hours. Workers use them within ten seconds.
#[utoipa::path(
    put, path = "/hours", operation_id = "replace_hours", tag = "admin", security(("bearer" = []), ("session" = [])),
    request_body = Hours,
    responses((status = 200, description = "The changed business hours", body = Hours), UserChangeProblems)
)]
async fn replace(
    State(context): State<Context>,
    access: Access,
    JsonBody(body): JsonBody,
) -> Result<Json<Hours>, Problem> {
    access.require(Capability::Administer)?;
    let mut form = Form::read(&body, access.language)?;
    let after = intervals(&mut form);
    form.finish()?;
    let mut transaction = access.begin(&context).await?;
    let before = read(&mut transaction, &access).await?;
    business_hours::replace(&mut transaction, access.tenant_id, &after).await?;
    let (old, new) = (snapshot(&Hours::new(&before))?, snapshot(&Hours::new(&after))?);
    let change = Change { action: "hours.updated", before: Some(&old), after: Some(&new), ..Change::default() };
    access.record(&mut transaction, change, context.clock.now()).await?;
    transaction.commit().await?;
    Ok(Json(Hours::new(&after)))
}

async fn read(conn: &mut PgConnection, access: &Access) -> Result<Vec<OpenHours>, Problem> {
    let all = business_hours::all(conn, &[access.tenant_id]).await?;
    Ok(all.into_iter().map(|(_, open)| open).collect())
}

/// The valid intervals of a body, in the order of the week.
fn intervals(form: &mut Form<'_>) -> Vec<OpenHours> {
    let Some(raw) = form.take("items") else {
        form.required("items");
        return Vec::new();
    };
    let items = serde_json::from_str::<Vec<Value>>(raw.get()).ok().filter(|items| items.len() <= MAX_INTERVALS);
    let Some(items) = items else {
        form.wrong_type("items", Text::of("type-interval-list").with("most", MAX_INTERVALS));
        return Vec::new();
    };
    let mut intervals: Vec<(usize, OpenInterval)> = Vec::new();
    for (index, item) in items.iter().enumerate() {
        intervals.extend(interval(form, index, item).map(|interval| (index, interval)));
    }
    intervals.sort_unstable_by_key(|(_, open)| *open);
    for pair in intervals.windows(2) {
        let [(_, first), (index, second)] = pair else { continue };
        if first.weekday() == second.weekday() && second.opens_minute() < first.closes_minute() {
            form.refuse(&format!("items[{index}]"), "hours_overlap", &Text::of("hours-overlap"));
        }
    }
    intervals.iter().map(|(_, open)| open_hours(open)).collect()
}

/// An interval as a row.
pub(crate) fn open_hours(open: &OpenInterval) -> OpenHours {
    // The minutes of a day fit into an `i16`.
    let minute = |minute: u16| i16::try_from(minute).unwrap_or(i16::MAX);
    OpenHours {
        weekday: open.weekday().into(),
        opens_minute: minute(open.opens_minute()),
        closes_minute: minute(open.closes_minute()),
    }
}

fn interval(form: &mut Form<'_>, index: usize, item: &Value) -> Option<OpenInterval> {
    let members = item.as_object().filter(|members| members.len() == 3);
    let member = |name: &str| members.and_then(|members| members.get(name));
    let weekday = member("weekday").and_then(Value::as_u64);
    let opens = member("opens").and_then(Value::as_str).and_then(minute);
    let closes = member("closes").and_then(Value::as_str).and_then(minute);
    let (Some(weekday), Some(opens), Some(closes)) = (weekday, opens, closes) else {
        form.refuse(&format!("items[{index}]"), "invalid_hours", &Text::of("hours-malformed"));
        return None;
    };
    match OpenInterval::new(u8::try_from(weekday).unwrap_or(u8::MAX), opens, closes) {
        Ok(interval) => Some(interval),
        Err(error) => {
            form.refuse(&format!("items[{index}]"), error.code(), &error.text());
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

    /// Field and code of each fault.
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
    fn hours_are_sorted_by_weekday() {
        let items = r#"[{"weekday":2,"opens":"13:00","closes":"24:00"},{"weekday":1,"opens":"00:00","closes":"08:30"},
                        {"weekday":2,"opens":"08:00","closes":"13:00"}]"#;
        assert_eq!(read(items).unwrap(), [(1, 0, 510), (2, 480, 780), (2, 780, 1440)]);
        assert_eq!(read("[]").unwrap(), []);
    }

    #[test]
    fn invalid_hours_are_refused_by_index() {
        let code = |text: &str| read(&format!("[{text}]")).unwrap_err()[0].1.clone();
        assert_eq!(code(r#"{"weekday":8,"opens":"08:00","closes":"18:00"}"#), "hours_weekday");
        assert_eq!(code(r#"{"weekday":1,"opens":"18:00","closes":"08:00"}"#), "hours_empty");
        assert_eq!(code(r#"{"weekday":1,"opens":"18:00","closes":"24:01"}"#), "hours_past_midnight");
        for bad in [
            "1",
            "{}",
            r#"{"weekday":1,"opens":"8:00","closes":"18:00"}"#,
            r#"{"weekday":1,"opens":"+8:00","closes":"18:00"}"#,
            r#"{"weekday":1,"opens":"08:60","closes":"18:00"}"#,
            r#"{"weekday":1,"opens":"08:00","closes":"18:00","note":1}"#,
        ] {
            assert_eq!(code(bad), "invalid_hours", "{bad}");
        }
        let overlap =
            r#"[{"weekday":1,"opens":"12:00","closes":"18:00"},{"weekday":1,"opens":"08:00","closes":"12:01"}]"#;
        assert_eq!(read(overlap).unwrap_err(), [("items[0]".to_owned(), "hours_overlap".to_owned())]);
        let many = vec![r#"{"weekday":1,"opens":"08:00","closes":"18:00"}"#; 51].join(",");
        assert_eq!(read(&format!("[{many}]")).unwrap_err(), [("items".to_owned(), "wrong_type".to_owned())]);
        assert_eq!(read("null").unwrap_err(), [("items".to_owned(), "required".to_owned())]);
    }
}
