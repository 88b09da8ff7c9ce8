//! Tables and properties of hours, also over clock changes.

use proptest::prelude::*;

use super::*;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn calendar(time_zone: Tz, hours: &[(u8, u16, u16)]) -> Calendar {
    let hours = hours.iter().map(|&(day, opens, closes)| OpenInterval::new(day, opens, closes).unwrap()).collect();
    Calendar { time_zone, hours, holidays: BTreeSet::new(), national_holidays: false }
}

fn every_day(time_zone: Tz, opens: u16, closes: u16) -> Calendar {
    calendar(time_zone, &(1..=7).map(|day| (day, opens, closes)).collect::<Vec<_>>())
}

/// The instant is the first one after open hours.
fn assert_closes(calendar: &Calendar, closes: &str) {
    assert!(calendar.is_open(at(closes) - TimeDelta::seconds(1)) && !calendar.is_open(at(closes)), "{closes}");
}

#[test]
fn default_hours_are_eight_to_eighteen_on_work_days_in_sao_paulo() {
    let calendar = Calendar::default();
    for (now, open, next) in [
        ("2026-11-23T10:59:59Z", false, "2026-11-23T11:00:00Z"),
        ("2026-11-23T11:00:00Z", true, "2026-11-23T11:00:00Z"),
        ("2026-11-23T20:59:59Z", true, "2026-11-23T20:59:59Z"),
        ("2026-11-23T21:00:00Z", false, "2026-11-24T11:00:00Z"),
        ("2026-11-21T15:00:00Z", false, "2026-11-23T11:00:00Z"), // Saturday
        ("2026-11-20T15:00:00Z", false, "2026-11-23T11:00:00Z"), // national holiday on a Friday
        ("2026-04-03T15:00:00Z", false, "2026-04-06T11:00:00Z"), // Good Friday
    ] {
        assert_eq!(calendar.is_open(at(now)), open, "{now}");
        assert_eq!(calendar.next_open(at(now)), Some(at(next)), "{now}");
    }
    assert_closes(&calendar, "2026-11-23T21:00:00Z");
}

#[test]
fn lunch_break_and_midnight_are_bounds() {
    let lunch = calendar(Tz::America__Sao_Paulo, &[(1, 780, 1080), (1, 480, 720)]);
    assert_eq!(lunch.next_open(at("2026-11-23T15:00:00Z")), Some(at("2026-11-23T16:00:00Z")));
    assert_closes(&lunch, "2026-11-23T15:00:00Z");
    let night = calendar(Tz::America__Sao_Paulo, &[(1, 1320, 1440), (2, 0, 120)]);
    assert!(night.is_open(at("2026-11-24T02:59:59Z")));
    assert!(night.is_open(at("2026-11-24T03:00:00Z")));
    assert_closes(&night, "2026-11-24T05:00:00Z");
}

#[test]
fn holiday_of_the_tenant_is_closed() {
    let mut calendar = Calendar::default();
    calendar.holidays.insert("2026-11-23".parse().unwrap());
    assert_eq!(calendar.next_open(at("2026-11-23T12:00:00Z")), Some(at("2026-11-24T11:00:00Z")));
}

#[test]
fn hours_that_never_open_have_no_next_opening() {
    let now = at("2026-11-23T12:00:00Z");
    let never = calendar(Tz::UTC, &[]);
    assert_eq!((never.next_open(now), never.is_open(now)), (None, false));
    let always = Calendar::always_open(Tz::America__Sao_Paulo);
    assert_eq!((always.next_open(now), always.is_open(now)), (Some(now), true));
}

#[test]
fn today_and_tomorrow_are_dates_of_the_tenant() {
    let calendar = Calendar::default();
    assert_eq!(calendar.today(at("2026-11-23T02:59:59Z")).to_string(), "2026-11-22");
    assert_eq!(calendar.tomorrow(at("2026-11-23T02:59:59Z")), Some(at("2026-11-23T03:00:00Z")));
}

#[test]
fn skipped_hour_opens_after_the_clock_change() {
    let new_york = every_day(Tz::America__New_York, 150, 240); // 02:30 to 04:00; 02:00 becomes 03:00
    assert_eq!(new_york.next_open(at("2026-03-08T05:00:00Z")), Some(at("2026-03-08T07:00:00Z")));
    assert_closes(&new_york, "2026-03-08T08:00:00Z");
    let lost = every_day(Tz::America__New_York, 130, 170); // wholly inside the gap
    assert_eq!(lost.next_open(at("2026-03-08T05:00:00Z")), Some(at("2026-03-09T06:10:00Z")));
    let sao_paulo = every_day(Tz::America__Sao_Paulo, 0, 120); // in 2018 the gap began at midnight
    assert_eq!(sao_paulo.next_open(at("2018-11-03T12:00:00Z")), Some(at("2018-11-04T03:00:00Z")));
    assert_eq!(sao_paulo.tomorrow(at("2018-11-03T12:00:00Z")), Some(at("2018-11-04T03:00:00Z")));
}

#[test]
fn repeated_hour_is_open_twice() {
    let new_york = every_day(Tz::America__New_York, 30, 75); // 00:30 to 01:15; 02:00 becomes 01:00
    assert_closes(&new_york, "2026-11-01T05:15:00Z");
    assert_eq!(new_york.next_open(at("2026-11-01T05:20:00Z")), Some(at("2026-11-01T06:00:00Z")));
    assert_closes(&new_york, "2026-11-01T06:15:00Z");
    let sao_paulo = every_day(Tz::America__Sao_Paulo, 1380, 1410); // 23:00 came twice on 16 February 2019
    assert_eq!(sao_paulo.next_open(at("2019-02-17T01:40:00Z")), Some(at("2019-02-17T02:00:00Z")));
}

fn any_calendar() -> impl Strategy<Value = Calendar> {
    let zones = [Tz::America__Sao_Paulo, Tz::America__New_York, Tz::Asia__Kolkata, Tz::Australia__Lord_Howe, Tz::UTC];
    let interval =
        (1_u8..=7, 0_u16..1440, 1_u16..=720).prop_map(|(day, opens, length)| (day, opens, (opens + length).min(1440)));
    (prop::sample::select(zones.to_vec()), prop::collection::vec(interval, 0..8), any::<bool>())
        .prop_map(|(zone, hours, national_holidays)| Calendar { national_holidays, ..calendar(zone, &hours) })
}

/// Instants in the years 2015 to 2027, which have every kind of clock change of these zones.
fn any_instant() -> impl Strategy<Value = DateTime<Utc>> {
    (1_420_070_400_i64..1_800_000_000).prop_map(|seconds| DateTime::from_timestamp(seconds, 0).unwrap())
}

proptest! {
    #[test]
    fn next_opening_is_the_first_open_instant(calendar in any_calendar(), from in any_instant(), samples in prop::collection::vec(0.0..1.0_f64, 20)) {
        let next = calendar.next_open(from);
        let until = next.unwrap_or(from + TimeDelta::days(300));
        prop_assert!(until >= from);
        prop_assert!(next.is_none_or(|next| calendar.is_open(next)));
        let span = (until - from).as_seconds_f64();
        for sample in samples.into_iter().chain([1.0 - 1.0 / span.max(1.0)]) {
            let between = from + TimeDelta::milliseconds(format!("{:.0}", span * sample * 1000.0).parse().unwrap());
            prop_assert!(between >= until || !calendar.is_open(between), "open at {between}, before {until}");
        }
    }
}
