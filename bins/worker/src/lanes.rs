//! The lanes this process holds: taking them, keeping them by heartbeat, and knowing by our own clock when one is lost.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use fail::fail_point;
use regua_store::lanes::{Lease, Taken};
use regua_store::{contacts, lanes};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::lane::{self, Context, Key, Lane};

/// A lease as its holder sees it: valid until a moment of our own monotonic clock that lies before the moment at which
/// others may take the lane over.
#[derive(Debug)]
pub(crate) struct Hold {
    pub(crate) epoch: i64,
    since: Instant,
    /// Cancelled when the lane is to go to another worker.
    pub(crate) leaving: CancellationToken,
    valid_until: Mutex<Instant>,
}

impl Hold {
    pub(crate) fn new(epoch: i64, valid_until: Instant) -> Self {
        let leaving = CancellationToken::new();
        Self { epoch, since: Instant::now(), leaving, valid_until: Mutex::new(valid_until) }
    }

    /// Whether the lane is certainly still ours.
    pub(crate) fn is_valid(&self) -> bool {
        Instant::now() < *self.valid_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set(&self, valid_until: Instant) {
        *self.valid_until.lock().unwrap_or_else(PoisonError::into_inner) = valid_until;
    }
}

/// All lanes of this process.
pub(crate) struct Lanes {
    context: Arc<Context>,
    held: Mutex<HashMap<Key, Arc<Hold>>>,
}

impl Lanes {
    pub(crate) fn new(context: Context) -> Arc<Self> {
        Arc::new(Self { context: Arc::new(context), held: Mutex::default() })
    }

    pub(crate) fn context(&self) -> &Context {
        &self.context
    }

    pub(crate) const fn shared(&self) -> &Arc<Context> {
        &self.context
    }

    /// Looks at a lane because somebody rang: takes it and lets it run, unless somebody holds it, who then looks once
    /// more. When this returns, the ring is durable.
    pub(crate) async fn ring(self: &Arc<Self>, key: Key) -> anyhow::Result<()> {
        let asked_at = Instant::now();
        let taking = regua_store::within(regua_store::PATIENCE, self.take(key));
        if let Some(lease) = taking.await? {
            self.serve(key, &lease, asked_at);
        }
        Ok(())
    }

    /// Lets a lane run that was taken by what was asked at `asked_at`.
    pub(crate) fn serve(self: &Arc<Self>, key: Key, lease: &Lease, asked_at: Instant) {
        let hold = Arc::new(Hold::new(lease.epoch, asked_at + self.trusted()));
        self.with_held(|held| held.insert(key, Arc::clone(&hold)));
        let served = Served { lanes: Arc::clone(self), key, epoch: lease.epoch };
        let lane = Lane::new(Arc::clone(&self.context), key, hold, lease);
        self.context.tasks.spawn(async move {
            let lanes = Arc::clone(&served.lanes);
            let next_due_at = lane.run().await;
            drop(served);
            if let Some(at) = next_due_at {
                lanes.ring_at(key, at);
            }
        });
    }

    /// Takes the lane and settles what its former owner left behind, in one transaction.
    pub(crate) async fn take(&self, key: Key) -> Result<Option<Lease>, sqlx::Error> {
        let Context { pool, settings, clock, .. } = &*self.context;
        let mut transaction = pool.begin().await?;
        let taken = lanes::take(&mut transaction, key.tenant, key.instance, &settings.name, settings.lease).await?;
        let lease = match taken {
            Taken::Ours(lease) => lease,
            Taken::Held | Taken::Missing => {
                transaction.commit().await?;
                return Ok(None);
            }
        };
        // An attempt that is under way in a lane that nobody holds is one whose outcome could not be written down.
        let lane = [(key.tenant, key.instance)];
        if lease.was_abandoned || !contacts::with_attempts_under_way(&mut transaction, &lane).await?.is_empty() {
            let unconfirmed =
                contacts::settle_abandoned(&mut transaction, key.tenant, key.instance, clock.now()).await?;
            tracing::warn!(tenant_id = %key.tenant, instance_id = %key.instance, epoch = lease.epoch, unconfirmed,
                "a lane was taken over from a worker that is gone");
        }
        fail_point!("take::before_commit");
        transaction.commit().await?;
        fail_point!("take::committed");
        Ok(Some(lease))
    }

    /// Rings for a retry that comes due soon. Should this process die before, periodic rings.
    fn ring_at(self: &Arc<Self>, key: Key, at: DateTime<Utc>) {
        let now = self.context.clock.now();
        if at > now + lane::NEAR {
            return;
        }
        // What is due and could not be claimed is locked by somebody: a moment's rest, not a hot loop.
        let at = at.max(now + TimeDelta::milliseconds(500));
        let lanes = Arc::clone(self);
        self.context.tasks.spawn(async move {
            tokio::select! {
                () = lanes.context.clock.sleep_until(at) => {}
                () = lanes.context.shutdown.cancelled() => return,
            }
            if let Err(error) = lanes.ring(key).await {
                tracing::warn!(error = format!("{error:#}"), instance_id = %key.instance, "a lane could not be taken");
            }
        });
    }

    /// Lanes that this process holds.
    pub(crate) fn count(&self) -> usize {
        self.with_held(|held| held.len())
    }

    /// Lanes that this process holds and has not asked to leave.
    pub(crate) fn count_staying(&self) -> usize {
        self.with_held(|held| held.values().filter(|hold| !hold.leaving.is_cancelled()).count())
    }

    /// Asks so many lanes to end what is on its way and be somebody else's; how many were asked. Those that have been here
    /// longest go, so that a lane that has just come stays.
    pub(crate) fn ask_to_leave(&self, number: usize) -> usize {
        if number == 0 {
            return 0;
        }
        let mut staying: Vec<_> =
            self.with_held(|held| held.values().filter(|hold| !hold.leaving.is_cancelled()).cloned().collect());
        staying.sort_unstable_by_key(|hold| hold.since);
        staying.truncate(number);
        staying.iter().for_each(|hold| hold.leaving.cancel());
        staying.len()
    }

    /// Prolongs all leases with one statement, every third of a lease.
    pub(crate) async fn heartbeat(self: Arc<Self>) {
        let Context { pool, settings, metrics, .. } = &*self.context;
        let mut ticks = tokio::time::interval(settings.lease / 3);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let held = self.with_held(|held| held.clone());
            metrics.lanes_held.set(i64::try_from(held.len()).unwrap_or(i64::MAX));
            if held.is_empty() {
                continue;
            }
            let asked_at = Instant::now();
            // One that is not answered must leave time for another.
            let beating = async {
                let mut transaction = pool.begin().await?;
                let ours = lanes::heartbeat(&mut transaction, &beats_of(&held), settings.lease).await?;
                transaction.commit().await?;
                Ok::<_, sqlx::Error>(ours)
            };
            match regua_store::within(settings.lease / 3, beating).await {
                Ok(ours) => self.keep(&held, &ours, asked_at + self.trusted()),
                Err(error) => tracing::warn!(%error, lanes = held.len(), "a heartbeat failed"),
            }
        }
    }

    fn keep(&self, held: &HashMap<Key, Arc<Hold>>, ours: &[lanes::Beat], valid_until: Instant) {
        let ours: HashMap<_, _> = ours.iter().map(|beat| ((beat.0, beat.1), beat.2)).collect();
        for (key, hold) in held {
            if ours.get(&(key.tenant, key.instance)) == Some(&hold.epoch) {
                hold.set(valid_until);
            } else if self.with_held(|now| now.contains_key(key)) && hold.is_valid() {
                self.context.metrics.leases_lost.inc();
                tracing::warn!(instance_id = %key.instance, epoch = hold.epoch, "a lane was lost");
                hold.set(Instant::now());
            }
        }
    }

    /// How long we trust a lease after we asked for it: a sixth less than PostgreSQL grants, for clocks that drift and
    /// for the time between our last look and the request.
    fn trusted(&self) -> Duration {
        self.context.settings.lease * 5 / 6
    }

    fn with_held<T>(&self, look: impl FnOnce(&mut HashMap<Key, Arc<Hold>>) -> T) -> T {
        look(&mut self.held.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn beats_of(held: &HashMap<Key, Arc<Hold>>) -> Vec<lanes::Beat> {
    held.iter().map(|(key, hold)| (key.tenant, key.instance, hold.epoch)).collect()
}

/// A lane in the list of those held, until it is dropped: also when its task panics, so that no heartbeat keeps a lane
/// that nobody serves.
struct Served {
    lanes: Arc<Lanes>,
    key: Key,
    epoch: i64,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.lanes.with_held(|held| {
            // A later hold of the same lane must not be forgotten by an earlier one.
            if held.get(&self.key).is_some_and(|current| current.epoch == self.epoch) {
                held.remove(&self.key);
            }
        });
    }
}
