//! A doorbell in the hands of whoever heard it, and the three ways in which it leaves them: ack, retry, drop.

use std::fmt;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::Doorbell;
use crate::embedded::Row;
use crate::rabbit::Message;

/// How long a doorbell that was given back stays silent. It counts as held meanwhile, so a consumer that can do nothing
/// right now hears at most its prefetch in this time.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A doorbell that was heard. Dropped without [`Delivery::ack`] it is heard again, by this consumer or another.
pub struct Delivery {
    /// What was heard.
    pub doorbell: Doorbell,
    receipt: Option<Receipt>,
    shutdown: CancellationToken,
}

/// With what the broker is told what became of a doorbell.
pub(crate) enum Receipt {
    Rabbit(Message),
    Embedded(Row),
}

impl Delivery {
    pub(crate) fn new(doorbell: Doorbell, receipt: Receipt, shutdown: CancellationToken) -> Self {
        Self { doorbell, receipt: Some(receipt), shutdown }
    }

    /// What the doorbell asks for is durable, or needs no doing: it is not heard again.
    ///
    /// # Errors
    /// When the broker could not be told. The doorbell will be heard again, which harms nothing.
    pub async fn ack(mut self) -> anyhow::Result<()> {
        match self.receipt.take() {
            Some(Receipt::Rabbit(message)) => message.ack().await,
            Some(Receipt::Embedded(row)) => row.ack().await,
            None => Ok(()),
        }
    }

    /// Back into the queue, because the database was away, say. It is heard again after a second, or at once by others
    /// if this process is shutting down. This call does not wait for that.
    pub async fn retry(self) {
        drop(self);
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        // Without a runtime the process is ending; the end of its connection, or of the hold, gives the doorbell back.
        if let (Some(receipt), Ok(runtime)) = (self.receipt.take(), Handle::try_current()) {
            let shutdown = self.shutdown.clone();
            runtime.spawn(async move {
                let _ = tokio::time::timeout(RETRY_AFTER, shutdown.cancelled_owned()).await;
                match receipt {
                    Receipt::Rabbit(message) => message.release().await,
                    Receipt::Embedded(row) => row.release().await,
                }
            });
        }
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery").field("doorbell", &self.doorbell).finish_non_exhaustive()
    }
}
