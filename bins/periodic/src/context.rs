//! What all reconcilers use.

use std::sync::Arc;

use regua_boot::Clock;
use regua_domain::EvidenceSource;
use regua_evolution::EvolutionClient;
use regua_secrets::SecretKeys;
use regua_store::contacts::LearnResult;
use sqlx::PgPool;
use tokio::sync::Notify;

use crate::config::PeriodicSettings;
use crate::metrics::PeriodicMetrics;

#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) pool: PgPool,
    pub(crate) clock: Clock,
    pub(crate) metrics: PeriodicMetrics,
    pub(crate) gateway: EvolutionClient,
    pub(crate) secrets: SecretKeys,
    pub(crate) settings: PeriodicSettings,
    /// Wakes the relay after a pass that stored doorbells.
    pub(crate) relay_wakeup: Arc<Notify>,
}

impl Context {
    pub(crate) fn count_learnt(&self, source: EvidenceSource, learnt: LearnResult) {
        let source = source.as_str();
        match learnt {
            LearnResult::Moved { .. } => self.metrics.unconfirmed_settled.with_label_values(&[source]).inc(),
            LearnResult::Doubled => {
                self.metrics.messages_doubled.inc();
                tracing::error!(source, "the gateway proves that a contact got a second message");
            }
            LearnResult::Unchanged | LearnResult::NoAttempt => {}
        }
    }
}
