//! Where listings are read: from the replica while it answers and is not far behind, and else from the primary. All that
//! decides something, and the status of one queue, is read from the primary: a replica shows what was.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use regua_boot::Metrics;
use regua_store::{server, within};
use sqlx::PgPool;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

/// How long the replica may take for a listing before the primary is asked instead.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often the replica is looked at. For so long, at least, a replica that failed is left alone.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A replica of the database for listings.
#[derive(Clone, Debug)]
pub struct ReplicaSettings {
    /// The replica.
    pub pool: PgPool,
    /// By how much it may be behind.
    pub max_lag: Duration,
}

/// Both databases.
#[derive(Clone)]
pub(crate) struct Listings {
    primary: PgPool,
    replica: Option<Arc<Replica>>,
    metrics: Metrics,
}

struct Replica {
    pool: PgPool,
    max_lag: Duration,
    /// None until it was looked at for the first time.
    is_used: Mutex<Option<bool>>,
}

impl Listings {
    pub(crate) fn new(primary: PgPool, replica: Option<ReplicaSettings>, metrics: Metrics) -> Self {
        let replica =
            replica.map(|ReplicaSettings { pool, max_lag }| Replica { pool, max_lag, is_used: Mutex::new(None) });
        Self { primary, replica: replica.map(Arc::new), metrics }
    }

    /// Reads a listing. Whatever goes wrong at the replica, the primary is asked, and the replica is left alone until it
    /// was looked at again: only the requests that are on their way when it goes wait for it.
    pub(crate) async fn read<'a, T, F>(&'a self, read: impl Fn(&'a PgPool) -> F) -> Result<T, sqlx::Error>
    where
        F: Future<Output = Result<T, sqlx::Error>>,
    {
        if let Some(replica) = self.replica.as_deref().filter(|replica| replica.is_used()) {
            match within(PATIENCE, read(&replica.pool)).await {
                Ok(found) => {
                    self.metrics.listings.with_label_values(&["replica"]).inc();
                    return Ok(found);
                }
                Err(error) => replica.note(Err(error.into())),
            }
        }
        self.metrics.listings.with_label_values(&["primary"]).inc();
        read(&self.primary).await
    }

    /// Looks at the replica until `shutdown`.
    pub(crate) async fn watch(self, shutdown: CancellationToken) {
        let Some(replica) = self.replica.as_deref() else { return };
        let mut lag = Lag::default();
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = looks.tick() => {}
                () = shutdown.cancelled() => return,
            }
            // While the primary is away nobody can tell, and nobody can log in.
            let Ok(written) = within(PATIENCE, written(&self.primary)).await else { continue };
            let looked = within(PATIENCE * 2, replayed(&replica.pool)).await;
            let behind = looked.map(|replayed| lag.after(written, replayed, Instant::now()));
            if let Ok(behind) = &behind {
                self.metrics.replica_lag.set(i64::try_from(behind.as_millis()).unwrap_or(i64::MAX));
            }
            replica.note(behind.and_then(|behind| {
                let seconds = behind.as_secs();
                anyhow::ensure!(behind <= replica.max_lag, "it is {seconds} s behind");
                Ok(())
            }));
        }
    }
}

impl Replica {
    fn is_used(&self) -> bool {
        *self.is_used.lock().unwrap_or_else(PoisonError::into_inner) == Some(true)
    }

    /// Says so when it changes.
    fn note(&self, looked: anyhow::Result<()>) {
        let is_well = looked.is_ok();
        let before = self.is_used.lock().unwrap_or_else(PoisonError::into_inner).replace(is_well);
        match looked {
            _ if before == Some(is_well) => {}
            Ok(()) => tracing::info!("listings are read from the replica"),
            Err(error) => {
                tracing::warn!(
                    error = format!("{error:#}"),
                    "the replica is left alone; listings are read from the primary"
                );
            }
        }
    }
}

async fn written(primary: &PgPool) -> Result<i64, sqlx::Error> {
    let mut transaction = primary.begin().await?;
    let written = server::written(&mut transaction).await?;
    transaction.commit().await?;
    Ok(written)
}

async fn replayed(replica: &PgPool) -> anyhow::Result<i64> {
    let mut transaction = replica.begin().await?;
    let replayed = server::replayed(&mut transaction).await?;
    transaction.commit().await?;
    replayed.context("DATABASE_REPLICA_URL leads to a server that is no replica")
}

/// By how much the replica is behind: the age of the oldest change that it does not have. PostgreSQL's own answers are
/// of no use: the time of the last change that was replayed grows while nothing is written, and a replica that was cut off
/// believes that it has everything.
#[derive(Default)]
struct Lag {
    /// Where the primary was and when, oldest first: only what the replica has not reached. A day of them is 2 MB.
    missing: VecDeque<(i64, Instant)>,
}

impl Lag {
    fn after(&mut self, written: i64, replayed: i64, now: Instant) -> Duration {
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
    async fn one_request_waits_for_a_replica_that_is_silent_and_the_next_ones_do_not_ask_it() {
        let [primary, pool] =
            [1, 2].map(|_| PgPoolOptions::new().connect_lazy("postgres://nobody@127.0.0.1:1/none").unwrap());
        let replica = Some(ReplicaSettings { pool, max_lag: Duration::from_secs(10) });
        let listings = Listings::new(primary, replica, Metrics::new().unwrap());
        let replica = listings.replica.as_deref().unwrap();
        let asked = AtomicUsize::new(0);
        let read = |database: &PgPool| {
            let is_replica = std::ptr::eq(database, &replica.pool);
            let asked = &asked;
            async move {
                if is_replica {
                    asked.fetch_add(1, Ordering::Relaxed);
                    std::future::pending::<()>().await;
                }
                Ok(())
            }
        };
        listings.read(&read).await.unwrap();
        assert_eq!(asked.load(Ordering::Relaxed), 0, "nobody has looked at it yet");
        replica.note(Ok(()));
        for _ in 0..3 {
            listings.read(&read).await.unwrap();
        }
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        let primary = listings.metrics.listings.with_label_values(&["primary"]);
        assert_eq!(primary.get(), 4, "each was answered");
    }

    #[test]
    fn a_replica_is_behind_by_the_age_of_the_oldest_change_that_it_lacks() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut lag = Lag::default();
        assert_eq!(lag.after(100, 100, at(0)), Duration::ZERO);
        assert_eq!(lag.after(100, 100, at(60)), Duration::ZERO, "nothing was written");
        assert_eq!(lag.after(200, 100, at(61)), Duration::ZERO);
        assert_eq!(lag.after(300, 150, at(63)), Duration::from_secs(2));
        assert_eq!(lag.after(300, 200, at(65)), Duration::from_secs(2), "it has the first and lacks the second");
        assert_eq!(lag.after(300, 300, at(66)), Duration::ZERO);
    }
}
