//! Log lines of frequent events: at most one a second, with the number of events since the line before.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const PERIOD: Duration = Duration::from_secs(1);

/// Counts events of one kind.
#[derive(Debug, Default)]
pub struct CountedLog(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    logged_at: Option<Instant>,
    events: u64,
}

impl CountedLog {
    /// Counts one event. Returns the number of events to log, or none within a second of the line before.
    pub fn count(&self, now: Instant) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.events += 1;
        if state.logged_at.is_some_and(|logged_at| now.saturating_duration_since(logged_at) < PERIOD) {
            return None;
        }
        state.logged_at = Some(now);
        Some(std::mem::take(&mut state.events))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_of_a_second_are_one_line_with_their_count() {
        let (log, start) = (CountedLog::default(), Instant::now());
        assert_eq!(log.count(start), Some(1));
        assert_eq!(log.count(start + Duration::from_millis(1)), None);
        assert_eq!(log.count(start + Duration::from_millis(999)), None);
        assert_eq!(log.count(start + PERIOD), Some(3));
        assert_eq!(log.count(start + PERIOD), None);
    }
}
