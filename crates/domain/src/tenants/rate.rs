//! Rates of requests by GCRA, the leaky bucket whose state is one instant. The script that Redis runs for several
//! processes (`bins/api/src/limits/gcra.lua`) applies the same rule; a test compares the two.

use std::num::NonZeroU32;
use std::time::Duration;

const MINUTE_MICROSECONDS: i64 = 60_000_000;
/// The minimum burst: one page of a program often makes several requests at once.
const SMALLEST_BURST: u32 = 20;
/// Seconds of requests that make a burst.
const BURST_SECONDS: u32 = 10;

/// Requests a minute, and how many of them may arrive at once after a pause. Any minute has at most `per_minute +
/// burst` allowed requests, and the average is `per_minute`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    per_minute: NonZeroU32,
    burst: NonZeroU32,
}

impl Rate {
    /// A rate with the usual burst: a sixth of a minute's requests, at least 20.
    pub const fn per_minute(per_minute: NonZeroU32) -> Self {
        let sixth = per_minute.get() / (60 / BURST_SECONDS);
        let burst = if sixth < SMALLEST_BURST { SMALLEST_BURST } else { sixth };
        Self::with_burst(per_minute, NonZeroU32::MIN.saturating_add(burst - 1))
    }

    /// A rate with another burst.
    pub const fn with_burst(per_minute: NonZeroU32, burst: NonZeroU32) -> Self {
        Self { per_minute, burst }
    }

    /// The rate for `factor` times as many requests.
    pub fn times(self, factor: u32) -> Self {
        let factor = NonZeroU32::new(factor).unwrap_or(NonZeroU32::MIN);
        Self::with_burst(self.per_minute.saturating_mul(factor), self.burst.saturating_mul(factor))
    }

    /// Average requests a minute.
    pub const fn a_minute(self) -> u32 {
        self.per_minute.get()
    }

    /// Requests that may arrive at once after a pause.
    pub const fn burst(self) -> u32 {
        self.burst.get()
    }

    /// Microseconds that one request costs, rounded up so that the rate is not exceeded.
    pub const fn interval(self) -> i64 {
        (MINUTE_MICROSECONDS + self.per_minute.get() as i64 - 1) / self.per_minute.get() as i64
    }

    /// Checks a request at `now`, given the instant until which earlier requests are paid for (none: there are none).
    /// Instants are microseconds of one clock. An instant farther ahead than a burst comes from a clock that was set
    /// back, and counts as a burst, so a caller waits no longer than that.
    pub fn check(self, paid_until: Option<i64>, now: i64) -> RateCheck {
        let burst = self.interval() * i64::from(self.burst.get());
        let paid_until = paid_until.map_or(now, |until| until.clamp(now, now + burst));
        let then = paid_until + self.interval();
        let is_allowed = then - now <= burst;
        RateCheck { rate: self, is_allowed, paid_until: if is_allowed { then } else { paid_until }, now }
    }

    /// The result of a check that another process or Redis has made.
    pub const fn remote_check(self, is_allowed: bool, paid_until: i64, now: i64) -> RateCheck {
        RateCheck { rate: self, is_allowed, paid_until, now }
    }
}

/// The result of checking one request against a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateCheck {
    /// The rate of the check.
    pub rate: Rate,
    /// Whether the request may be served. A refused request costs nothing.
    pub is_allowed: bool,
    /// The state for the next check: the instant until which requests are paid for.
    pub paid_until: i64,
    now: i64,
}

impl RateCheck {
    /// Requests that may follow immediately.
    pub fn remaining(&self) -> u32 {
        let burst = self.rate.interval() * i64::from(self.rate.burst());
        u32::try_from((burst - (self.paid_until - self.now)) / self.rate.interval()).unwrap_or_default()
    }

    /// Microseconds from now for which requests are paid.
    pub const fn paid_ahead(&self) -> i64 {
        self.paid_until - self.now
    }

    /// Time until a whole burst may arrive again.
    pub fn reset_after(&self) -> Duration {
        microseconds(self.paid_ahead())
    }

    /// Time until one request may arrive.
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
    fn usual_burst_is_ten_seconds_of_requests_and_at_least_twenty() {
        for (per_minute, burst) in [(1, 20), (120, 20), (126, 21), (1200, 200), (6000, 1000)] {
            assert_eq!(Rate::per_minute(NonZeroU32::new(per_minute).unwrap()).burst(), burst);
        }
    }

    /// Sixty a minute with a burst of two: (microseconds after the one before, allowed, remaining, retry after, reset).
    #[test]
    fn burst_is_used_up_and_refills() {
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
            let check = rate.check(paid_until, now);
            assert_eq!((check.is_allowed, check.remaining()), (allowed, remaining));
            assert_eq!(check.retry_after(), microseconds(retry));
            assert_eq!(check.reset_after(), microseconds(reset));
            paid_until = Some(check.paid_until);
        }
    }

    #[test]
    fn rate_that_does_not_divide_a_minute_is_not_exceeded() {
        assert_eq!(rate(7, 1).interval(), 8_571_429);
        assert_eq!(rate(6_000_000, 1).interval(), 10);
        assert_eq!(rate(u32::MAX, 1).interval(), 1);
    }

    proptest! {
        #[test]
        fn no_minute_allows_more_than_the_rate_and_a_burst(
            per_minute in 1_u32..5000,
            burst in 1_u32..500,
            gaps in prop::collection::vec(prop_oneof![Just(0_i64), 0..40_000_i64, 0..5_000_000_i64], 400),
        ) {
            let rate = rate(per_minute, burst);
            let (mut now, mut paid_until, mut allowed_at) = (1_700_000_000_000_000, None, Vec::new());
            for gap in gaps {
                now += gap;
                let check = rate.check(paid_until, now);
                prop_assert!(check.remaining() <= burst);
                if check.is_allowed {
                    allowed_at.push(now);
                    paid_until = Some(check.paid_until);
                } else {
                    prop_assert_eq!(Some(check.paid_until), paid_until, "a refused request costs nothing");
                    prop_assert!(!check.retry_after().is_zero());
                }
            }
            for (index, first) in allowed_at.iter().enumerate() {
                let within = allowed_at[index..].iter().take_while(|at| **at < first + MINUTE_MICROSECONDS).count();
                prop_assert!(within <= (per_minute + burst) as usize, "{within} in a minute");
            }
        }

        #[test]
        fn request_is_allowed_after_retry_after_and_not_a_microsecond_earlier(
            per_minute in 1_u32..5000, burst in 1_u32..500, owed in 0_i64..1 << 40,
        ) {
            let (rate, now) = (rate(per_minute, burst), 1_700_000_000_000_000);
            let check = rate.check(Some(now + owed), now);
            if !check.is_allowed {
                let wait = i64::try_from(check.retry_after().as_micros()).unwrap();
                prop_assert!(rate.check(Some(check.paid_until), now + wait).is_allowed);
                prop_assert!(!rate.check(Some(check.paid_until), now + wait - 1).is_allowed);
            }
        }

        #[test]
        fn remaining_requests_are_allowed_immediately(per_minute in 1_u32..5000, burst in 1_u32..200, owed in 0_i64..60_000_000) {
            let (rate, now) = (rate(per_minute, burst), 1_700_000_000_000_000);
            let mut check = rate.check(Some(now + owed), now);
            let mut followed = 0;
            let promised = check.remaining();
            loop {
                check = rate.check(Some(check.paid_until), now);
                if !check.is_allowed { break }
                followed += 1;
            }
            prop_assert_eq!(followed, promised);
        }

        #[test]
        fn clock_that_was_set_back_delays_a_request_by_one_interval(back in 0_i64..1 << 50) {
            let (rate, now) = (rate(60, 5), 1 << 52);
            let check = rate.check(Some(now), now - back);
            prop_assert!(check.retry_after() <= Duration::from_secs(1));
        }
    }
}
