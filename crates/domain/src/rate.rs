//! How many requests somebody may make: GCRA, the leaky bucket that remembers one instant. Pure; the script that Redis
//! runs for several processes says the same (`bins/api/src/limits/gcra.lua`), and a test holds the two equal.

use std::num::NonZeroU32;
use std::time::Duration;

const MINUTE_MICROSECONDS: i64 = 60_000_000;
/// Nobody's burst is smaller: a page of a program often asks several things at once.
const SMALLEST_BURST: u32 = 20;
/// A burst is so many seconds' worth of requests.
const BURST_SECONDS: u32 = 10;

/// Requests a minute, and how many of them may come at once after a rest.
///
/// In any minute at most `per_minute + burst` requests are let in, and in the long run `per_minute` a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    per_minute: NonZeroU32,
    burst: NonZeroU32,
}

impl Rate {
    /// With the usual burst: a sixth of a minute's requests, at least 20.
    pub const fn per_minute(per_minute: NonZeroU32) -> Self {
        let sixth = per_minute.get() / (60 / BURST_SECONDS);
        let burst = if sixth < SMALLEST_BURST { SMALLEST_BURST } else { sixth };
        Self::with_burst(per_minute, NonZeroU32::MIN.saturating_add(burst - 1))
    }

    /// With a burst of its own.
    pub const fn with_burst(per_minute: NonZeroU32, burst: NonZeroU32) -> Self {
        Self { per_minute, burst }
    }

    /// Requests a minute, in the long run.
    pub const fn a_minute(self) -> u32 {
        self.per_minute.get()
    }

    /// Requests that may come at once after a rest.
    pub const fn burst(self) -> u32 {
        self.burst.get()
    }

    /// Microseconds that one request costs, rounded up, so that no rate is exceeded.
    pub const fn interval(self) -> i64 {
        (MINUTE_MICROSECONDS + self.per_minute.get() as i64 - 1) / self.per_minute.get() as i64
    }

    /// Judges a request at `now`, given the instant until which the requests so far are paid for (none: never, or long
    /// ago). Instants are microseconds of any one clock. An instant that lies farther ahead than a whole burst comes from
    /// a clock that was set back, and counts as a burst: nobody is locked out for longer than that takes.
    pub fn take(self, paid_until: Option<i64>, now: i64) -> Taken {
        let burst = self.interval() * i64::from(self.burst.get());
        let paid_until = paid_until.map_or(now, |until| until.clamp(now, now + burst));
        let then = paid_until + self.interval();
        let is_allowed = then - now <= burst;
        Taken { rate: self, is_allowed, paid_until: if is_allowed { then } else { paid_until }, now }
    }

    /// As `take` would have answered, where somebody else has judged.
    pub const fn judged(self, is_allowed: bool, paid_until: i64, now: i64) -> Taken {
        Taken { rate: self, is_allowed, paid_until, now }
    }
}

/// What became of a request, and how its maker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The rate by which it was judged.
    pub rate: Rate,
    /// It may be served. One that may not costs nothing.
    pub is_allowed: bool,
    /// What must be remembered.
    pub paid_until: i64,
    now: i64,
}

impl Taken {
    /// Requests that may follow at once.
    pub fn remaining(&self) -> u32 {
        let burst = self.rate.interval() * i64::from(self.rate.burst());
        u32::try_from((burst - (self.paid_until - self.now)) / self.rate.interval()).unwrap_or_default()
    }

    /// Microseconds from now until which requests are paid for.
    pub const fn paid_ahead(&self) -> i64 {
        self.paid_until - self.now
    }

    /// Until a whole burst may come again.
    pub fn reset_after(&self) -> Duration {
        microseconds(self.paid_ahead())
    }

    /// Until one request may come.
    pub fn retry_after(&self) -> Duration {
        let burst = self.rate.interval() * i64::from(self.rate.burst());
        microseconds(self.paid_until + self.rate.interval() - burst - self.now)
    }
}

fn microseconds(count: i64) -> Duration {
    Duration::from_micros(u64::try_from(count).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rate(per_minute: u32, burst: u32) -> Rate {
        Rate::with_burst(NonZeroU32::new(per_minute).unwrap(), NonZeroU32::new(burst).unwrap())
    }

    #[test]
    fn the_usual_burst_is_ten_seconds_worth_and_at_least_twenty() {
        for (per_minute, burst) in [(1, 20), (120, 20), (126, 21), (1200, 200), (6000, 1000)] {
            assert_eq!(Rate::per_minute(NonZeroU32::new(per_minute).unwrap()).burst(), burst);
        }
    }

    /// Sixty a minute with a burst of two: (microseconds after the one before, allowed, remaining, retry after, reset).
    #[test]
    fn a_bucket_empties_and_fills() {
        let (rate, mut now, mut paid_until) = (rate(60, 2), 5_000_000_000_000, None);
        let second = 1_000_000;
        for (later, allowed, remaining, retry, reset) in [
            (0, true, 1, 0, second),
            (0, true, 0, second, 2 * second),
            (0, false, 0, second, 2 * second),
            (second - 1, false, 0, 1, second + 1),
            (1, true, 0, second, 2 * second),
            (10 * second, true, 1, 0, second),
        ] {
            now += later;
            let taken = rate.take(paid_until, now);
            assert_eq!((taken.is_allowed, taken.remaining()), (allowed, remaining));
            assert_eq!(taken.retry_after(), microseconds(retry));
            assert_eq!(taken.reset_after(), microseconds(reset));
            paid_until = Some(taken.paid_until);
        }
    }

    #[test]
    fn a_rate_that_does_not_divide_a_minute_is_not_exceeded() {
        assert_eq!(rate(7, 1).interval(), 8_571_429);
        assert_eq!(rate(6_000_000, 1).interval(), 10);
        assert_eq!(rate(u32::MAX, 1).interval(), 1);
    }

    proptest! {
        #[test]
        fn no_minute_lets_in_more_than_the_rate_and_a_burst(
            per_minute in 1_u32..5000,
            burst in 1_u32..500,
            gaps in prop::collection::vec(prop_oneof![Just(0_i64), 0..40_000_i64, 0..5_000_000_i64], 400),
        ) {
            let rate = rate(per_minute, burst);
            let (mut now, mut paid_until, mut let_in) = (1_700_000_000_000_000, None, Vec::new());
            for gap in gaps {
                now += gap;
                let taken = rate.take(paid_until, now);
                prop_assert!(taken.remaining() <= burst);
                if taken.is_allowed {
                    let_in.push(now);
                    paid_until = Some(taken.paid_until);
                } else {
                    prop_assert_eq!(Some(taken.paid_until), paid_until, "a refused request costs nothing");
                    prop_assert!(!taken.retry_after().is_zero());
                }
            }
            for (index, first) in let_in.iter().enumerate() {
                let within = let_in[index..].iter().take_while(|at| **at < first + MINUTE_MICROSECONDS).count();
                prop_assert!(within <= (per_minute + burst) as usize, "{within} in a minute");
            }
        }

        #[test]
        fn whoever_waits_as_told_is_let_in_and_not_a_microsecond_earlier(
            per_minute in 1_u32..5000, burst in 1_u32..500, owed in 0_i64..1 << 40,
        ) {
            let (rate, now) = (rate(per_minute, burst), 1_700_000_000_000_000);
            let taken = rate.take(Some(now + owed), now);
            if !taken.is_allowed {
                let wait = i64::try_from(taken.retry_after().as_micros()).unwrap();
                prop_assert!(rate.take(Some(taken.paid_until), now + wait).is_allowed);
                prop_assert!(!rate.take(Some(taken.paid_until), now + wait - 1).is_allowed);
            }
        }

        #[test]
        fn what_remains_is_what_may_follow(per_minute in 1_u32..5000, burst in 1_u32..200, owed in 0_i64..60_000_000) {
            let (rate, now) = (rate(per_minute, burst), 1_700_000_000_000_000);
            let mut taken = rate.take(Some(now + owed), now);
            let mut followed = 0;
            let promised = taken.remaining();
            loop {
                taken = rate.take(Some(taken.paid_until), now);
                if !taken.is_allowed { break }
                followed += 1;
            }
            prop_assert_eq!(followed, promised);
        }

        #[test]
        fn a_clock_that_was_set_back_locks_nobody_out(back in 0_i64..1 << 50) {
            let (rate, now) = (rate(60, 5), 1 << 52);
            let taken = rate.take(Some(now), now - back);
            prop_assert!(taken.retry_after() <= Duration::from_secs(1));
        }
    }
}
