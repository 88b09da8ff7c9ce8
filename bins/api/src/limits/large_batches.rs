//! Permits of large batches. A large batch waits for its permit before its first transaction begins; a small one needs
//! none.

use std::time::Duration;

use regua_domain::TenantId;

use super::budgets::{Budgets, Permit};
use super::refused::{Refusals, Refused};
use super::settings::LimitSettings;

/// Bytes of a body from which a batch is large: some hundreds of contacts.
const LARGE_BODY: usize = 64 << 10;

pub(crate) struct LargeBatches {
    budgets: Budgets<TenantId>,
    patience: Duration,
    refusals: Refusals,
}

impl LargeBatches {
    pub(super) fn new(settings: &LimitSettings, patience: Duration, refusals: Refusals) -> Self {
        Self { budgets: Budgets::new(settings.cores, settings.cores / 2), patience, refusals }
    }

    /// The permit of a batch, held until the batch is stored. None: the batch is small.
    pub(crate) async fn wait(&self, tenant: TenantId, bytes: usize) -> Result<Option<Permit>, Refused> {
        if bytes < LARGE_BODY {
            return Ok(None);
        }
        let permit = self.budgets.take(tenant, 1, self.patience).await;
        permit.map(Some).map_err(|exhausted| self.refusals.exhausted("batches", exhausted))
    }
}
