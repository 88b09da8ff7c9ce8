//! The loop that relays doorbells to the broker.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::{Broker, Outage};

/// Relays after each `wake` and at least once in `every`, until `shutdown`. A caller wakes the relay after a commit
/// that rang a doorbell.
pub async fn run_relay(broker: Arc<dyn Broker>, wake: Arc<Notify>, every: Duration, shutdown: CancellationToken) {
    let mut is_failing = false;
    while !shutdown.is_cancelled() {
        match broker.relay().await {
            Ok(relayed) => {
                if is_failing {
                    tracing::info!("doorbells are relayed again");
                }
                is_failing = false;
                if relayed.more {
                    continue;
                }
            }
            // The connection's supervisor has logged it.
            Err(error) if error.is::<Outage>() => {
                tracing::debug!(%error, "doorbells wait for RabbitMQ");
            }
            Err(error) if is_failing => tracing::debug!(%error, "doorbells still cannot be relayed"),
            Err(error) => {
                is_failing = true;
                tracing::warn!(error = format!("{error:#}"), "doorbells cannot be relayed; retrying");
            }
        }
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = wake.notified() => {}
            () = tokio::time::sleep(every) => {}
        }
    }
}
