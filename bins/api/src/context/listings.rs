//! The database that a listing is read from: the replica while it answers and lags little, otherwise the primary.
//! Decisions and the status of one queue are always read from the primary.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use regua_domain::TenantId;
use regua_store::{server, within};
use sqlx::{PgConnection, PgPool};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::limits::{ConnectionPermit, TenantTransaction};
use crate::metrics::ApiMetrics;

/// How long the replica may take for a listing before the primary is read instead.
const PATIENCE: Duration = Duration::from_secs(1);
/// Time between two checks of the replica. A replica that failed is not read before the next check.
const CHECK_EVERY: Duration = Duration::from_secs(1);

/// A replica of the database for listings.
#[derive(Clone, Debug)]
pub struct ReplicaSettings {
    /// Connections to the replica.
    pub pool: PgPool,
    /// The lag up to which the replica is read.
    pub max_lag: Duration,
}

#[derive(Clone)]
pub(crate) struct Listings {
    primary: PgPool,
    replica: Option<Arc<Replica>>,
    metrics: ApiMetrics,
}

struct Replica {
    pool: PgPool,
    max_lag: Duration,
    /// None before the first check.
    is_used: Mutex<Option<bool>>,
}

impl Listings {
    pub(crate) fn new(primary: PgPool, replica: Option<ReplicaSettings>, metrics: ApiMetrics) -> Self {
        let replica =
            replica.map(|ReplicaSettings { pool, max_lag }| Replica { pool, max_lag, is_used: Mutex::new(None) });
        Self { primary, replica: replica.map(Arc::new), metrics }
    }

    /// Reads a listing of a tenant in a transaction that sees the tenant's rows.
    pub(crate) async fn list<T>(
        &self,
        tenant: TenantId,
        permit: ConnectionPermit,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error> + Copy,
    ) -> Result<T, sqlx::Error> {
        self.read(|database| list(database, tenant, permit.clone(), work)).await
    }

    /// Reads from one of the databases. A replica that fails or is slow is not read again before its next check, so only the requests
    /// under way at that moment wait for it; they are then answered from the primary.
    async fn read<'a, T, F>(&'a self, read: impl Fn(&'a PgPool) -> F) -> Result<T, sqlx::Error>
    where
        F: Future<Output = Result<T, sqlx::Error>>,
    {
        if let Some(replica) = self.replica.as_deref().filter(|replica| replica.is_used()) {
            match within(PATIENCE, read(&replica.pool)).await {
                Ok(found) => {
                    self.metrics.listings.with_label_values(&["replica"]).inc();
                    return Ok(found);
                }
                Err(error) => replica.set_state(Err(error.into())),
            }
        }
        self.metrics.listings.with_label_values(&["primary"]).inc();
        read(&self.primary).await
    }

    /// Checks the replica periodically until `shutdown`.
    pub(crate) async fn watch(self, shutdown: CancellationToken) {
        let Some(replica) = self.replica.as_deref() else { return };
        let mut lag = Lag::default();
        let mut checks = tokio::time::interval(CHECK_EVERY);
        checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = checks.tick() => {}
                () = shutdown.cancelled() => return,
            }
            // Without the primary the lag is unknown, and no caller can be authenticated.
            let Ok(written) = within(PATIENCE, written(&self.primary)).await else { continue };
            let replayed = within(PATIENCE * 2, replayed(&replica.pool)).await;
            replica.set_state(replayed.and_then(|replayed| {
                let lag = lag.update(written, replayed, Instant::now());
                self.metrics.replica_lag.set(i64::try_from(lag.as_millis()).unwrap_or(i64::MAX));
                anyhow::ensure!(lag <= replica.max_lag, "it lags {} s behind", lag.as_secs());
                Ok(())
            }));
        }
    }
}

impl Replica {
    fn is_used(&self) -> bool {
        *self.is_used.lock().unwrap_or_else(PoisonError::into_inner) == Some(true)
    }

    /// Uses the replica after a good check, and stops using it after a bad one. A change is logged.
    fn set_state(&self, check: anyhow::Result<()>) {
        let is_used = check.is_ok();
        let before = self.is_used.lock().unwrap_or_else(PoisonError::into_inner).replace(is_used);
        match check {
            _ if before == Some(is_used) => {}
            Ok(()) => tracing::info!("listings are read from the replica"),
            Err(error) => {
                tracing::warn!(
                    error = format!("{error:#}"),
                    "the replica is not used; listings are read from the primary"
                );
            }
        }
    }
}

async fn list<T>(
    database: &PgPool,
    tenant: TenantId,
    permit: ConnectionPermit,
    work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
) -> Result<T, sqlx::Error> {
    let mut transaction = TenantTransaction::begin(database, tenant, permit).await?;
    let found = work(&mut transaction).await?;
    transaction.commit().await?;
    Ok(found)
}

async fn written(primary: &PgPool) -> Result<i64, sqlx::Error> {
    let mut transaction = primary.begin().await?;
    let written = server::wal_position(&mut transaction).await?;
    transaction.commit().await?;
    Ok(written)
}

async fn replayed(replica: &PgPool) -> anyhow::Result<i64> {
    let mut transaction = replica.begin().await?;
    let replayed = server::replayed_position(&mut transaction).await?;
    transaction.commit().await?;
    replayed.context("DATABASE_REPLICA_URL names a server that is not a replica")
}

/// The lag of the replica: the age of the oldest change that it lacks. PostgreSQL's own figures do not serve: the age
/// of the last replayed change grows while nothing is written, and a disconnected replica reports no lag.
#[derive(Default)]
struct Lag {
    /// Positions of the primary that the replica has not reached and when each was read, oldest first: 2 MB a day.
    missing: VecDeque<(i64, Instant)>,
}

impl Lag {
    fn update(&mut self, written: i64, replayed: i64, now: Instant) -> Duration {
        if self.missing.back().is_none_or(|(last, _)| *last < written) {
            self.missing.push_back((written, now));
        }
        while self.missing.front().is_some_and(|(position, _)| *position <= replayed) {
            self.missing.pop_front();
        }
        self.missing.front().map_or(Duration::ZERO, |(_, since)| now.duration_since(*since))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use sqlx::postgres::PgPoolOptions;

    use super::*;

    #[tokio::test]
    async fn unresponsive_replica_is_read_once_and_not_again_before_its_next_check() {
        let [primary, pool] =
            [1, 2].map(|_| PgPoolOptions::new().connect_lazy("postgres://nobody@127.0.0.1:1/none").unwrap());
        let replica = Some(ReplicaSettings { pool, max_lag: Duration::from_secs(10) });
        let listings = Listings::new(primary, replica, ApiMetrics::new(&regua_boot::Registry::default()).unwrap());
        let replica = listings.replica.as_deref().unwrap();
        let reads = AtomicUsize::new(0);
        let read = |database: &PgPool| {
            let is_replica = std::ptr::eq(database, &replica.pool);
            let reads = &reads;
            async move {
                if is_replica {
                    reads.fetch_add(1, Ordering::Relaxed);
                    std::future::pending::<()>().await;
                }
                Ok(())
            }
        };
        listings.read(&read).await.unwrap();
        assert_eq!(reads.load(Ordering::Relaxed), 0, "the replica was not checked yet");
        replica.set_state(Ok(()));
        for _ in 0..3 {
            listings.read(&read).await.unwrap();
        }
        assert_eq!(reads.load(Ordering::Relaxed), 1);
        let primary = listings.metrics.listings.with_label_values(&["primary"]);
        assert_eq!(primary.get(), 4, "every listing was answered by the primary");
    }

    #[test]
    fn lag_is_the_age_of_the_oldest_change_that_the_replica_lacks() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut lag = Lag::default();
        assert_eq!(lag.update(100, 100, at(0)), Duration::ZERO);
        assert_eq!(lag.update(100, 100, at(60)), Duration::ZERO, "nothing was written meanwhile");
        assert_eq!(lag.update(200, 100, at(61)), Duration::ZERO);
        assert_eq!(lag.update(300, 150, at(63)), Duration::from_secs(2));
        assert_eq!(
            lag.update(300, 200, at(65)),
            Duration::from_secs(2),
            "the replica has the first change and lacks the second"
        );
        assert_eq!(lag.update(300, 300, at(66)), Duration::ZERO);
    }
}
