//! The pace of one instance. The rate holds in every minute and not only on average, because WhatsApp bans numbers for
//! bursts.

use std::num::NonZeroU32;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::InstanceId;
use crate::stable_hash::stable_hash;

const MINUTE_NANOSECONDS: i128 = 60_000_000_000;

/// The pace of a lane.
///
/// Time is divided into cells of `60 / per_minute` seconds, with an offset for each lane. A cell has one send, at its
/// middle plus or minus the jitter. So the mean is exact, 60 seconds have at most `per_minute + 1` sends, a lane does
/// not catch up after a pause, and its state is one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pacing {
    /// Messages a minute.
    pub per_minute: NonZeroU32,
    /// Largest deviation of the time between two sends from the mean, in percent; above 100 counts as 100.
    pub jitter_percent: u8,
}

impl Pacing {
    /// When a lane that sends at `now` may send again; `previous` is this function's last result. `random01` (0.0 to
    /// 1.0) places the send within its cell. The result is later than `now` and `previous`, so a clock that is set back
    /// causes no burst.
    pub fn next_send_at(
        &self,
        lane: InstanceId,
        previous: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
        random01: f64,
    ) -> DateTime<Utc> {
        let cells = Cells::of(lane, self.per_minute);
        let last = previous.map_or(now, |previous| previous.max(now));
        let cell = cells.containing(last) + 1;
        let jitter = f64::from(self.jitter_percent.min(100)) / 100.0;
        let place = 0.5 + jitter / 2.0 * (2.0 * random01.clamp(0.0, 1.0) - 1.0);
        cells.instant(cell, place).unwrap_or(last)
    }
}

/// The cells of one lane, in integers, so that a rate that does not divide 60 does not drift.
struct Cells {
    rate: i128,
    offset: i128,
}

impl Cells {
    fn of(lane: InstanceId, per_minute: NonZeroU32) -> Self {
        let rate = i128::from(per_minute.get());
        let offset = i128::from(stable_hash("pacing", &[lane.0.as_bytes()])) % MINUTE_NANOSECONDS;
        Self { rate, offset }
    }

    fn containing(&self, instant: DateTime<Utc>) -> i128 {
        ((nanoseconds(instant) - self.offset) * self.rate).div_euclid(MINUTE_NANOSECONDS)
    }

    /// `place` is 0.0 at the beginning of the cell and 1.0 at its end. The result has whole microseconds, as PostgreSQL
    /// stores them.
    fn instant(&self, cell: i128, place: f64) -> Option<DateTime<Utc>> {
        let begins = (cell * MINUTE_NANOSECONDS).div_euclid(self.rate) + 1 + self.offset;
        let ends = ((cell + 1) * MINUTE_NANOSECONDS).div_euclid(self.rate) + self.offset;
        let length = u64::try_from(ends - begins).unwrap_or_default();
        let within = Duration::from_nanos(length).mul_f64(place).as_nanos();
        let wanted = begins + i128::try_from(within).ok()?;
        let earliest = (begins + 999).div_euclid(1000);
        let microseconds = wanted.div_euclid(1000).max(earliest);
        DateTime::from_timestamp_micros(i64::try_from(microseconds).ok()?)
    }
}

fn nanoseconds(instant: DateTime<Utc>) -> i128 {
    i128::from(instant.timestamp()) * 1_000_000_000 + i128::from(instant.timestamp_subsec_nanos())
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn pacing(per_minute: u32, jitter_percent: u8) -> Pacing {
        Pacing { per_minute: NonZeroU32::new(per_minute).unwrap(), jitter_percent }
    }

    fn lane(id: u128) -> InstanceId {
        InstanceId(Uuid::from_u128(id))
    }

    fn start() -> DateTime<Utc> {
        "2026-11-23T11:00:00Z".parse().unwrap()
    }

    fn mean_interval(pacing: Pacing) -> Duration {
        Duration::from_mins(1) / pacing.per_minute.get()
    }

    #[test]
    fn interval_varies_by_at_most_the_jitter() {
        let pacing = pacing(20, 20);
        let middle = pacing.next_send_at(lane(1), None, start(), 0.5);
        for (random, seconds) in [(0.0, 2.7), (0.5, 3.0), (1.0, 3.3), (-1.0, 2.7), (2.0, 3.3)] {
            let interval = pacing.next_send_at(lane(1), Some(middle), middle, random) - middle;
            assert!((interval.as_seconds_f64() - seconds).abs() < 1e-5, "{random}: {interval}");
        }
    }

    #[test]
    fn two_lanes_of_one_rate_send_at_different_times() {
        let pacing = pacing(1, 0);
        assert_ne!(pacing.next_send_at(lane(1), None, start(), 0.5), pacing.next_send_at(lane(2), None, start(), 0.5));
    }

    #[test]
    fn pause_is_not_caught_up() {
        let pacing = pacing(60, 0);
        let after_rest = start() + TimeDelta::hours(3);
        let next = pacing.next_send_at(lane(1), Some(start()), after_rest, 0.5);
        let then = pacing.next_send_at(lane(1), Some(next), next, 0.5);
        assert!(next > after_rest);
        assert!((then - next - TimeDelta::seconds(1)).abs() < TimeDelta::milliseconds(1));
    }

    proptest! {
        #[test]
        fn no_minute_has_more_sends_than_the_rate_and_one(
            rate in 1_u32..=120,
            jitter: u8,
            id: u128,
            draws in prop::collection::vec((0.0..=1.0_f64, 0.0..2.0_f64, prop::bool::weighted(0.05)), 300),
        ) {
            let pacing = pacing(rate, jitter);
            let mut sends = vec![start()];
            let mut next = None;
            for (random, late, rests) in draws {
                let now = *sends.last().unwrap();
                let at = pacing.next_send_at(lane(id), next, now, random);
                prop_assert!(at > now);
                next = Some(at);
                let lateness = mean_interval(pacing).mul_f64(if rests { 10.0 } else if late > 1.0 { 0.0 } else { late });
                sends.push(at + TimeDelta::from_std(lateness).unwrap());
            }
            for (index, first) in sends.iter().enumerate() {
                let within = sends[index..].iter().take_while(|send| **send < *first + TimeDelta::minutes(1)).count();
                prop_assert!(within <= rate as usize + 1, "{within} sends in a minute at {rate}");
            }
        }

        #[test]
        fn mean_interval_is_the_rate(rate in 1_u32..=600, jitter in 0_u8..=100, draws in prop::collection::vec(0.0..=1.0_f64, 200)) {
            let pacing = pacing(rate, jitter);
            let mut at = pacing.next_send_at(lane(3), None, start(), 0.5);
            let first = at;
            for random in &draws {
                at = pacing.next_send_at(lane(3), Some(at), at, *random);
            }
            let mean = (at - first).as_seconds_f64() / 200.0;
            let ideal = mean_interval(pacing).as_secs_f64();
            prop_assert!((mean / ideal - 1.0).abs() < 0.01, "{mean} instead of {ideal}");
        }

        #[test]
        fn clock_that_is_set_back_causes_no_burst(back in 0_i64..10_000) {
            let pacing = pacing(20, 20);
            let previous = pacing.next_send_at(lane(1), None, start(), 0.5);
            let next = pacing.next_send_at(lane(1), Some(previous), start() - TimeDelta::seconds(back), 0.5);
            prop_assert!(next > previous);
        }
    }
}
