//! What keeps a connection alive: noticing that it is gone, and opening it again. lapin's own recovery is not used: it
//! never mends a channel error and knows no other node, so a supervisor is needed anyway, and two of them in each other's
//! way are worse than one.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::server::CONNECT_TIMEOUT;
use super::topology::TopologyMismatch;

/// The first pause before connecting again; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// The pause when a person has to do something first.
const PAUSE_FOR_A_PERSON: Duration = Duration::from_secs(60);
/// A connection that held this long was a good one, and the pauses begin anew. Longer than connecting or publishing in vain.
const GOOD_AFTER: Duration = Duration::from_secs(30);

/// RabbitMQ cannot be reached, or ended the connection. It is tried again in the background.
#[derive(Clone, Debug, thiserror::Error)]
#[error("RabbitMQ is away: {0}")]
pub struct RabbitAway(pub(super) String);

/// Why there is no session.
#[derive(Clone, Debug)]
pub(super) enum Down {
    /// Time may mend it.
    Away(RabbitAway),
    /// A person must mend it.
    Mismatch(TopologyMismatch),
}

/// Shorthand for a reason in words.
pub(super) fn away(reason: impl Into<String>) -> Down {
    Down::Away(RabbitAway(reason.into()))
}

impl From<lapin::Error> for Down {
    fn from(error: lapin::Error) -> Self {
        away(error.to_string())
    }
}

impl From<Down> for anyhow::Error {
    fn from(down: Down) -> Self {
        match down {
            Down::Away(away) => away.into(),
            Down::Mismatch(mismatch) => mismatch.into(),
        }
    }
}

#[derive(Clone)]
enum State<S> {
    Connecting,
    Up(S),
    Down(Down),
}

/// The sessions of one role, one after the other.
pub(super) struct Link<S> {
    role: &'static str,
    state: watch::Sender<State<S>>,
}

impl<S: Clone> Link<S> {
    pub(super) fn new(role: &'static str) -> Arc<Self> {
        Arc::new(Self { role, state: watch::Sender::new(State::Connecting) })
    }

    /// The session. Waits for the outcome of the very first try; afterwards it answers at once.
    pub(super) async fn session(&self) -> Result<S, Down> {
        let mut state = self.state.subscribe();
        let known = state.wait_for(|state| !matches!(state, State::Connecting));
        match timeout(CONNECT_TIMEOUT, known).await.map(|known| known.map(|state| state.clone())) {
            Ok(Ok(State::Up(session))) => Ok(session),
            Ok(Ok(State::Down(down))) => Err(down),
            _ => Err(away("not connected yet")),
        }
    }

    /// Runs a session after the other until one ends well, which says that no more is wanted. A session calls
    /// [`Link::is_up`] when it is ready.
    pub(super) async fn keep<F>(&self, shutdown: &CancellationToken, session: impl Fn() -> F)
    where
        F: Future<Output = Result<(), Down>>,
    {
        let jitter = RandomState::new().hash_one(self.role);
        let mut failures = 0;
        while !shutdown.is_cancelled() {
            let begun = Instant::now();
            let Err(down) = session().await else { return };
            failures = if begun.elapsed() > GOOD_AFTER { 0 } else { failures + 1 };
            let pause = match &down {
                Down::Away(_) => pause(failures, jitter),
                Down::Mismatch(_) => PAUSE_FOR_A_PERSON,
            };
            self.is_down(&down);
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = sleep(pause) => {}
            }
        }
    }

    pub(super) fn is_up(&self, session: S) {
        match self.state.send_replace(State::Up(session)) {
            State::Connecting => tracing::info!(role = self.role, "connected to RabbitMQ"),
            State::Up(_) | State::Down(_) => tracing::info!(role = self.role, "connected to RabbitMQ again"),
        }
    }

    /// Says so once, and not again at each try.
    fn is_down(&self, down: &Down) {
        let before = self.state.send_replace(State::Down(down.clone()));
        match (down, before) {
            (Down::Mismatch(_), State::Down(Down::Mismatch(_))) | (Down::Away(_), State::Down(Down::Away(_))) => {
                tracing::debug!(role = self.role, ?down, "RabbitMQ is still away");
            }
            (Down::Mismatch(error), _) => tracing::error!(role = self.role, %error, "RabbitMQ cannot be used"),
            (Down::Away(error), _) => tracing::warn!(role = self.role, %error, "RabbitMQ is away; trying again"),
        }
    }
}

/// Half of it is fixed and half depends on `jitter`, so that a fleet does not come back all at once.
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
