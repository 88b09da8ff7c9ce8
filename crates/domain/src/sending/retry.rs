//! When a contact is retried whose message did not leave. Only this file uses the crate `backoff`: it computes the
//! delays and never sleeps.

use std::time::Duration;

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff;

use crate::ContactId;
use crate::stable_hash::stable_fraction;

const FIRST: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_mins(10);
/// ± 20 %, so that contacts that failed together are not retried together.
const JITTER: f64 = 0.2;

/// Five seconds, doubled each time up to ten minutes, ± 20 %, up to a number of attempts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetrySchedule {
    max_attempts: u16,
    /// By attempt. Attempts beyond the last element wait as long as after it.
    delays: Vec<Duration>,
}

impl RetrySchedule {
    /// A schedule of at most `max_attempts` attempts, with the first one.
    pub fn new(max_attempts: u16) -> Self {
        let mut backoff = ExponentialBackoff {
            initial_interval: FIRST,
            current_interval: FIRST,
            multiplier: 2.0,
            max_interval: LONGEST,
            randomization_factor: 0.0,
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        };
        let mut delays = Vec::new();
        while delays.last().is_none_or(|delay| *delay < LONGEST) {
            // The crate adds up to a nanosecond without randomisation too.
            let exact = backoff.next_backoff().unwrap_or(LONGEST);
            delays.push(Duration::from_secs(exact.as_secs()));
        }
        Self { max_attempts, delays }
    }

    /// The wait after this attempt (from 1); `None` when no attempt is left. The same contact and attempt always have
    /// the same wait.
    pub fn after(&self, attempt: u16, contact: ContactId) -> Option<Duration> {
        if attempt >= self.max_attempts {
            return None;
        }
        let delay = self.delays.get(usize::from(attempt.max(1)) - 1).copied().unwrap_or(LONGEST);
        let fraction = stable_fraction("retry", &[contact.0.as_bytes(), &attempt.to_be_bytes()]);
        Some(delay.mul_f64(1.0 + JITTER * (2.0 * fraction - 1.0)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn delay_doubles_from_five_seconds_to_ten_minutes() {
        let seconds: Vec<u64> = RetrySchedule::new(20).delays.iter().map(Duration::as_secs).collect();
        assert_eq!(seconds, [5, 10, 20, 40, 80, 160, 320, 600]);
    }

    #[test]
    fn schedule_of_five_allows_five_attempts() {
        let contact = ContactId(Uuid::from_u128(7));
        let schedule = RetrySchedule::new(5);
        assert!((1..5).all(|attempt| schedule.after(attempt, contact).is_some()));
        assert_eq!(schedule.after(5, contact), None);
        assert_eq!(RetrySchedule::new(0).after(0, contact), None);
        assert_eq!(RetrySchedule::new(1).after(1, contact), None);
    }

    proptest! {
        #[test]
        fn wait_is_stable_and_within_a_fifth(attempt in 1_u16..200, id: u128) {
            let schedule = RetrySchedule::new(200);
            let contact = ContactId(Uuid::from_u128(id));
            let wait = schedule.after(attempt, contact);
            prop_assert_eq!(wait, schedule.after(attempt, contact));
            if let Some(wait) = wait {
                let ideal = (5.0 * 2_f64.powi(i32::from(attempt) - 1)).min(600.0);
                prop_assert!((wait.as_secs_f64() / ideal - 1.0).abs() <= 0.2 + 1e-9);
            } else {
                prop_assert_eq!(attempt, 200);
            }
        }
    }
}
