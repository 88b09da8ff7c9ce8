//! A tenant's business hours: when overdue and upcoming messages may be sent.

use regua_domain::OpenInterval;
use regua_store::business_hours::{self, OpenHours};
use utoipa::openapi::Ref;

use crate::routes::kit::*;

/// Seven a day.
const MAX_INTERVALS: usize = 50;

pub(super) fn router() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(get_hours, replace_hours))
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

body! {
    struct HoursRequest {
        items: OpenIntervals,
    }
}

/// The business hours, in the tenant's time zone.
#[utoipa::path(get, path = "/hours", responses((status = 200, description = "The business hours", body = Hours)))]
async fn get_hours(access: Access<Read>) -> Answer<Hours> {
    access.read(async |conn| read(conn, &access).await).await.map(Json)
}

/// Replaces the business hours. Workers use them within ten seconds.
#[utoipa::path(
    put, path = "/hours", request_body = Hours,
    responses((status = 200, description = "The changed business hours", body = Hours))
)]
async fn replace_hours(access: Access<Administer>, Valid(body): Valid<HoursRequest>) -> Answer<Hours> {
    let work = async |conn: &mut PgConnection, _| {
        let before = read(conn, &access).await?;
        business_hours::replace(conn, access.tenant_id, &body.items).await?;
        Ok((before, read(conn, &access).await?))
    };
    access.change("hours.updated", "", work).await.map(Json)
}

async fn read(conn: &mut PgConnection, access: &Principal) -> Result<Hours, Problem> {
    let text = |minute: i16| format!("{:02}:{:02}", minute / 60, minute % 60);
    let open = |OpenHours { weekday, opens_minute, closes_minute }| Open {
        weekday,
        opens: text(opens_minute),
        closes: text(closes_minute),
    };
    let all = business_hours::list(conn, access.tenant_id).await?;
    Ok(Hours { items: all.into_iter().map(open).collect() })
}

/// Intervals that do not overlap, in the order of the week.
struct OpenIntervals;

impl Member for OpenIntervals {
    type Value = Vec<OpenInterval>;

    fn schema() -> Schema {
        ArrayBuilder::new().items(Ref::from_schema_name("Open")).max_items(Some(MAX_INTERVALS)).into()
    }

    fn read(field: &mut Field<'_, '_>) -> Option<Vec<OpenInterval>> {
        let items: Vec<Value> =
            field.list(MAX_INTERVALS, Text::of("type-interval-list").with("most", MAX_INTERVALS))?;
        let mut intervals: Vec<(usize, OpenInterval)> = Vec::new();
        for (index, item) in items.iter().enumerate() {
            intervals.extend(interval(field, index, item).map(|interval| (index, interval)));
        }
        intervals.sort_unstable_by_key(|(_, open)| *open);
        for pair in intervals.windows(2) {
            let [(_, first), (index, second)] = pair else { continue };
            if first.weekday() == second.weekday() && second.opens_minute() < first.closes_minute() {
                field.refuse_item(*index, "hours_overlap", &Text::of("hours-overlap"));
            }
        }
        Some(intervals.into_iter().map(|(_, open)| open).collect())
    }
}

fn interval(field: &mut Field<'_, '_>, index: usize, item: &Value) -> Option<OpenInterval> {
    let members = item.as_object().filter(|members| members.len() == 3);
    let time = |name| minute(members?.get(name)?.as_str()?);
    let weekday = members.and_then(|members| members.get("weekday")?.as_u64());
    let (Some(weekday), Some(opens), Some(closes)) = (weekday, time("opens"), time("closes")) else {
        field.refuse_item(index, "invalid_hours", &Text::of("hours-malformed"));
        return None;
    };
    let interval = OpenInterval::new(u8::try_from(weekday).unwrap_or(u8::MAX), opens, closes);
    interval.map_err(|error| field.refuse_item(index, error.code(), &error.text())).ok()
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
    use crate::http::Draft;

    /// Field and code of each fault.
    type Faults = Vec<(String, String)>;

    fn read(items: &str) -> Result<Vec<(u8, u16, u16)>, Faults> {
        let body = format!("{{\"items\": {items}}}");
        let read = Draft::<HoursRequest>::parse(body.as_bytes(), Language::English).unwrap();
        let errors = |problem: Problem| {
            problem.errors().iter().map(|error| (error.field.clone(), error.code.clone())).collect::<Vec<_>>()
        };
        let hours = read.finish().map_err(errors)?.items;
        Ok(hours.iter().map(|open| (open.weekday(), open.opens_minute(), open.closes_minute())).collect())
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
