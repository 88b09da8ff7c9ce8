//! The time after a day. A due date has none but the midnight that programs add.

use chrono::{DateTime, Datelike, NaiveDate, NaiveTime};
use chrono_tz::America::Sao_Paulo;

use super::DueDateError;
use crate::campaigns::quoted::Quoted;

const TIMES: [&str; 2] = ["%T%.f", "%R"];
const TIMES_WITH_AM_OR_PM: [&str; 2] = ["%I:%M:%S %p", "%I:%M %p"];
const INSTANTS: [&str; 2] = ["%FT%T%.f%#z", "%FT%R%#z"];

/// The day, where no time or midnight follows it.
pub(super) fn read_clock(day: NaiveDate, clock: &str, text: &str) -> Result<NaiveDate, DueDateError> {
    let time = |forms: [&str; 2]| forms.iter().find_map(|form| NaiveTime::parse_from_str(clock, form).ok());
    let days = |american: Option<NaiveDate>| Some(day).into_iter().chain(american).collect();
    let quoted = Quoted::new(text);
    if clock.is_empty() || time(TIMES) == Some(NaiveTime::MIN) {
        return Ok(day);
    }
    // Programs of the United States add AM and PM, and write the month first.
    if time(TIMES_WITH_AM_OR_PM).is_some() {
        let american = NaiveDate::from_ymd_opt(day.year(), day.day(), day.month());
        return Err(DueDateError::Time { text: quoted, days: days(american) });
    }
    let instant = format!("{day}T{}", clock.replace("UTC", "Z"));
    let instant = INSTANTS.iter().find_map(|form| DateTime::parse_from_str(&instant, form).ok());
    Err(match instant {
        Some(instant) => {
            let local = instant.with_timezone(&Sao_Paulo).date_naive();
            DueDateError::Offset { text: quoted, local, written: day }
        }
        None if time(TIMES).is_some() => DueDateError::Time { text: quoted, days: days(None) },
        None => DueDateError::Malformed { text: quoted, days: days(None) },
    })
}
