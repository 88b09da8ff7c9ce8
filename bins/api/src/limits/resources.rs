//! The budgets of a process: requests under way, bodies being received, and memory of bodies.

use std::time::Duration;

use regua_domain::TenantId;

use super::budgets::{Budgets, Permit};
use super::refused::{Refusals, Refused};
use super::settings::LimitSettings;

/// The unit of body memory, in bytes.
const PIECE: usize = 1024;
/// One request in this many may be receiving its body.
const RECEIVING: usize = 2;
/// Refused bodies are discarded for one request in this many.
const DISCARDING: usize = 8;
/// One tenant or address may have a quarter of a total.
pub(super) const PARTS: usize = 4;

pub(crate) struct RequestBudget {
    tenants: Budgets<TenantId>,
    receiving: Budgets<TenantId>,
    discarding: Budgets<TenantId>,
    refusals: Refusals,
}

impl RequestBudget {
    pub(super) fn new(settings: &LimitSettings, refusals: Refusals) -> Self {
        let requests = settings.concurrent_requests;
        let tenants = |total| Budgets::new(total, total / PARTS);
        let (receiving, discarding) = (tenants(requests / RECEIVING), tenants(requests / DISCARDING));
        Self { tenants: tenants(requests), receiving, discarding, refusals }
    }

    /// A permit among the tenant's requests and among all. A request takes it when its credential is found valid, so
    /// requests that are refused by then take nothing from other tenants.
    pub(crate) async fn take_for_tenant(&self, tenant: TenantId) -> Result<Permit, Refused> {
        let permit = self.tenants.take(tenant, 1, Duration::ZERO).await;
        permit.map_err(|exhausted| self.refusals.exhausted("requests", exhausted))
    }

    /// A permit to receive the body of a tenant's request, until it is read. Slow bodies of a tenant leave permits of
    /// its requests to its other requests.
    pub(crate) fn receive_body(&self, tenant: TenantId) -> Result<Permit, Refused> {
        let permit = self.receiving.take_now(Some(tenant));
        permit.map_err(|exhausted| self.refusals.exhausted("receiving", exhausted))
    }

    /// A permit to discard the rest of a refused body, which holds no permit among the requests.
    pub(crate) fn discard_body(&self, tenant: TenantId) -> Result<Permit, Refused> {
        let permit = self.discarding.take_now(Some(tenant));
        permit.map_err(|exhausted| self.refusals.exhausted("discarding", exhausted))
    }
}

pub(crate) struct BodyBudget {
    layer: &'static str,
    pieces: Budgets<TenantId>,
    patience: Duration,
    refusals: Refusals,
}

impl BodyBudget {
    pub(super) fn new(layer: &'static str, bytes: usize, patience: Duration, refusals: Refusals) -> Self {
        let pieces = bytes / PIECE;
        Self { layer, pieces: Budgets::new(pieces, pieces / PARTS), patience, refusals }
    }

    /// A permit for the memory of a body.
    pub(crate) async fn take(&self, tenant: TenantId, bytes: usize) -> Result<Permit, Refused> {
        let permit = self.pieces.take(tenant, bytes.div_ceil(PIECE), self.patience).await;
        permit.map_err(|exhausted| self.refusals.exhausted(self.layer, exhausted))
    }

    /// Gives back the memory above `bytes`.
    pub(crate) fn shrink(permit: &mut Permit, bytes: usize) {
        permit.shrink(bytes.div_ceil(PIECE));
    }
}
