//! A budget of callers without a valid credential. Half of it is for known clients, so that strangers cannot keep a
//! user out who logs in again.

use std::net::IpAddr;

use super::budgets::{Budgets, Exhausted, Permit};
use super::client_address::ClientAddress;
use super::refused::{BUDGET_RETRY, Refusals, Refused};

/// One address may have a quarter of the half that it belongs to.
const PARTS: usize = 4;

pub(crate) struct HalvedBudget {
    known: Budgets<IpAddr>,
    strangers: Budgets<IpAddr>,
    layer: &'static str,
    refusals: Refusals,
}

impl HalvedBudget {
    pub(super) fn new(total: usize, layer: &'static str, refusals: Refusals) -> Self {
        let half = || Budgets::new(total / 2, total / 2 / PARTS);
        Self { known: half(), strangers: half(), layer, refusals }
    }

    /// A permit for one request of an address, at once. A known client is one whose address had a valid session lately,
    /// or whose device proves an earlier login.
    pub(crate) fn take(&self, address: Option<ClientAddress>, is_known: bool) -> Result<Permit, Refused> {
        let half = if is_known { &self.known } else { &self.strangers };
        half.take_now(address.map(ClientAddress::site)).map_err(|exhausted| match exhausted {
            Exhausted::Total => self.refusals.too_busy(self.layer),
            Exhausted::Holder => self.refusals.rate_limited(&format!("addresses_{}", self.layer), BUDGET_RETRY),
        })
    }
}
