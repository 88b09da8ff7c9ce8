//! A tenant's business hours, in local time of the tenant's zone, so that 08:00 stays 08:00 when summer time begins.

mod holidays;
mod interval;

use std::collections::BTreeSet;

use chrono::{
    DateTime, Datelike, Days, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeDelta, TimeZone, Timelike, Utc,
};
use chrono_tz::Tz;

pub use holidays::{is_national_holiday, national_holidays};
pub use interval::{DEFAULT_HOURS, OpenInterval, OpenIntervalError};

/// Days in which an opening is searched.
const HORIZON_DAYS: u64 = 370;

/// Business hours with their holidays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calendar {
    /// The IANA zone of the hours.
    pub time_zone: Tz,
    /// Open hours; several intervals a day are allowed, in any order.
    pub hours: Vec<OpenInterval>,
    /// Closed days of the tenant.
    pub holidays: BTreeSet<NaiveDate>,
    /// Whether Brazil's national holidays are closed.
    pub national_holidays: bool,
}

impl Default for Calendar {
    /// [`DEFAULT_HOURS`] in São Paulo, closed on national holidays.
    fn default() -> Self {
        Self {
            time_zone: Tz::America__Sao_Paulo,
            hours: DEFAULT_HOURS.to_vec(),
            holidays: BTreeSet::new(),
            national_holidays: true,
        }
    }
}

impl Calendar {
    /// Open at every hour. The zone decides the tenant's date.
    pub fn always_open(time_zone: Tz) -> Self {
        let hours = (1..=7).map(OpenInterval::whole_day).collect();
        Self { time_zone, hours, holidays: BTreeSet::new(), national_holidays: false }
    }

    /// Whether `now` is in open hours. The closing minute is closed.
    pub fn is_open(&self, now: DateTime<Utc>) -> bool {
        let local = now.with_timezone(&self.time_zone).naive_local();
        let minute = local.hour() * 60 + local.minute();
        !self.is_holiday(local.date()) && self.hours_of(local.date()).any(|interval| interval.contains(minute))
    }

    /// The first open instant at or after `from`; `None` when there is none within a year.
    pub fn next_open(&self, from: DateTime<Utc>) -> Option<DateTime<Utc>> {
        if self.is_open(from) {
            return Some(from);
        }
        let today = self.today(from);
        (0..=HORIZON_DAYS).find_map(|days| self.first_open_on(today.checked_add_days(Days::new(days))?, from))
    }

    /// The tenant's date at `now`.
    pub fn today(&self, now: DateTime<Utc>) -> NaiveDate {
        now.with_timezone(&self.time_zone).date_naive()
    }

    /// The beginning of the tenant's next date, at which a daily cap is reset.
    pub fn tomorrow(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.start_of_day(self.today(now).succ_opt()?)
    }

    fn is_holiday(&self, date: NaiveDate) -> bool {
        self.holidays.contains(&date) || (self.national_holidays && is_national_holiday(date))
    }

    fn hours_of(&self, date: NaiveDate) -> impl Iterator<Item = &OpenInterval> {
        let weekday = date.weekday().number_from_monday();
        self.hours.iter().filter(move |interval| u32::from(interval.weekday()) == weekday)
    }

    fn first_open_on(&self, date: NaiveDate, from: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let begins = self.start_of_day(date)?;
        let ends = self.start_of_day(date.succ_opt()?)?;
        let offset = self.offset_at(begins);
        if offset != self.offset_at(ends - TimeDelta::seconds(1)) {
            return self.first_open_minute(begins.max(from), ends);
        }
        let midnight = date.and_time(NaiveTime::MIN).and_utc() - offset;
        self.hours_of(date)
            .map(|interval| (midnight + TimeDelta::minutes(interval.opens_minute().into())).max(begins))
            .filter(|instant| *instant >= from && self.is_open(*instant))
            .min()
    }

    /// Checks each minute: for days on which the clocks change, and an hour is missing or repeated.
    fn first_open_minute(&self, from: DateTime<Utc>, until: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let whole = from.with_second(0)?.with_nanosecond(0)?;
        let first = if whole == from { whole } else { whole + TimeDelta::minutes(1) };
        let minutes = (until - first).num_minutes();
        (0..=minutes).map(|minute| first + TimeDelta::minutes(minute)).find(|instant| self.is_open(*instant))
    }

    fn offset_at(&self, instant: DateTime<Utc>) -> TimeDelta {
        let offset = self.time_zone.offset_from_utc_datetime(&instant.naive_utc()).fix();
        TimeDelta::seconds(i64::from(offset.local_minus_utc()))
    }

    /// The first instant of a date: the end of the gap where clocks go forward at midnight.
    fn start_of_day(&self, date: NaiveDate) -> Option<DateTime<Utc>> {
        let midnight = NaiveDateTime::new(date, NaiveTime::MIN);
        (0..=25 * 4).find_map(|quarter| {
            let local = midnight.checked_add_signed(TimeDelta::minutes(15 * quarter))?;
            let instant = self.time_zone.from_local_datetime(&local).earliest()?;
            Some(instant.with_timezone(&Utc))
        })
    }
}

#[cfg(test)]
mod tests;
