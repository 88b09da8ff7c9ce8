//! The only place that reads the machine's clock. Programs take a [`Clock`]; tests give them one that they can set.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::watch;

/// The time for business hours, due contacts and pacing. (Leases use PostgreSQL's clock, request timeouts the
/// machine's.)
#[derive(Clone, Debug)]
pub struct Clock {
    offset: watch::Receiver<TimeDelta>,
    // Keeps the channel of a system clock open, so that a wait for a change never ends.
    _sender: Option<std::sync::Arc<watch::Sender<TimeDelta>>>,
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        let (sender, offset) = watch::channel(TimeDelta::zero());
        Self { offset, _sender: Some(std::sync::Arc::new(sender)) }
    }

    /// The present time.
    pub fn now(&self) -> DateTime<Utc> {
        let offset = *self.offset.borrow();
        machine_time() + offset
    }

    /// Returns when the clock has reached `at`, or was set to it.
    pub async fn sleep_until(&self, at: DateTime<Utc>) {
        let mut offset = self.offset.clone();
        loop {
            offset.borrow_and_update();
            let Ok(left) = (at - self.now()).to_std() else { return };
            if left.is_zero() {
                return;
            }
            // The timer rounds up to milliseconds, at most one beyond the slot of a send.
            let timer = tokio::time::sleep(left.min(Duration::from_secs(3600)));
            tokio::select! {
                () = timer => {}
                changed = offset.changed() => if changed.is_err() { return std::future::pending().await },
            }
        }
    }
}

/// Sets a clock, for tests. The clock runs on from the set time.
#[derive(Debug)]
pub struct ManualClock {
    offset: watch::Sender<TimeDelta>,
}

impl ManualClock {
    /// A clock that shows `start` now.
    pub fn starting_at(start: DateTime<Utc>) -> (Self, Clock) {
        let (sender, offset) = watch::channel(start - machine_time());
        (Self { offset: sender }, Clock { offset, _sender: None })
    }

    /// Sets the clock; tasks that sleep until an earlier time wake.
    pub fn set(&self, now: DateTime<Utc>) {
        self.offset.send_replace(now - machine_time());
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the clock that all other code takes")]
fn machine_time() -> DateTime<Utc> {
    Utc::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn sleeping_task_wakes_when_the_clock_is_set() {
        let start = machine_time();
        let (manual_clock, clock) = ManualClock::starting_at(start);
        let hour = start + TimeDelta::hours(1);
        let sleeper = tokio::spawn(async move {
            clock.sleep_until(hour).await;
            clock.now()
        });
        manual_clock.set(hour);
        assert!(sleeper.await.unwrap() >= hour);
    }
}
