//! Tables of dates as ERPs, spreadsheets and programs write them: one line for each kind.

use proptest::prelude::*;

use super::*;
use crate::Argument;
use crate::campaigns::meant::remedy_values;

fn day(text: &str) -> NaiveDate {
    parse_due_date(text).unwrap()
}

fn read(text: &str) -> Result<String, DueDateError> {
    read_due_date(text).map(|reading| {
        assert!(reading.warnings.is_empty(), "{text:?}");
        reading.value.to_string()
    })
}

#[test]
fn dates_are_read() {
    for (text, expected) in [
        ("2026-11-10", "2026-11-10"),
        ("2026-11-10 ", "2026-11-10"),
        ("\u{feff}2026-11-10\t\r\n", "2026-11-10"),
        ("2026-1-5", "2026-01-05"),
        ("2026/11/10", "2026-11-10"),
        ("2026.11.10", "2026-11-10"),
        ("20261005", "2026-10-05"),
        ("20201112", "2020-11-12"),
        ("2026-10-05T00:00:00", "2026-10-05"),
        ("2026-10-05 00:00:00", "2026-10-05"),
        ("2026-10-05T00:00:00.000", "2026-10-05"),
        ("2026-10-05 00:00:00.0000000", "2026-10-05"),
        ("2026-10-05T00:00", "2026-10-05"),
        ("20261005 00:00:00", "2026-10-05"),
        // The day is before the month.
        ("10/11/2026", "2026-11-10"),
        ("05/12/2026", "2026-12-05"),
        ("5/12/2026", "2026-12-05"),
        ("5/2/2026", "2026-02-05"),
        ("25/12/2026", "2026-12-25"),
        ("10-11-2026", "2026-11-10"),
        ("10.11.2026", "2026-11-10"),
        ("05/12/2026 00:00:00", "2026-12-05"),
        ("05/12/2026  0:00", "2026-12-05"),
        ("05122026", "2026-12-05"),
        ("20122026", "2026-12-20"),
        ("29/02/2024", "2024-02-29"),
        ("2000-01-01", "2000-01-01"),
        ("31/12/2100", "2100-12-31"),
    ] {
        assert_eq!(read(text).as_deref(), Ok(expected), "{text:?}");
    }
    assert_eq!(format_date_br(day("2026-11-10")), "10/11/2026");
    assert_eq!(format_date_br(day("29/02/2024")), "29/02/2024");
}

#[test]
fn refused_dates_show_their_reason_and_the_days_that_are_meant() {
    let cases: &[(&str, &str, &[&str])] = &[
        // Day and month swapped.
        ("12/25/2026", "due_date_swapped", &["2026-12-25"]),
        ("12-25-2026 00:00:00", "due_date_swapped", &["2026-12-25"]),
        ("2026-25-12", "due_date_swapped", &["2026-12-25"]),
        // A time.
        ("2026-12-05T03:00:00", "due_date_time", &["2026-12-05"]),
        ("05/12/2026 23:59", "due_date_time", &["2026-12-05"]),
        ("12/5/2026 12:00:00 AM", "due_date_time", &["2026-05-12", "2026-12-05"]),
        ("12/25/2026 12:00:00 AM", "due_date_swapped", &["2026-12-25"]),
        // A time with an offset: by the time of São Paulo, and as it is written where that differs.
        ("2026-12-05T03:00:00.000Z", "due_date_offset", &["2026-12-05"]),
        ("2026-12-05T00:00:00Z", "due_date_offset", &["2026-12-04", "2026-12-05"]),
        ("2026-12-05T00:00:00.000+00:00", "due_date_offset", &["2026-12-04", "2026-12-05"]),
        ("2026-12-05 00:00:00 UTC", "due_date_offset", &["2026-12-04", "2026-12-05"]),
        ("2026-12-05T00:00:00-03:00", "due_date_offset", &["2026-12-05"]),
        ("2026-12-05 00:00:00 -0300", "due_date_offset", &["2026-12-05"]),
        ("2026-12-05 00:00:00+00", "due_date_offset", &["2026-12-04", "2026-12-05"]),
        ("2026-12-05T00:00Z", "due_date_offset", &["2026-12-04", "2026-12-05"]),
        ("2018-12-05T02:00:00Z", "due_date_offset", &["2018-12-05"]),
        // A year of two digits.
        ("5/12/26", "due_date_two_digit_year", &["2026-12-05"]),
        ("05.12.26", "due_date_two_digit_year", &["2026-12-05"]),
        ("05-12-26", "due_date_two_digit_year", &["2026-12-05", "2005-12-26"]),
        ("26-12-05", "due_date_two_digit_year", &["2005-12-26", "2026-12-05"]),
        ("31-12-26", "due_date_two_digit_year", &["2026-12-31", "2031-12-26"]),
        ("051226", "due_date_two_digit_year", &["2026-12-05", "2005-12-26"]),
        ("12/25/26", "due_date_two_digit_year", &["2026-12-25"]),
        ("5/12/26 00:00", "due_date_two_digit_year", &["2026-12-05"]),
        ("05/dez/26", "due_date_two_digit_year", &["2026-12-05"]),
        ("0026-12-05", "due_date_two_digit_year", &["2026-12-05"]),
        ("05/12/0026", "due_date_two_digit_year", &["2026-12-05"]),
        // A spreadsheet's number of a day.
        ("46361", "due_date_serial", &["2026-12-05"]),
        ("46361.0", "due_date_serial", &["2026-12-05"]),
        ("46361,5", "due_date_serial", &["2026-12-05"]),
        ("36526", "due_date_serial", &["2000-01-01"]),
        ("73415", "due_date_serial", &["2100-12-31"]),
        ("36525", "due_date_malformed", &[]),
        ("73416", "due_date_malformed", &[]),
        // Days that do not exist.
        ("31/02/2026", "due_date_no_such_day", &["2026-02-28"]),
        ("2024-02-31", "due_date_no_such_day", &["2024-02-29"]),
        ("31/11/2026", "due_date_no_such_day", &["2026-11-30"]),
        ("2026-13-32", "due_date_no_such_day", &[]),
        ("00/12/2026", "due_date_no_such_day", &[]),
        ("0000-00-00", "due_date_no_such_day", &[]),
        ("00/00/0000", "due_date_no_such_day", &[]),
        // Years.
        ("1999-12-31", "due_date_out_of_range", &[]),
        ("01/01/2101", "due_date_out_of_range", &[]),
        ("1900-01-01 00:00:00", "due_date_out_of_range", &[]),
        // Other texts.
        ("", "due_date_empty", &[]),
        ("amanhã", "due_date_malformed", &[]),
        ("05/OUT/2026", "due_date_malformed", &["2026-10-05"]),
        ("5-Dec-2026", "due_date_malformed", &["2026-12-05"]),
        ("2026-12-05 (sábado)", "due_date_malformed", &["2026-12-05"]),
        ("05/12-2026", "due_date_malformed", &[]),
        ("5/12", "due_date_malformed", &[]),
        ("+026-11-10", "due_date_malformed", &[]),
    ];
    for (text, code, expected) in cases {
        let error = read(text).unwrap_err();
        assert_eq!((error.code(), remedy_values(&error.text()).as_slice()), (*code, *expected), "{text:?}");
    }
}

#[test]
fn long_date_is_refused_by_its_length() {
    for text in ["0", "-", "T", "1T", "/", "2026-", "1 "] {
        let midnight = format!("2026-11-10T00:00:00.{}", text.repeat(1 << 20));
        for text in [text.repeat(1 << 20), midnight] {
            let error = read(&text).unwrap_err();
            assert_eq!((error.code(), remedy_values(&error.text()).len()), ("due_date_malformed", 0), "{text:.40?}");
        }
    }
}

#[test]
fn only_the_text_for_the_caller_repeats_a_refused_text() {
    let error = read("Maria 11988887777").unwrap_err();
    assert!(!format!("{error} {error:?}").contains("Maria"), "{error:?}");
    assert!(error.text().arguments().contains(&("text", Argument::Data("Maria 11988887777".to_owned()))));
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

const FORMS: [&str; 16] = [
    "%Y-%m-%d",
    "%Y-%m-%dT00:00:00",
    "%Y-%m-%d 00:00:00.000",
    "%Y-%-m-%-d",
    "%Y/%m/%d",
    "%Y%m%d",
    "%d/%m/%Y",
    "%-d/%-m/%Y",
    "%d/%m/%Y 00:00",
    "%d-%m-%Y",
    "%-d-%-m-%Y",
    "%d.%m.%Y",
    "%-d.%m.%Y",
    "%d%m%Y",
    "  %d/%m/%Y\u{a0}",
    "%d/%m/%Y 00:00:00",
];

/// Days of 2000 to 2100, counted from the first.
fn any_day() -> impl Strategy<Value = NaiveDate> {
    (0_i32..36_890).prop_map(|days| NaiveDate::from_num_days_from_ce_opt(730_120 + days).unwrap())
}

proptest! {
    #[test]
    fn day_in_each_form_is_read_as_the_same_day(day in any_day()) {
        for form in FORMS {
            let text = day.format(form).to_string();
            prop_assert_eq!(parse_due_date(&text), Ok(day), "{:?}", text);
        }
    }

    #[test]
    fn refused_form_shows_the_day_that_is_meant(day in any_day()) {
        for form in ["%d/%m/%y", "%d-%m-%y", "%y-%m-%d", "%d/%b/%Y", "%FT12:00:00Z", "%F 08:30", "%m/%d/%Y 12:00:00 AM"] {
            let text = day.format(form).to_string();
            let error = parse_due_date(&text).unwrap_err();
            let (shown, day) = (error.text(), day.to_string());
            prop_assert!(remedy_values(&shown).contains(&&*day) || day.starts_with("2100"), "{:?}: {:?}", text, shown);
        }
    }

    #[test]
    fn no_text_panics(any in any::<String>(), like in "[0-9]{0,6}[-/. T][0-9jan]{0,4}[-/. :][0-9]{0,5}[ T:.0-9ZAPM+-]{0,20}") {
        for text in [any, like] {
            let _ = read_due_date(&text).map_err(|error| (error.text(), error.to_string()));
        }
    }

    #[test]
    fn due_date_is_never_late_and_early_at_once(due in any_day(), today in any_day()) {
        prop_assert!(days_late(due, today) == 0 || days_until_due(due, today) == 0);
    }
}
