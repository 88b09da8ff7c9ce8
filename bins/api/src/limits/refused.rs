//! The refusal of a request by a limit, and its metric.

use std::time::Duration;

use crate::metrics::ApiMetrics;

use super::budgets::Exhausted;

/// `Retry-After` for a holder whose budget is used up.
pub(super) const BUDGET_RETRY: Duration = Duration::from_secs(1);

/// Why a limit refuses a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The caller's rate or budget is used up; it may retry after this time.
    RateLimited(Duration),
    /// The process is overloaded.
    TooBusy,
}

/// Counts refusals by the limit that refused.
#[derive(Clone)]
pub(super) struct Refusals(ApiMetrics);

impl Refusals {
    pub(super) fn new(metrics: ApiMetrics) -> Self {
        Self(metrics)
    }

    pub(super) fn rate_limited(&self, layer: &str, retry_after: Duration) -> Refused {
        self.count(layer);
        Refused::RateLimited(retry_after)
    }

    pub(super) fn exhausted(&self, layer: &str, exhausted: Exhausted) -> Refused {
        match exhausted {
            Exhausted::Total => self.too_busy(layer),
            Exhausted::Holder => self.rate_limited(&format!("tenants_{layer}"), BUDGET_RETRY),
        }
    }

    pub(super) fn too_busy(&self, layer: &str) -> Refused {
        self.count(layer);
        Refused::TooBusy
    }

    pub(super) fn count(&self, layer: &str) {
        self.0.requests_refused.with_label_values(&[layer]).inc();
    }
}
