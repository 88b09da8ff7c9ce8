//! Turns of batches: large batches wait for each other, and let small batches go first.

use std::time::{Duration, Instant};

use regua_domain::TenantId;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinError;

use super::budgets::{Budgets, Permit};
use super::low_priority_threads::LowPriorityThreads;
use super::refused::{Refusals, Refused};
use super::settings::LimitSettings;

/// Bytes of a body from which a batch is large: some hundreds of contacts.
const LARGE_BODY: usize = 64 << 10;
/// How long a large batch waits for small ones between two of its statements.
const LARGE_GIVES_WAY: Duration = Duration::from_millis(25);
/// How long a large batch waits for small ones in all, so that an endless stream of them does not block it.
const LARGE_GIVES_WAY_IN_ALL: Duration = Duration::from_secs(1);

pub(crate) struct BatchTurns {
    large: Budgets<TenantId>,
    small: Semaphore,
    small_under_way: watch::Sender<usize>,
    threads: LowPriorityThreads,
    patience: Duration,
    refusals: Refusals,
}

impl BatchTurns {
    pub(super) fn new(settings: &LimitSettings, patience: Duration, refusals: Refusals) -> std::io::Result<Self> {
        let cores = settings.cores;
        Ok(Self {
            large: Budgets::new(cores, cores / 2),
            small: Semaphore::new(cores.max(1)),
            small_under_way: watch::Sender::new(0),
            threads: LowPriorityThreads::open()?,
            patience,
            refusals,
        })
    }

    /// Waits for the turn of a batch. The large batches of a tenant wait for each other; a small batch does not wait.
    pub(crate) async fn wait(&self, tenant: TenantId, bytes: usize) -> Result<Turn<'_>, Refused> {
        if bytes < LARGE_BODY {
            return Ok(Turn::Small(SmallBatch::begin(self)));
        }
        let permit = self.large.take(tenant, 1, self.patience).await;
        permit
            .map(|_permit| Turn::Large { _permit, turns: self, gives_way_for: LARGE_GIVES_WAY_IN_ALL })
            .map_err(|exhausted| self.refusals.exhausted("batches", exhausted))
    }
}

/// The turn of a batch.
pub(crate) enum Turn<'a> {
    Large {
        _permit: Permit,
        turns: &'a BatchTurns,
        gives_way_for: Duration,
    },
    /// Each computation of a small batch waits for a core.
    Small(SmallBatch<'a>),
}

/// A small batch under way.
pub(crate) struct SmallBatch<'a>(&'a BatchTurns);

impl<'a> SmallBatch<'a> {
    fn begin(turns: &'a BatchTurns) -> Self {
        turns.small_under_way.send_modify(|count| *count += 1);
        Self(turns)
    }
}

impl Drop for SmallBatch<'_> {
    fn drop(&mut self) {
        self.0.small_under_way.send_modify(|count| *count -= 1);
    }
}

impl Turn<'_> {
    /// Runs a computation off the async threads, on at most as many cores as there are.
    pub(crate) async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, JoinError> {
        match self {
            Self::Large { turns, .. } => turns.threads.run(work).await,
            Self::Small(batch) => {
                let _core = batch.0.small.acquire().await;
                tokio::task::spawn_blocking(work).await
            }
        }
    }

    /// Lets small batches go first, between two statements of a large one: all share the cores of the database, and
    /// PostgreSQL has no priorities.
    pub(crate) async fn give_way(&mut self) {
        if let Self::Large { turns, gives_way_for, .. } = self {
            let (began, most) = (Instant::now(), LARGE_GIVES_WAY.min(*gives_way_for));
            let mut under_way = turns.small_under_way.subscribe();
            let _in_time = tokio::time::timeout(most, under_way.wait_for(|count| *count == 0)).await;
            *gives_way_for = gives_way_for.saturating_sub(began.elapsed());
        }
    }
}

#[cfg(test)]
mod tests;
