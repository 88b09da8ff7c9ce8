//! Look-ups of unknown secrets. Each is charged to the failure budget of its address, and only a few run at once.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::http::request::Parts;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::rates::RateLimits;
use super::refused::{Refusals, Refused};
use super::subject::Subject;

/// Look-ups at once: a quarter of the usual database connections.
const LOOK_UPS: usize = 4;
/// How long a look-up may wait for its permit.
const PATIENCE: Duration = Duration::from_secs(2);

pub(crate) struct LookUps {
    rates: Arc<RateLimits>,
    permits: Semaphore,
    refusals: Refusals,
}

impl LookUps {
    pub(super) fn new(rates: Arc<RateLimits>, refusals: Refusals) -> Self {
        Self { rates, permits: Semaphore::new(LOOK_UPS), refusals }
    }

    /// Charges an unknown secret as a failure before it is looked up. An address whose failure budget is used up is
    /// refused without a look-up.
    pub(crate) async fn begin(&self, parts: &Parts, failure: fn(IpAddr) -> Subject) -> Result<LookUp<'_>, Refused> {
        let charged = self.rates.charge(parts, failure)?;
        match tokio::time::timeout(PATIENCE, self.permits.acquire()).await {
            Ok(Ok(permit)) => Ok(LookUp { rates: &self.rates, charged, _permit: permit }),
            _ => Err(self.refusals.too_busy("look_ups")),
        }
    }
}

/// The permit for one look-up.
pub(crate) struct LookUp<'a> {
    rates: &'a RateLimits,
    charged: Option<Subject>,
    _permit: SemaphorePermit<'a>,
}

impl LookUp<'_> {
    /// Gives the charge back, because the secret is valid.
    pub(crate) fn refund(self) {
        if let Some(subject) = self.charged {
            self.rates.refund(subject);
        }
    }
}
