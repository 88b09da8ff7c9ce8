//! The supervisor of a connection: it notices the end of a session and opens the next one. lapin's recovery is unused:
//! it repairs no channel error and knows only one node, and two supervisors would disturb each other.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::mem::discriminant;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::outage::Outage;
use super::server::CONNECT_TIMEOUT;

/// The pause before the first reconnect; each further pause is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// The pause while an operator must act.
const MISMATCH_PAUSE: Duration = Duration::from_secs(60);
/// A session of this length resets the pauses. Longer than a connect or a publish that fails.
const STABLE_AFTER: Duration = Duration::from_secs(30);

#[derive(Clone)]
enum State<S> {
    Connecting,
    Up(S),
    Down(Outage),
}

pub(super) struct Link<S> {
    role: &'static str,
    state: watch::Sender<State<S>>,
}

impl<S: Clone> Link<S> {
    pub(super) fn new(role: &'static str) -> Arc<Self> {
        Arc::new(Self { role, state: watch::Sender::new(State::Connecting) })
    }

    /// The current session. Waits only for the result of the very first connect.
    pub(super) async fn session(&self) -> Result<S, Outage> {
        let mut state = self.state.subscribe();
        let known = state.wait_for(|state| !matches!(state, State::Connecting));
        match timeout(CONNECT_TIMEOUT, known).await.map(|known| known.map(|state| state.clone())) {
            Ok(Ok(State::Up(session))) => Ok(session),
            Ok(Ok(State::Down(outage))) => Err(outage),
            _ => Err(Outage::away("not connected yet")),
        }
    }

    /// Runs sessions one after the other until `shutdown`, or until a session ends without an outage. A session calls
    /// [`Link::mark_up`] when it is ready.
    pub(super) async fn run_sessions<F>(&self, shutdown: &CancellationToken, session: impl Fn() -> F)
    where
        F: Future<Output = Result<(), Outage>>,
    {
        let jitter = RandomState::new().hash_one(self.role);
        let mut failures = 0;
        while !shutdown.is_cancelled() {
            let begun = Instant::now();
            let Err(outage) = session().await else { return };
            failures = if begun.elapsed() > STABLE_AFTER { 0 } else { failures + 1 };
            let pause = match &outage {
                Outage::Away(_) => pause(failures, jitter),
                Outage::Mismatch { .. } => MISMATCH_PAUSE,
            };
            self.mark_down(&outage);
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = sleep(pause) => {}
            }
        }
    }

    pub(super) fn mark_up(&self, session: S) {
        match self.state.send_replace(State::Up(session)) {
            State::Connecting => tracing::info!(role = self.role, "connected to RabbitMQ"),
            State::Up(_) | State::Down(_) => tracing::info!(role = self.role, "connected to RabbitMQ again"),
        }
    }

    /// Logs the start of an outage as a warning or an error, and further failures for debugging only.
    fn mark_down(&self, outage: &Outage) {
        let before = self.state.send_replace(State::Down(outage.clone()));
        let is_known = matches!(before, State::Down(earlier) if discriminant(&earlier) == discriminant(outage));
        match outage {
            _ if is_known => tracing::debug!(role = self.role, ?outage, "RabbitMQ is still away"),
            Outage::Mismatch { .. } => tracing::error!(role = self.role, error = %outage, "RabbitMQ cannot be used"),
            Outage::Away(_) => tracing::warn!(role = self.role, error = %outage, "RabbitMQ is away; reconnecting"),
        }
    }
}

/// Half of the pause is fixed and half depends on `jitter`, so that the processes of a fleet do not reconnect together.
fn pause(failures: u32, jitter: u64) -> Duration {
    let whole = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1))).min(LONGEST_PAUSE);
    let thousandths = u32::try_from(jitter.rotate_left(failures) % 1000).unwrap_or(0);
    whole / 2 + whole / 2 * thousandths / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_differ_between_processes() {
        for failures in [0, 1, 2, 5, 10, 1000] {
            for jitter in [0, 12_345, u64::MAX] {
                let pause = pause(failures, jitter);
                assert!(pause >= FIRST_PAUSE / 2 && pause <= LONGEST_PAUSE, "{failures}: {pause:?}");
            }
        }
        assert!(pause(4, 7) > pause(1, 7));
        assert_ne!(pause(4, 123), pause(4, 456));
    }
}
