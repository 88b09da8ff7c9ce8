//! Due dates: reads and formats them, and counts days from them.

use chrono::{Datelike, NaiveDate};

/// Reads an ISO 8601 date such as `2026-11-10`, of the years 2000 to 2100. A date such as `10/11/2026` is refused,
/// because countries read it differently.
pub fn parse_due_date(text: &str) -> Result<NaiveDate, DueDateError> {
    if text.is_empty() {
        return Err(DueDateError::Empty);
    }
    let parts = numbers(text, '-', [4, 2, 2]).ok_or_else(|| DueDateError::malformed(text))?;
    let date = calendar_date(parts).ok_or_else(|| DueDateError::NoSuchDay { text: text.to_owned() })?;
    if (2000..=2100).contains(&date.year()) { Ok(date) } else { Err(DueDateError::OutOfRange) }
}

/// The form in messages: `10/11/2026`.
pub fn format_date_br(date: NaiveDate) -> String {
    date.format("%d/%m/%Y").to_string()
}

/// Days since the due date; zero until the day after it.
pub fn days_late(due: NaiveDate, today: NaiveDate) -> u32 {
    u32::try_from((today - due).num_days()).unwrap_or(0)
}

/// Days until the due date; zero from that day on.
pub fn days_until_due(due: NaiveDate, today: NaiveDate) -> u32 {
    days_late(today, due)
}

fn numbers(text: &str, separator: char, widths: [usize; 3]) -> Option<[u32; 3]> {
    let mut parts = text.split(separator);
    let mut numbers = [0; 3];
    for (number, width) in numbers.iter_mut().zip(widths) {
        let part = parts.next().filter(|part| part.len() == width && part.bytes().all(|byte| byte.is_ascii_digit()))?;
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(numbers)
}

fn calendar_date([year, month, day]: [u32; 3]) -> Option<NaiveDate> {
    NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day)
}

input_error! {
    /// Why a text is not a due date. `suggestion` is the same day in the expected form where it is recognised, else an
    /// example.
    pub enum DueDateError {
        Empty = "due_date_empty", "the due date is empty";
        Malformed { text: String, suggestion: String } = "due_date_malformed",
            "the due date {text:?} is not in the form YYYY-MM-DD, such as {suggestion:?}";
        NoSuchDay { text: String } = "due_date_no_such_day", "there is no day {text}";
        OutOfRange = "due_date_out_of_range", "the due date is not between 2000 and 2100";
    }
}

impl DueDateError {
    fn malformed(text: &str) -> Self {
        let brazilian = numbers(text, '/', [2, 2, 4]);
        let day = brazilian.map(|[day, month, year]| (format!("{year:04}-{month:02}-{day:02}"), [year, month, day]));
        match day {
            Some((iso, parts)) if calendar_date(parts).is_some() => {
                Self::Malformed { text: text.to_owned(), suggestion: iso }
            }
            Some(_) => Self::NoSuchDay { text: text.to_owned() },
            None => Self::Malformed {
                text: text.chars().filter(|shown| !shown.is_control()).take(30).collect(),
                suggestion: "2026-11-10".to_owned(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Text;

    fn day(text: &str) -> NaiveDate {
        parse_due_date(text).unwrap()
    }

    #[test]
    fn only_iso_dates_are_read() {
        for (text, code) in [
            ("", "due_date_empty"),
            ("31/02/2026", "due_date_no_such_day"),
            ("2026-02-31", "due_date_no_such_day"),
            ("2026-13-01", "due_date_no_such_day"),
            ("2025-02-29", "due_date_no_such_day"),
            ("10/11/2026", "due_date_malformed"),
            ("2026-1-1", "due_date_malformed"),
            ("20261110", "due_date_malformed"),
            ("2026-11-10T00:00:00Z", "due_date_malformed"),
            (" 2026-11-10", "due_date_malformed"),
            ("+026-11-10", "due_date_malformed"),
            ("amanhã", "due_date_malformed"),
            ("1999-12-31", "due_date_out_of_range"),
            ("2101-01-01", "due_date_out_of_range"),
        ] {
            assert_eq!(parse_due_date(text).unwrap_err().code(), code, "{text}");
        }
        assert_eq!(format_date_br(day("2026-11-10")), "10/11/2026");
        assert_eq!(format_date_br(day("2024-02-29")), "29/02/2024");
    }

    #[test]
    fn explanation_shows_a_local_date_in_the_expected_form() {
        let error = parse_due_date("10/11/2026").unwrap_err();
        let expected = Text::of("due-date-malformed").with("text", "10/11/2026").with("suggestion", "2026-11-10");
        assert_eq!(error.text(), expected);
    }

    #[test]
    fn days_are_counted_from_the_due_date_and_are_never_negative() {
        for (due, today, late, until) in [
            ("2026-11-10", "2026-11-21", 11, 0),
            ("2026-11-21", "2026-11-21", 0, 0),
            ("2026-12-01", "2026-11-21", 0, 10),
            ("2024-02-28", "2024-03-01", 2, 0),
        ] {
            assert_eq!((days_late(day(due), day(today)), days_until_due(day(due), day(today))), (late, until));
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,20}") {
            let _ = parse_due_date(&text).map_err(|error| error.text());
        }

        #[test]
        fn due_date_is_never_late_and_early_at_once(due in 0_i32..36_000, today in 0_i32..36_000) {
            let date = |days: i32| NaiveDate::from_num_days_from_ce_opt(730_120 + days).unwrap();
            prop_assert!(days_late(date(due), date(today)) == 0 || days_until_due(date(due), date(today)) == 0);
        }
    }
}
