//! The budgets of a process: connections, requests under way, and memory of request bodies.

use std::net::IpAddr;
use std::time::Duration;

use regua_domain::TenantId;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::budgets::{Budgets, Permit};
use super::client_address::{ClientAddress, TrustedProxies};
use super::refused::{Refusals, Refused};
use super::settings::LimitSettings;

/// The unit of body memory, in bytes.
const PIECE: usize = 1024;
/// One tenant or address may have a quarter of a total.
const PARTS: usize = 4;

pub(crate) struct ConnectionBudget {
    budget: Budgets<IpAddr>,
    trusted_proxies: TrustedProxies,
    refusals: Refusals,
}

impl ConnectionBudget {
    pub(super) fn new(settings: &LimitSettings, refusals: Refusals) -> Self {
        let (connections, trusted_proxies) = (settings.connections, settings.trusted_proxies.clone());
        Self { budget: Budgets::new(connections, connections / PARTS), trusted_proxies, refusals }
    }

    /// A permit for a connection; none when there are too many. A trusted proxy has no budget of its own, because it
    /// connects for many clients.
    pub(crate) fn take(&self, peer: IpAddr) -> Option<Permit> {
        let peer = ClientAddress::new(peer);
        let holder = (!self.trusted_proxies.contains(peer.ip())).then(|| peer.site());
        let permit = self.budget.take_now(holder);
        permit.inspect_err(|_| self.refusals.count("connections")).ok()
    }
}

pub(crate) struct RequestBudget {
    all: Semaphore,
    tenants: Budgets<TenantId>,
    refusals: Refusals,
}

impl RequestBudget {
    pub(super) fn new(settings: &LimitSettings, refusals: Refusals) -> Self {
        let requests = settings.concurrent_requests;
        let all = Semaphore::new(requests.clamp(1, Semaphore::MAX_PERMITS));
        Self { all, tenants: Budgets::new(requests, requests / PARTS), refusals }
    }

    /// A permit among all requests.
    pub(crate) fn take(&self) -> Result<SemaphorePermit<'_>, Refused> {
        self.all.try_acquire().map_err(|_| self.refusals.too_busy("requests"))
    }

    /// A permit among the tenant's requests.
    pub(crate) async fn take_for_tenant(&self, tenant: TenantId) -> Result<Permit, Refused> {
        let permit = self.tenants.take(tenant, 1, Duration::ZERO).await;
        permit.map_err(|exhausted| self.refusals.exhausted("requests", exhausted))
    }
}

pub(crate) struct BodyBudget {
    pieces: Budgets<TenantId>,
    patience: Duration,
    refusals: Refusals,
}

impl BodyBudget {
    pub(super) fn new(settings: &LimitSettings, patience: Duration, refusals: Refusals) -> Self {
        let pieces = settings.body_bytes / PIECE;
        Self { pieces: Budgets::new(pieces, pieces / PARTS), patience, refusals }
    }

    /// A permit for the memory of a body.
    pub(crate) async fn take(&self, tenant: TenantId, bytes: usize) -> Result<Permit, Refused> {
        let permit = self.pieces.take(tenant, bytes.div_ceil(PIECE), self.patience).await;
        permit.map_err(|exhausted| self.refusals.exhausted("bodies", exhausted))
    }

    /// Gives back the memory above `bytes`.
    pub(crate) fn shrink(permit: &mut Permit, bytes: usize) {
        permit.shrink(bytes.div_ceil(PIECE));
    }
}
