//! The budget of requests to gateways under way, checks and posts. Each holds a descriptor. One tenant has a quarter of
//! the budget, so gateways that do not answer delay only their own tenant.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use regua_boot::CountedLog;
use regua_boot::metric_kinds::IntGauge;
use regua_boot::{descriptor_limit, ensure_descriptors};
use regua_domain::TenantId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::metrics::WorkerMetrics;

/// Descriptors of the process beside gateways and database: broker, `/metrics`, name servers, logs.
const OTHER_DESCRIPTORS: u64 = 64;

/// The largest default. A request under way takes some ten kilobytes of memory.
const LARGEST_DEFAULT: u64 = 8192;

/// The fraction of the budget that one tenant may use.
const TENANT_PART: usize = 4;

/// The budget of a process with this limit of descriptors: half of those that the database leaves. The other half is
/// for connections that stay open for some seconds after their request.
pub(crate) fn default_size(descriptors: u64, database_connections: u32) -> usize {
    let size = free_descriptors(descriptors, database_connections) / 2;
    usize::try_from(size.clamp(1, LARGEST_DEFAULT)).unwrap_or(1)
}

/// A chosen budget. Refuses one that is larger than the descriptors that this process may open.
pub(crate) fn checked_size(size: u32, descriptors: u64, database_connections: u32) -> anyhow::Result<usize> {
    let free = free_descriptors(descriptors, database_connections);
    ensure_descriptors("MAX_SENDS_UNDER_WAY", size.into(), descriptors, free, "gateways")?;
    Ok(usize::try_from(size)?)
}

fn free_descriptors(descriptors: u64, database_connections: u32) -> u64 {
    descriptors.saturating_sub(OTHER_DESCRIPTORS + u64::from(database_connections))
}

/// The permits for requests to gateways. Tenants whose lanes wait get permits in turn.
pub(crate) struct SendBudget {
    worker: Arc<Semaphore>,
    of_one_tenant: usize,
    tenants: Mutex<HashMap<TenantId, Arc<TenantBudget>>>,
    metrics: WorkerMetrics,
    delayed: CountedLog,
    without_socket: CountedLog,
}

struct TenantBudget {
    permits: Arc<Semaphore>,
    /// Held while one lane of the tenant waits for the worker's budget. So each tenant has one place in that queue,
    /// however many of its lanes wait.
    turn: tokio::sync::Mutex<()>,
}

/// Permits one request to a gateway at a time.
pub(crate) struct SendPermit {
    _worker: OwnedSemaphorePermit,
    _tenant: OwnedSemaphorePermit,
    under_way: IntGauge,
}

impl Drop for SendPermit {
    fn drop(&mut self) {
        self.under_way.dec();
    }
}

impl SendBudget {
    /// A budget of `size` requests under way.
    pub(crate) fn new(size: usize, metrics: &WorkerMetrics) -> Self {
        Self {
            worker: Arc::new(Semaphore::new(size)),
            of_one_tenant: (size / TENANT_PART).max(1),
            tenants: Mutex::default(),
            metrics: metrics.clone(),
            delayed: CountedLog::default(),
            without_socket: CountedLog::default(),
        }
    }

    /// Waits until the tenant and the worker may make one more request. A caller that gives up loses its place and
    /// nothing else.
    pub(crate) async fn acquire(&self, tenant: TenantId) -> SendPermit {
        let budget = self.of(tenant);
        if budget.permits.available_permits() == 0 {
            self.count_delayed("tenant", tenant);
        } else if self.worker.available_permits() == 0 {
            self.count_delayed("worker", tenant);
        }
        let of_tenant = acquire(&budget.permits).await;
        let turn = budget.turn.lock().await;
        let of_worker = acquire(&self.worker).await;
        drop(turn);
        self.permit(of_worker, of_tenant)
    }

    /// A permit, if tenant and worker have one at once.
    pub(crate) fn try_acquire(&self, tenant: TenantId) -> Option<SendPermit> {
        let budget = self.of(tenant);
        let of_tenant = Arc::clone(&budget.permits).try_acquire_owned().ok()?;
        let of_worker = Arc::clone(&self.worker).try_acquire_owned().ok()?;
        Some(self.permit(of_worker, of_tenant))
    }

    fn permit(&self, worker: OwnedSemaphorePermit, tenant: OwnedSemaphorePermit) -> SendPermit {
        let under_way = self.metrics.sends_under_way.clone();
        under_way.inc();
        SendPermit { _worker: worker, _tenant: tenant, under_way }
    }

    fn of(&self, tenant: TenantId) -> Arc<TenantBudget> {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        let budget = tenants.entry(tenant).or_insert_with(|| {
            let permits = Arc::new(Semaphore::new(self.of_one_tenant));
            Arc::new(TenantBudget { permits, turn: tokio::sync::Mutex::default() })
        });
        Arc::clone(budget)
    }

    fn count_delayed(&self, layer: &str, tenant: TenantId) {
        self.metrics.sends_delayed.with_label_values(&[layer]).inc();
        if let Some(count) = self.delayed.count(Instant::now()) {
            tracing::warn!(count, layer, tenant_id = %tenant, of_one_tenant = self.of_one_tenant,
                "lanes wait for the budget of sends under way (MAX_SENDS_UNDER_WAY)");
        }
    }

    /// Records that this machine gave no socket for a request.
    pub(crate) fn count_without_socket(&self) {
        self.metrics.requests_without_socket.inc();
        if let Some(count) = self.without_socket.count(Instant::now()) {
            tracing::error!(
                count,
                descriptors = descriptor_limit(),
                "requests to gateways got no socket: raise ulimit -n, or lower MAX_SENDS_UNDER_WAY"
            );
        }
    }
}

async fn acquire(semaphore: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    loop {
        // It fails for a closed semaphore only, and no budget is closed.
        if let Ok(permit) = Arc::clone(semaphore).acquire_owned().await {
            return permit;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;
    use uuid::Uuid;

    use super::*;

    fn budget(size: usize) -> Arc<SendBudget> {
        Arc::new(SendBudget::new(size, &WorkerMetrics::new(&regua_boot::Registry::default()).unwrap()))
    }

    fn tenant(n: u128) -> TenantId {
        Uuid::from_u128(n).into()
    }

    async fn at_once(budget: &SendBudget, tenant: TenantId) -> Option<SendPermit> {
        timeout(Duration::ZERO, budget.acquire(tenant)).await.ok()
    }

    #[tokio::test]
    async fn one_tenant_has_a_quarter_and_the_others_do_not_wait_for_it() {
        let budget = budget(8);
        let held = [at_once(&budget, tenant(1)).await, at_once(&budget, tenant(1)).await];
        assert!(held.iter().all(Option::is_some));
        assert!(at_once(&budget, tenant(1)).await.is_none(), "a quarter is used up");
        assert!(at_once(&budget, tenant(2)).await.is_some());
        assert_eq!(budget.metrics.sends_under_way.get(), 2);
        drop(held);
        assert!(at_once(&budget, tenant(1)).await.is_some());
        assert_eq!(budget.metrics.sends_under_way.get(), 0);
        assert_eq!(budget.metrics.sends_delayed.with_label_values(&["tenant"]).get(), 1);
    }

    #[tokio::test]
    async fn waiting_tenants_get_permits_in_turn() {
        let budget = budget(8);
        let mut held = Vec::new();
        for n in [1, 1, 2, 2, 3, 3, 4, 4] {
            held.push(at_once(&budget, tenant(n)).await.unwrap());
        }
        // Two lanes of tenant 5 wait, then one of tenant 6.
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut waiting = tokio::task::JoinSet::new();
        for n in [5, 5, 6] {
            let (lane_budget, order) = (Arc::clone(&budget), Arc::clone(&order));
            waiting.spawn(async move {
                let permit = lane_budget.acquire(tenant(n)).await;
                order.lock().unwrap().push(n);
                permit
            });
            tokio::task::yield_now().await;
        }
        let mut got = Vec::new();
        for permit in held.drain(..3) {
            drop(permit);
            got.push(waiting.join_next().await.unwrap().unwrap());
        }
        assert_eq!(*order.lock().unwrap(), [5, 6, 5]);
    }

    #[tokio::test]
    async fn lane_that_stops_waiting_leaves_its_turn_to_the_next() {
        let budget = budget(1);
        let held = at_once(&budget, tenant(1)).await.unwrap();
        for n in [2, 2, 3] {
            assert!(at_once(&budget, tenant(n)).await.is_none());
        }
        drop(held);
        assert!(at_once(&budget, tenant(3)).await.is_some());
        assert!(at_once(&budget, tenant(2)).await.is_some());
    }

    #[test]
    fn budget_stays_below_the_descriptors_of_the_process() {
        let cases =
            [(1024, 16, 472), (2000, 16, 960), (200, 16, 60), (65_536, 16, 8192), (u64::MAX, 1000, 8192), (10, 16, 1)];
        for (descriptors, connections, size) in cases {
            assert_eq!(default_size(descriptors, connections), size, "{descriptors}");
        }
        assert_eq!(checked_size(944, 1024, 16).unwrap(), 944);
        let refused = checked_size(945, 1024, 16).unwrap_err().to_string();
        assert!(refused.contains("945") && refused.contains("1024") && refused.contains("944"), "{refused}");
    }
}
