//! A day as people and ERPs write it, and the days that a refused text may mean.

use std::ops::RangeInclusive;

use chrono::{Days, NaiveDate};

use super::DueDateError;
use crate::campaigns::meant::Meant;
use crate::campaigns::quoted::Quoted;

const YEARS: RangeInclusive<u32> = 2000..=2100;
/// The days of [`YEARS`] as spreadsheets count them, from [`SERIAL_ZERO`].
const SERIALS: RangeInclusive<u64> = 36_526..=73_415;
/// Day 60 of spreadsheets is 1900-02-29, which does not exist: later numbers are higher by one.
const SERIAL_ZERO: Option<NaiveDate> = NaiveDate::from_ymd_opt(1899, 12, 30);
/// The first letters in Portuguese and English.
const MONTHS: [&str; 12] =
    ["jan", "fev feb", "mar", "abr apr", "mai may", "jun", "jul", "ago aug", "set sep", "out oct", "nov", "dez dec"];

/// Reads `day`, which is the whole `text` or what is before its time.
pub(super) fn read_day(day: &str, text: &str) -> Result<NaiveDate, DueDateError> {
    let quoted = Quoted::new(text);
    if let Some(day) = read_serial(day) {
        return Err(DueDateError::Serial { text: quoted, days: Meant::from_iter([day]) });
    }
    match Written::read(day) {
        None => Err(DueDateError::Malformed { text: quoted, days: Meant::from_iter(None) }),
        Some(written) if written.year < 100 => Err(written.two_digit_year(quoted)),
        Some(written) => written.four_digit_year(quoted),
    }
}

/// Three numbers in the order of a text: the year is first or last, and the day is before the month only where the year
/// is last.
#[derive(Clone, Copy)]
struct Written {
    year: u32,
    month: u32,
    day: u32,
    has_month_name: bool,
    /// Year, month and day where a year of two digits is first: `26-12-05`.
    year_first: Option<[u32; 3]>,
}

impl Written {
    fn read(day: &str) -> Option<Self> {
        let [first, second, third] = split(day)?;
        let is_year_first = first.len() == 4;
        let (year, last) = if is_year_first { (first, third) } else { (third, first) };
        if !matches!(year.len(), 1 | 2 | 4) || last.len() > 2 {
            return None;
        }
        let month = number(second).filter(|_| second.len() <= 2);
        let name = || month_by_name(second);
        let (year, month_number, last_number) = (number(year)?, month.or_else(name)?, number(last)?);
        let may_begin_with_year = first.len() == 2 && (day.contains('-') || is_digits(day));
        Some(Self {
            year,
            month: month_number,
            day: last_number,
            has_month_name: month.is_none(),
            year_first: may_begin_with_year.then_some([last_number, month_number, year]),
        })
    }

    fn four_digit_year(self, text: Quoted) -> Result<NaiveDate, DueDateError> {
        let Self { year, month, day, has_month_name, .. } = self;
        if !YEARS.contains(&year) {
            return Err(DueDateError::OutOfRange);
        }
        match (calendar_day(year, month, day), calendar_day(year, day, month)) {
            (Some(found), _) if has_month_name => {
                Err(DueDateError::Malformed { text, days: Meant::from_iter([found]) })
            }
            (Some(found), _) => Ok(found),
            (None, Some(american)) => Err(DueDateError::Swapped { text, days: Meant::from_iter([american]) }),
            (None, None) => {
                let last_of_month = || (28..=31).rev().find_map(|last| calendar_day(year, month, last));
                let days = (29..=31).contains(&day).then(last_of_month).flatten().into_iter().collect();
                Err(DueDateError::NoSuchDay { text, days })
            }
        }
    }

    /// The month is before the day only where no other day exists.
    fn two_digit_year(self, text: Quoted) -> DueDateError {
        let Self { year, month, day, year_first, .. } = self;
        let in_century = |[year, month, day]: [u32; 3]| calendar_day(2000 + year, month, day);
        let days = [Some([year, month, day]), year_first].into_iter().flatten().filter_map(in_century);
        let days: Vec<_> = days.collect();
        let american = in_century([year, day, month]).filter(|_| days.is_empty());
        let days: Meant<_> = days.into_iter().chain(american).collect();
        if days.values().is_empty() {
            DueDateError::NoSuchDay { text, days }
        } else {
            DueDateError::TwoDigitYear { text, days }
        }
    }
}

/// The parts of `05/12/2026`, `20261205`, `05122026` and `051226`.
fn split(day: &str) -> Option<[&str; 3]> {
    if is_digits(day) {
        return match day.len() {
            // No month is 20 or 21, so these digits are the beginning of a year.
            8 if ["20", "21"].contains(&&day[4..6]) => Some([&day[..2], &day[2..4], &day[4..]]),
            8 => Some([&day[..4], &day[4..6], &day[6..]]),
            6 => Some([&day[..2], &day[2..4], &day[4..]]),
            _ => None,
        };
    }
    let separator = day.chars().find(|other| matches!(other, '-' | '/' | '.'))?;
    let parts: Vec<_> = day.split(separator).collect();
    parts.try_into().ok()
}

fn read_serial(day: &str) -> Option<NaiveDate> {
    let whole = day.find(['.', ',']).map_or(day, |at| &day[..at]);
    let fraction = &day[whole.len()..];
    let is_number = whole.len() == 5 && is_digits(whole) && (fraction.is_empty() || is_digits(&fraction[1..]));
    let serial = whole.parse().ok().filter(|serial| is_number && SERIALS.contains(serial))?;
    SERIAL_ZERO?.checked_add_days(Days::new(serial))
}

fn calendar_day(year: u32, month: u32, day: u32) -> Option<NaiveDate> {
    NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day)
}

fn month_by_name(name: &str) -> Option<u32> {
    let beginning = name.get(..3)?.to_lowercase();
    let index = MONTHS.iter().position(|names| names.split(' ').any(|name| name == beginning))?;
    u32::try_from(index + 1).ok()
}

fn number(digits: &str) -> Option<u32> {
    digits.parse().ok().filter(|_| is_digits(digits))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}
