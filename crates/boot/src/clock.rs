//! The one place that reads the machine's clock. Programs take a [`Clock`]; tests give them one that they can move.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::watch;

/// Tells the time of the business: hours, due instants, pacing. (Leases live by PostgreSQL's clock, request time-outs by
/// the machine's.)
#[derive(Clone, Debug)]
pub struct Clock {
    offset: watch::Receiver<TimeDelta>,
    // Keeps a system clock's channel open, so that waiting for a change waits for ever instead of failing.
    _sender: Option<std::sync::Arc<watch::Sender<TimeDelta>>>,
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        let (sender, offset) = watch::channel(TimeDelta::zero());
        Self { offset, _sender: Some(std::sync::Arc::new(sender)) }
    }

    /// Now.
    pub fn now(&self) -> DateTime<Utc> {
        let offset = *self.offset.borrow();
        machine_time() + offset
    }

    /// Returns when the clock has reached `at`, also when it is moved there.
    pub async fn sleep_until(&self, at: DateTime<Utc>) {
        let mut offset = self.offset.clone();
        loop {
            offset.borrow_and_update();
            let Ok(left) = (at - self.now()).to_std() else { return };
            if left.is_zero() {
                return;
            }
            // The timer counts in milliseconds and rounds up; a sender's slot must not be missed by a whole one.
            let timer = tokio::time::sleep(left.min(Duration::from_secs(3600)));
            tokio::select! {
                () = timer => {}
                changed = offset.changed() => if changed.is_err() { return std::future::pending().await },
            }
        }
    }
}

/// A clock's hands, for tests: it runs at the machine's pace, from where it was set.
#[derive(Debug)]
pub struct ManualClock {
    offset: watch::Sender<TimeDelta>,
}

impl ManualClock {
    /// A clock that now shows `start`, and its hands.
    pub fn starting_at(start: DateTime<Utc>) -> (Self, Clock) {
        let (sender, offset) = watch::channel(start - machine_time());
        (Self { offset: sender }, Clock { offset, _sender: None })
    }

    /// Moves the clock; whoever sleeps until then wakes.
    pub fn set(&self, now: DateTime<Utc>) {
        self.offset.send_replace(now - machine_time());
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the clock that all else must take")]
fn machine_time() -> DateTime<Utc> {
    Utc::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_sleeper_wakes_when_the_clock_is_moved() {
        let start = machine_time();
        let (hands, clock) = ManualClock::starting_at(start);
        let hour = start + TimeDelta::hours(1);
        let sleeper = tokio::spawn(async move {
            clock.sleep_until(hour).await;
            clock.now()
        });
        hands.set(hour);
        assert!(sleeper.await.unwrap() >= hour);
    }
}
