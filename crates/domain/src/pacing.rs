//! How fast one WhatsApp number sends. The rate is a promise about every minute and not only about the mean, because it
//! is what keeps the number from being banned.

use std::num::NonZeroU32;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::InstanceId;
use crate::stable_hash::stable_hash;

const MINUTE_NANOSECONDS: i128 = 60_000_000_000;

/// The pace of a lane.
///
/// Time is cut into cells of `60 / per_minute` seconds, each lane's at an offset of its own, and a cell holds one send,
/// at its middle give or take the jitter. So the mean is exact, no 60 seconds hold more than `per_minute + 1` sends,
/// nothing is caught up after a rest, and all that must be remembered is one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pacing {
    /// Messages a minute.
    pub per_minute: NonZeroU32,
    /// How far the time between two sends may stray from the mean, in percent of it; above 100 counts as 100.
    pub jitter_percent: u8,
}

impl Pacing {
    /// The mean time between two sends: exactly 60 seconds by the rate.
    pub fn mean_interval(&self) -> Duration {
        Duration::from_mins(1) / self.per_minute.get()
    }

    /// A time between two sends: the mean at 0.5, the shortest at 0.0, the longest at 1.0 of `random01`.
    pub fn interval(&self, random01: f64) -> Duration {
        self.mean_interval().mul_f64(1.0 + self.jitter() * (2.0 * random01.clamp(0.0, 1.0) - 1.0))
    }

    /// When the lane may send again, given that it sends at `now` and that `previous` is what this function said the last
    /// time. `random01` (0.0 to 1.0) places the send within its cell.
    ///
    /// The answer is always later than `now` and than `previous`, so that a clock set back cannot cause a burst.
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
        let place = 0.5 + self.jitter() / 2.0 * (2.0 * random01.clamp(0.0, 1.0) - 1.0);
        cells.instant(cell, place).unwrap_or(last)
    }

    fn jitter(&self) -> f64 {
        f64::from(self.jitter_percent.min(100)) / 100.0
    }
}

/// The cells of one lane. Integers throughout: a rate that does not divide 60 drifts nowhere.
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

    /// `place` goes from 0.0, the beginning of the cell, to 1.0, its end. Whole microseconds, as PostgreSQL keeps them,
    /// and within the cell where it is as long as that.
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

    #[test]
    fn the_interval_strays_by_the_jitter_and_no_further() {
        let pacing = pacing(20, 20);
        for (random, seconds) in [(0.0, 2.4), (0.5, 3.0), (1.0, 3.6), (-1.0, 2.4), (2.0, 3.6)] {
            assert!((pacing.interval(random).as_secs_f64() - seconds).abs() < 1e-9);
        }
    }

    #[test]
    fn two_lanes_of_one_rate_do_not_send_in_step() {
        let pacing = pacing(1, 0);
        assert_ne!(pacing.next_send_at(lane(1), None, start(), 0.5), pacing.next_send_at(lane(2), None, start(), 0.5));
    }

    #[test]
    fn a_rest_is_not_caught_up() {
        let pacing = pacing(60, 0);
        let after_rest = start() + TimeDelta::hours(3);
        let next = pacing.next_send_at(lane(1), Some(start()), after_rest, 0.5);
        let then = pacing.next_send_at(lane(1), Some(next), next, 0.5);
        assert!(next > after_rest);
        assert!((then - next - TimeDelta::seconds(1)).abs() < TimeDelta::milliseconds(1));
    }

    proptest! {
        /// Each send is late by some share of a cell, and some come after a rest.
        #[test]
        fn no_minute_holds_more_than_the_rate_and_one(
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
                let lateness = pacing.mean_interval().mul_f64(if rests { 10.0 } else if late > 1.0 { 0.0 } else { late });
                sends.push(at + TimeDelta::from_std(lateness).unwrap());
            }
            for (index, first) in sends.iter().enumerate() {
                let within = sends[index..].iter().take_while(|send| **send < *first + TimeDelta::minutes(1)).count();
                prop_assert!(within <= rate as usize + 1, "{within} sends in a minute at {rate}");
            }
        }

        #[test]
        fn the_mean_is_the_rate(rate in 1_u32..=600, jitter in 0_u8..=100, draws in prop::collection::vec(0.0..=1.0_f64, 200)) {
            let pacing = pacing(rate, jitter);
            let mut at = pacing.next_send_at(lane(3), None, start(), 0.5);
            let first = at;
            for random in &draws {
                at = pacing.next_send_at(lane(3), Some(at), at, *random);
            }
            let mean = (at - first).as_seconds_f64() / 200.0;
            let ideal = pacing.mean_interval().as_secs_f64();
            prop_assert!((mean / ideal - 1.0).abs() < 0.01, "{mean} instead of {ideal}");
        }

        #[test]
        fn a_clock_set_back_causes_no_burst(back in 0_i64..10_000) {
            let pacing = pacing(20, 20);
            let previous = pacing.next_send_at(lane(1), None, start(), 0.5);
            let next = pacing.next_send_at(lane(1), Some(previous), start() - TimeDelta::seconds(back), 0.5);
            prop_assert!(next > previous);
        }
    }
}
