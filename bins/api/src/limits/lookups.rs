//! Look-ups of secrets that this process does not know. Each is charged as a failure, and only a few run at once.

use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use super::budgets::Permit;
use super::rates::Charge;
use super::refused::{Refusals, Refused};

/// Look-ups at once: a quarter of the usual database connections.
const LOOK_UPS: usize = 4;
/// How long a look-up may wait for its permit.
const PATIENCE: Duration = Duration::from_secs(2);

pub(crate) struct LookUps {
    permits: Semaphore,
    refusals: Refusals,
}

impl LookUps {
    pub(super) fn new(refusals: Refusals) -> Self {
        Self { permits: Semaphore::new(LOOK_UPS), refusals }
    }

    /// Waits until a secret that was charged may be looked up. `request` is the permit among the requests without a
    /// valid credential, unless the caller holds it.
    pub(crate) async fn begin<'a>(
        &'a self,
        charge: Charge<'a>,
        request: Option<Permit>,
    ) -> Result<LookUp<'a>, Refused> {
        match tokio::time::timeout(PATIENCE, self.permits.acquire()).await {
            Ok(Ok(permit)) => Ok(LookUp { charge, _permit: permit, _request: request }),
            _ => Err(self.refusals.too_busy("look_ups")),
        }
    }
}

/// The permit for one look-up.
pub(crate) struct LookUp<'a> {
    charge: Charge<'a>,
    _permit: SemaphorePermit<'a>,
    _request: Option<Permit>,
}

impl<'a> LookUp<'a> {
    /// Ends the look-up. The charge is refunded if the secret is valid.
    pub(crate) fn end(self) -> Charge<'a> {
        self.charge
    }
}
