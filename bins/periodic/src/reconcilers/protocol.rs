//! The steps of a look one at a time, for a test that tries them in every order and plays the gateway itself. Nothing is
//! decided here.

use std::sync::Arc;

use regua_boot::{Clock, Metrics, SecretKeys};
use regua_evolution::{EvolutionClient, Found};
use regua_store::attempts::Sought;
use sqlx::PgPool;
use tokio::sync::Notify;

use super::{retention, unconfirmed, webhooks};
use crate::{Context, PeriodicSettings};

/// A periodic that does nothing by itself.
pub struct Replica(Context);

impl Replica {
    /// One with its own pool, and with these looks.
    pub fn new(
        pool: PgPool,
        clock: Clock,
        metrics: Metrics,
        gateway: EvolutionClient,
        secrets: SecretKeys,
        settings: PeriodicSettings,
    ) -> Self {
        Self(Context { pool, clock, metrics, gateway, secrets, settings, rang: Arc::new(Notify::new()) })
    }

    /// Erases and deletes what is over.
    ///
    /// # Errors
    /// The database's.
    pub async fn retain(&self) -> anyhow::Result<u64> {
        retention::round(&self.0).await
    }

    /// Takes what is due to be looked for.
    ///
    /// # Errors
    /// The database's.
    pub async fn take(&self) -> anyhow::Result<Vec<Sought>> {
        Ok(unconfirmed::take(&self.0).await?)
    }

    /// Whether a proof was kept while the attempt was still open, which settles it.
    ///
    /// # Errors
    /// The database's.
    pub async fn prove(&self, sought: &Sought) -> anyhow::Result<bool> {
        unconfirmed::prove(&self.0, sought).await
    }

    /// What follows from a look.
    ///
    /// # Errors
    /// The database's.
    pub async fn settle(&self, sought: &Sought, found: Found) -> anyhow::Result<()> {
        unconfirmed::settle(&self.0, sought, found).await.map(drop)
    }

    /// Matches the webhooks that are stored.
    ///
    /// # Errors
    /// The database's.
    pub async fn match_webhooks(&self) -> anyhow::Result<u64> {
        webhooks::round(&self.0).await
    }
}
