//! The lanes that this process holds: acquires their leases, renews them by heartbeat, and invalidates a lease that was
//! not renewed in time by the process's own clock.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use fail::fail_point;
use regua_domain::LaneKey;
use regua_store::lanes::{Lease, LeaseResult};
use regua_store::{contacts, lanes, transact};
use tokio::time::MissedTickBehavior;

use crate::context::Context;
use crate::lane::Lane;
use crate::lease::HeldLease;

/// The worker itself rings for a retry that is due within this time; periodic rings for later ones.
const RING_WITHIN: TimeDelta = TimeDelta::seconds(60);

pub(crate) struct Lanes {
    context: Arc<Context>,
    held: Mutex<HashMap<LaneKey, Arc<HeldLease>>>,
}

impl Lanes {
    pub(crate) fn new(context: Context) -> Arc<Self> {
        Arc::new(Self { context: Arc::new(context), held: Mutex::default() })
    }

    pub(crate) const fn context(&self) -> &Arc<Context> {
        &self.context
    }

    /// Acquires the lane and serves it. If the lane is leased already, raises its bell instead, so that its holder
    /// claims once more before the release. Lease or bell is committed on return.
    pub(crate) async fn ring(self: &Arc<Self>, key: LaneKey) -> anyhow::Result<()> {
        let asked_at = Instant::now();
        let acquired = self.acquire(key).await?;
        if let Some(lease) = acquired {
            self.serve(key, &lease, asked_at);
        }
        Ok(())
    }

    /// Runs a lane whose lease was acquired by a request made at `asked_at`.
    pub(crate) fn serve(self: &Arc<Self>, key: LaneKey, lease: &Lease, asked_at: Instant) {
        let held = Arc::new(HeldLease::new(lease.epoch, asked_at + self.trusted()));
        self.with_held(|leases| leases.insert(key, Arc::clone(&held)));
        let served = ServedLane { lanes: Arc::clone(self), key, epoch: lease.epoch };
        let lane = Lane::new(Arc::clone(&self.context), key, held, lease);
        self.context.tasks.spawn(async move {
            let lanes = Arc::clone(&served.lanes);
            let next_due_at = lane.run().await;
            drop(served);
            if let Some(at) = next_due_at {
                lanes.ring_at(key, at);
            }
        });
    }

    /// Acquires the lease, and closes the attempts that its former owner abandoned.
    pub(crate) async fn acquire(&self, key: LaneKey) -> Result<Option<Lease>, sqlx::Error> {
        let Context { pool, settings, clock, .. } = &*self.context;
        let taking = transact(pool, async |conn| -> Result<_, sqlx::Error> {
            let result = lanes::lease(conn, key, &settings.name, settings.lease).await?;
            let LeaseResult::Leased(lease) = result else { return Ok(None) };
            // A lane that was released may have an attempt under way too: its worker could not write the outcome.
            if lease.was_abandoned || !contacts::with_attempts_under_way(conn, &[key]).await?.is_empty() {
                let unconfirmed = contacts::close_abandoned(conn, key, clock.now()).await?;
                tracing::warn!(tenant_id = %key.tenant, instance_id = %key.instance, epoch = lease.epoch, unconfirmed,
                    "a lane was taken over, and its abandoned attempts were closed");
            }
            fail_point!("take::before_commit");
            Ok(Some(lease))
        });
        let lease = taking.await?;
        if lease.is_some() {
            fail_point!("take::committed");
        }
        Ok(lease)
    }

    /// Rings for the lane at `at`, if that is within [`RING_WITHIN`]. If this process ends first, periodic rings.
    fn ring_at(self: &Arc<Self>, key: LaneKey, at: DateTime<Utc>) {
        let now = self.context.clock.now();
        if at > now + RING_WITHIN {
            return;
        }
        // `at` may have passed; the pause avoids a busy loop.
        let at = at.max(now + TimeDelta::milliseconds(500));
        let lanes = Arc::clone(self);
        self.context.tasks.spawn(async move {
            tokio::select! {
                () = lanes.context.clock.sleep_until(at) => {}
                () = lanes.context.shutdown.cancelled() => return,
            }
            lanes.ring_or_warn(key).await;
        });
    }

    /// Rings for the lane; a failure is only logged, because periodic rings again.
    pub(crate) async fn ring_or_warn(self: &Arc<Self>, key: LaneKey) {
        if let Err(error) = self.ring(key).await {
            tracing::warn!(error = format!("{error:#}"), instance_id = %key.instance, "a lane could not be acquired");
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.with_held(|held| held.len())
    }

    /// Lanes whose release was not requested.
    pub(crate) fn count_staying(&self) -> usize {
        self.with_held(|held| held.values().filter(|lease| !lease.release_requested.is_cancelled()).count())
    }

    /// Requests the release of up to `number` lanes, those held longest first; returns the number of requests.
    pub(crate) fn request_releases(&self, number: usize) -> usize {
        if number == 0 {
            return 0;
        }
        let mut staying: Vec<_> = self
            .with_held(|held| held.values().filter(|lease| !lease.release_requested.is_cancelled()).cloned().collect());
        staying.sort_unstable_by_key(|lease| lease.acquired_at);
        staying.truncate(number);
        staying.iter().for_each(|lease| lease.release_requested.cancel());
        staying.len()
    }

    /// Renews all leases in one statement, three times within the length of a lease.
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
            let leases: Vec<_> = held.iter().map(|(key, lease)| (*key, lease.epoch)).collect();
            let renewing = transact(pool, async |conn| lanes::heartbeat(conn, &leases, settings.lease).await);
            let renewing = Box::pin(renewing);
            // After a renewal without an answer, time for another one remains before the lease ends.
            match regua_store::within(settings.lease / 3, renewing).await {
                Ok(renewed) => self.apply_renewals(&held, &renewed.into_iter().collect(), asked_at + self.trusted()),
                Err(error) => tracing::warn!(%error, lanes = held.len(), "leases could not be renewed"),
            }
        }
    }

    fn apply_renewals(
        &self,
        held: &HashMap<LaneKey, Arc<HeldLease>>,
        renewed: &HashSet<(LaneKey, i64)>,
        valid_until: Instant,
    ) {
        for (key, lease) in held {
            if renewed.contains(&(*key, lease.epoch)) {
                lease.set_valid_until(valid_until);
            } else if self.with_held(|now| now.contains_key(key)) && lease.is_valid() {
                self.context.metrics.leases_lost.inc();
                tracing::warn!(instance_id = %key.instance, epoch = lease.epoch, "a lease was lost");
                lease.set_valid_until(Instant::now());
            }
        }
    }

    /// How long after its request a lease counts as valid here: a sixth less than PostgreSQL grants. The sixth covers
    /// clock drift and the time between the last check and the post.
    fn trusted(&self) -> Duration {
        self.context.settings.lease * 5 / 6
    }

    fn with_held<T>(&self, access: impl FnOnce(&mut HashMap<LaneKey, Arc<HeldLease>>) -> T) -> T {
        access(&mut self.held.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Removes a lane from the held ones on drop, also when the lane's task panics. The heartbeat then leaves the lane out,
/// and its lease expires.
struct ServedLane {
    lanes: Arc<Lanes>,
    key: LaneKey,
    epoch: i64,
}

impl Drop for ServedLane {
    fn drop(&mut self) {
        self.lanes.with_held(|held| {
            // The lane may have been acquired again, with a later epoch.
            if held.get(&self.key).is_some_and(|current| current.epoch == self.epoch) {
                held.remove(&self.key);
            }
        });
    }
}
