//! Due dates: reads and formats them, and counts days from them. `written_day` reads a day, `clock` the time after it.

mod clock;
mod written_day;

use chrono::NaiveDate;

use self::clock::read_clock;
use self::written_day::read_day;
use super::meant::Meant;
use super::quoted::Quoted;
use crate::{Reading, Text, trim_blanks};

/// Bytes of a text that may be a date.
const MAX_TEXT: usize = 40;

/// Reads a day of the years 2000 to 2100 as people and ERPs write it: `2026-11-10`, also with the midnight that programs
/// add, `10/11/2026`, `10.11.2026`, `5-1-2026`, `2026/11/10`, `20261110`, `10112026`. The day is before the month, as in
/// Brazil. No date has a warning.
pub fn read_due_date(text: &str) -> Result<Reading<NaiveDate>, DueDateError> {
    parse_due_date(text).map(Reading::certain)
}

/// [`read_due_date`] without the warnings.
pub fn parse_due_date(text: &str) -> Result<NaiveDate, DueDateError> {
    let text = trim_blanks(text);
    if text.is_empty() {
        return Err(DueDateError::Empty);
    }
    if text.len() > MAX_TEXT {
        return Err(DueDateError::Malformed { text: Quoted::new(text), days: Meant::from_iter(None) });
    }
    let (day, clock) = split_clock(text);
    read_day(day, text).and_then(|day| read_clock(day, clock, text))
}

/// A `T` or a blank after a digit begins the time: `2026-10-05T00:00:00`. That of `05/OUT/2026` does not.
fn split_clock(text: &str) -> (&str, &str) {
    let is_border = |other: char| matches!(other, 'T' | 't') || other.is_whitespace();
    let mut borders = text.match_indices(is_border).map(|(at, _)| text.split_at(at));
    let split = borders.find(|(day, _)| day.ends_with(|last: char| last.is_ascii_digit()));
    split.map_or((text, ""), |(day, clock)| (day, trim_blanks(clock.trim_start_matches(is_border))))
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

input_error! {
    /// Why a text is not a due date.
    pub enum DueDateError {
        Empty = "due_date_empty", "the due date is empty";
        Malformed { text: Quoted, days: Meant<NaiveDate> } = "due_date_malformed",
            "the due date is not in a known form",
            with_text remedy = days.text_or(Text::of("due-date-form"));
        Swapped { text: Quoted, days: Meant<NaiveDate> } = "due_date_swapped",
            "day and month of the due date are swapped",
            with_text remedy = days.text_or(Text::of("due-date-form"));
        NoSuchDay { text: Quoted, days: Meant<NaiveDate> } = "due_date_no_such_day",
            "the due date is not in the calendar",
            with_text remedy = days.text_or(Text::of("due-date-form"));
        TwoDigitYear { text: Quoted, days: Meant<NaiveDate> } = "due_date_two_digit_year",
            "the year of the due date has no century",
            with_text remedy = days.text_or(Text::of("due-date-form"));
        Serial { text: Quoted, days: Meant<NaiveDate> } = "due_date_serial",
            "the due date is the number of a day in a spreadsheet",
            with_text remedy = days.text_or(Text::of("due-date-form"));
        Time { text: Quoted, days: Meant<NaiveDate> } = "due_date_time", "the due date has a time",
            with_text remedy = days.text_or(Text::of("due-date-form"));
        Offset { text: Quoted, local: NaiveDate, written: NaiveDate } = "due_date_offset",
            "the due date has a time with an offset",
            with_text remedy = days_of_offset(*local, *written);
        OutOfRange = "due_date_out_of_range", "the due date is not between 2000 and 2100";
    }
}

fn days_of_offset(local: NaiveDate, written: NaiveDate) -> Text {
    if local == written {
        return Meant::from_iter([local]).text_or(Text::of("due-date-form"));
    }
    Text::of("due-date-local-or-written").with("local", local).with("written", written)
}

#[cfg(test)]
mod tests;
