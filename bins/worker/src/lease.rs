//! A lease that this process holds.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use tokio_util::sync::CancellationToken;

/// A lease of this process. By the process's own monotonic clock it ends before PostgreSQL lets another worker take the
/// lane.
#[derive(Debug)]
pub(crate) struct HeldLease {
    pub(crate) epoch: i64,
    pub(crate) acquired_at: Instant,
    /// Cancelled when the rebalancer offers the lane to other workers.
    pub(crate) release_requested: CancellationToken,
    valid_until: Mutex<Instant>,
}

impl HeldLease {
    pub(crate) fn new(epoch: i64, valid_until: Instant) -> Self {
        Self {
            epoch,
            acquired_at: Instant::now(),
            release_requested: CancellationToken::new(),
            valid_until: Mutex::new(valid_until),
        }
    }

    /// Whether this worker still holds the lane for certain.
    pub(crate) fn is_valid(&self) -> bool {
        Instant::now() < *self.valid_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_valid_until(&self, valid_until: Instant) {
        *self.valid_until.lock().unwrap_or_else(PoisonError::into_inner) = valid_until;
    }
}
