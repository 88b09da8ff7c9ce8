//! Brazil's national holidays. Carnival and Corpus Christi are not holidays by law; tenants may add them.

use chrono::{Datelike, NaiveDate, TimeDelta};

/// Month and day of the fixed holidays (laws 662/1949, 6.802/1980 and 10.607/2002).
const FIXED: [(u32, u32); 8] = [(1, 1), (4, 21), (5, 1), (9, 7), (10, 12), (11, 2), (11, 15), (12, 25)];
/// Zumbi and black awareness day, national since law 14.759/2023.
const BLACK_AWARENESS: (u32, u32) = (11, 20);
const BLACK_AWARENESS_SINCE: i32 = 2024;

/// The national holidays of a year, in order.
pub fn national_holidays(year: i32) -> Vec<NaiveDate> {
    let first = NaiveDate::from_ymd_opt(year, 1, 1);
    let days = first.into_iter().flat_map(|first| first.iter_days().take_while(move |day| day.year() == year));
    days.filter(|day| is_national_holiday(*day)).collect()
}

/// Whether the date is a national holiday in Brazil.
pub fn is_national_holiday(date: NaiveDate) -> bool {
    let day = (date.month(), date.day());
    FIXED.contains(&day)
        || (day == BLACK_AWARENESS && date.year() >= BLACK_AWARENESS_SINCE)
        || (matches!(day.0, 3 | 4) && good_friday(date.year()) == Some(date))
}

/// Two days before Easter, by the Gregorian computus (Meeus, Jones and Butcher).
fn good_friday(year: i32) -> Option<NaiveDate> {
    let (golden, century, of_century) = (year.rem_euclid(19), year.div_euclid(100), year.rem_euclid(100));
    let correction = (8 * century + 13) / 25;
    let epact = (19 * golden + century - century / 4 - correction + 15).rem_euclid(30);
    let weekday = (32 + 2 * (century % 4) + 2 * (of_century / 4) - epact - of_century % 4).rem_euclid(7);
    let exception = (golden + 11 * epact + 22 * weekday) / 451;
    let days = epact + weekday - 7 * exception + 114;
    let easter = NaiveDate::from_ymd_opt(year, u32::try_from(days / 31).ok()?, u32::try_from(days % 31 + 1).ok()?)?;
    easter.checked_sub_signed(TimeDelta::days(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_friday_follows_easter() {
        for text in [
            "2000-04-21",
            "2008-03-21",
            "2011-04-22",
            "2024-03-29",
            "2025-04-18",
            "2026-04-03",
            "2038-04-23",
            "2100-03-26",
        ] {
            let date: NaiveDate = text.parse().unwrap();
            assert_eq!(good_friday(date.year()), Some(date));
        }
    }

    #[test]
    fn twentieth_of_november_is_a_holiday_since_2024() {
        assert_eq!(national_holidays(2023).len(), 9);
        let days: Vec<String> = national_holidays(2026).iter().map(|day| day.format("%m-%d").to_string()).collect();
        assert_eq!(days, ["01-01", "04-03", "04-21", "05-01", "09-07", "10-12", "11-02", "11-15", "11-20", "12-25"]);
    }
}
