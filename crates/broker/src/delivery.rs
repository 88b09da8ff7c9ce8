//! A doorbell that a consumer received, until the consumer acknowledges or requeues it.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::doorbell::Doorbell;

/// The pause before a requeued doorbell is delivered again. During the pause the doorbell counts towards the prefetch,
/// which bounds the deliveries to a consumer that fails on every doorbell.
const REQUEUE_DELAY: Duration = Duration::from_secs(1);

/// A received doorbell. A delivery that is dropped without [`Delivery::ack`] is requeued.
pub struct Delivery {
    /// The doorbell.
    pub doorbell: Doorbell,
    receipt: Option<Box<dyn Receipt>>,
    shutdown: CancellationToken,
}

/// The broker's side of a delivery.
#[async_trait]
pub(crate) trait Receipt: Send + Sync {
    async fn ack(self: Box<Self>) -> anyhow::Result<()>;

    /// A failure is only logged: the end of the connection, or of the visibility timeout, requeues the doorbell.
    async fn requeue(self: Box<Self>);
}

impl Delivery {
    pub(crate) fn new(doorbell: Doorbell, receipt: Box<dyn Receipt>, shutdown: CancellationToken) -> Self {
        Self { doorbell, receipt: Some(receipt), shutdown }
    }

    /// Removes the doorbell from the queue, because its work is durable or unnecessary. After an error the doorbell is
    /// delivered again.
    pub async fn ack(mut self) -> anyhow::Result<()> {
        match self.receipt.take() {
            Some(receipt) => receipt.ack().await,
            None => Ok(()),
        }
    }

    /// Returns the doorbell to the queue in the background: after a second, or at once while this process shuts down.
    pub fn requeue(self) {
        drop(self);
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        // Without a runtime the process is ending, and with it the connection or the visibility timeout.
        if let (Some(receipt), Ok(runtime)) = (self.receipt.take(), Handle::try_current()) {
            let shutdown = self.shutdown.clone();
            runtime.spawn(async move {
                let _ = tokio::time::timeout(REQUEUE_DELAY, shutdown.cancelled_owned()).await;
                receipt.requeue().await;
            });
        }
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery").field("doorbell", &self.doorbell).finish_non_exhaustive()
    }
}
