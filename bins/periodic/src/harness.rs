//! Reconcilers for tests, which run their steps one at a time, in any order, and play the gateway. Each step is the
//! product's own code; this module decides nothing.

use std::sync::Arc;

use regua_boot::Clock;
use regua_evolution::{EvolutionClient, LookResult};
use regua_secrets::SecretKeys;
use regua_store::attempts::UnknownAttempt;
use sqlx::PgPool;
use tokio::sync::Notify;

use crate::config::PeriodicSettings;
use crate::context::Context;
use crate::metrics::PeriodicMetrics;
use crate::reconcilers::{retention, unconfirmed};
use crate::webhooks;

/// A periodic that does nothing by itself.
pub struct ManualPeriodic(Context);

impl ManualPeriodic {
    pub fn new(
        pool: PgPool,
        clock: Clock,
        metrics: PeriodicMetrics,
        gateway: EvolutionClient,
        secrets: SecretKeys,
        settings: PeriodicSettings,
    ) -> Self {
        Self(Context { pool, clock, metrics, gateway, secrets, settings, relay_wakeup: Arc::new(Notify::new()) })
    }

    pub async fn run_retention(&self) -> anyhow::Result<u64> {
        retention::pass(&self.0).await
    }

    pub async fn delete_old_events(&self) -> anyhow::Result<u64> {
        retention::events_pass(&self.0).await
    }

    /// Reads the unknown attempts whose next look is due, and hides them for the visibility timeout.
    pub async fn take_due(&self) -> anyhow::Result<Vec<UnknownAttempt>> {
        Ok(unconfirmed::take_due(&self.0).await?)
    }

    /// Learns evidence that was stored while the attempt was under way; returns whether there was any.
    pub async fn learn_stored_evidence(&self, attempt: &UnknownAttempt) -> anyhow::Result<bool> {
        unconfirmed::learn_stored_evidence(&self.0, attempt).await
    }

    pub async fn apply_look(&self, attempt: &UnknownAttempt, found: LookResult) -> anyhow::Result<()> {
        unconfirmed::apply_look(&self.0, attempt, found).await.map(drop)
    }

    pub async fn match_webhooks(&self) -> anyhow::Result<u64> {
        Ok(webhooks::pass(&self.0).await?.done)
    }
}
