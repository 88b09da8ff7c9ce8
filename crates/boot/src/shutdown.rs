//! The signals that end a process.

use tokio_util::sync::CancellationToken;

/// A token that Ctrl-C or SIGTERM cancels. A second signal ends the process at once.
pub fn on_signal() -> anyhow::Result<CancellationToken> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let token = CancellationToken::new();
    let cancelled = token.clone();
    tokio::spawn(async move {
        for count in 0.. {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if count > 0 {
                leave_at_once();
            }
            tracing::info!("shutting down; a second signal ends at once");
            cancelled.cancel();
        }
    });
    Ok(token)
}

#[expect(clippy::disallowed_methods, reason = "a second signal means to end without finishing")]
fn leave_at_once() -> ! {
    std::process::exit(130)
}
