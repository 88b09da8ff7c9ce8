//! Permits of computations: large batches, and small ones, each have budgets of their own, so a small batch never waits
//! for a large one. A large batch has its permit from before its first transaction until it is stored; a small one while
//! it is parsed, and while it is composed. The parsing of a large webhook is among the small ones.

use std::time::Duration;

use regua_domain::TenantId;

use super::budgets::{Budgets, Permit};
use super::refused::{Refusals, Refused};
use super::settings::LimitSettings;

/// Bytes from which a body is large: some hundreds of contacts.
const LARGE_BODY: usize = 64 << 10;
/// How long a small batch waits while it has a connection to the database: many times what a usual one computes.
const SHORT_PATIENCE: Duration = Duration::from_millis(5);

pub(crate) struct Computations {
    large: Budgets<TenantId>,
    small: Budgets<TenantId>,
    patience: Duration,
    refusals: Refusals,
}

impl Computations {
    pub(super) fn new(settings: &LimitSettings, patience: Duration, refusals: Refusals) -> Self {
        let each = settings.cores / 2;
        // The total of small batches is no budget: a tenant would wait for the others.
        let small = Budgets::new(settings.concurrent_requests, each);
        Self { large: Budgets::new(settings.cores, each), small, patience, refusals }
    }

    /// Whether a batch or a webhook with a body of so many bytes is large.
    pub(crate) const fn is_large(bytes: usize) -> bool {
        bytes >= LARGE_BODY
    }

    pub(crate) async fn wait_large(&self, tenant: TenantId) -> Result<Permit, Refused> {
        let permit = self.large.take(tenant, 1, self.patience).await;
        permit.map_err(|exhausted| self.refusals.exhausted("batches", exhausted))
    }

    pub(crate) async fn wait_small(&self, tenant: TenantId) -> Result<Permit, Refused> {
        let permit = self.small.take(tenant, 1, self.patience).await;
        permit.map_err(|exhausted| self.refusals.exhausted("small_batches", exhausted))
    }

    /// The permit of a small batch, if it is free within a few milliseconds.
    pub(crate) async fn take_small(&self, tenant: TenantId) -> Option<Permit> {
        self.small.take(tenant, 1, SHORT_PATIENCE).await.ok()
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::metrics::ApiMetrics;

    #[tokio::test]
    async fn small_batches_of_a_tenant_wait_for_each_other_and_for_nothing_else() {
        let settings = LimitSettings { cores: 2, ..LimitSettings::default() };
        let refusals = Refusals::new(ApiMetrics::new(&regua_boot::Registry::default()).unwrap());
        let computations = Computations::new(&settings, Duration::ZERO, refusals);
        let [first, second, third] = [1, 2, 3].map(|number| TenantId(Uuid::from_u128(number)));
        let _large = (computations.wait_large(first).await.unwrap(), computations.wait_large(second).await.unwrap());
        assert_eq!(computations.wait_large(third).await.unwrap_err(), Refused::TooBusy);

        let small = computations.wait_small(first).await.unwrap();
        assert!(computations.take_small(first).await.is_none());
        assert!(matches!(computations.wait_small(first).await, Err(Refused::RateLimited(_))));
        let _others = (computations.wait_small(second).await.unwrap(), computations.take_small(third).await.unwrap());
        drop(small);
        assert!(computations.take_small(first).await.is_some());
    }
}
