//! Divides the lanes evenly among the live workers. Each worker computes its own target. A worker that holds more than
//! a twentieth above its target offers the excess, at most [`GROUP`] lanes at a time. A worker below its target takes
//! offered lanes, and lanes whose lease has expired.
//!
//! An offered lane is free, so a doorbell may take it too. After [`OFFER_TIMEOUT`] any worker takes it; six seconds
//! after the offer periodic rings for it.

mod target;

use std::sync::Arc;
use std::time::{Duration, Instant};

use fail::fail_point;
use regua_store::{TRANSACTION_TIMEOUT, contacts, lanes, transact, within, workers};
use tokio::time::MissedTickBehavior;

use crate::context::Context;
use crate::lanes::Lanes;

/// Time between two passes, and so the longest pause of an instance whose lane moves to another worker.
const INTERVAL: Duration = Duration::from_millis(500);

/// Most lanes that one pass offers, or takes.
const GROUP: usize = 200;

/// Most expired lanes that one pass takes: abandoned attempts must be closed in each.
const EXPIRED_GROUP: usize = 50;

/// How long an expired lane that one worker has found is hidden from the other workers.
const EXPIRED_TIMEOUT: Duration = Duration::from_secs(1);

/// After this time any worker takes an offered lane.
const OFFER_TIMEOUT: Duration = Duration::from_secs(3);

/// Rebalances until shutdown.
pub(crate) async fn run(lanes: Arc<Lanes>) {
    let shutdown = lanes.context().shutdown.clone();
    let mut rebalancer = Rebalancer::new(lanes);
    let mut ticks = tokio::time::interval(INTERVAL.min(rebalancer.heartbeat / 2));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut has_failed = false;
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            _ = ticks.tick() => {}
        }
        let passed = within(TRANSACTION_TIMEOUT, Box::pin(rebalancer.pass())).await;
        if let (Err(error), false) = (&passed, has_failed) {
            tracing::warn!(%error, "lanes cannot be rebalanced for now");
        }
        has_failed = passed.is_err();
    }
    // At once, while the lanes still finish their sends: the targets of the other workers then include these lanes.
    if let Err(error) = rebalancer.deregister().await {
        tracing::warn!(%error, "the worker's row was not deleted; others count the worker until it expires");
    }
}

struct Rebalancer {
    lanes: Arc<Lanes>,
    heartbeat: Duration,
    next_heartbeat: Instant,
    is_alone: bool,
    /// The worker is alone and no lane is offered or expired, so the passes until the next heartbeat do nothing.
    is_idle: bool,
    /// Lanes that this worker should hold.
    target: usize,
    /// Lanes whose lease expired, by the last count.
    expired: usize,
    /// Lanes to offer until the next heartbeat.
    excess: usize,
    /// Until then no lane is offered, because no worker took the last ones.
    no_offers_until: Instant,
}

impl Rebalancer {
    fn new(lanes: Arc<Lanes>) -> Self {
        let heartbeat = lanes.context().settings.lease / 3;
        let now = Instant::now();
        Self {
            lanes,
            heartbeat,
            next_heartbeat: now,
            is_alone: true,
            is_idle: true,
            target: 0,
            expired: 0,
            excess: 0,
            no_offers_until: now,
        }
    }

    async fn pass(&mut self) -> Result<(), sqlx::Error> {
        let is_heartbeat = Instant::now() >= self.next_heartbeat;
        if self.is_idle && !is_heartbeat {
            return Ok(());
        }
        let (offered, has_timed_out) = self.count(is_heartbeat).await?;
        self.is_idle = self.is_alone && offered == 0 && self.expired == 0;
        if is_heartbeat {
            // An eighth early. Otherwise a tick just before the heartbeat's time would delay the heartbeat by one
            // interval.
            self.next_heartbeat = Instant::now() + self.heartbeat - self.heartbeat / 8;
        }
        self.offer(offered);
        let missing = self.missing();
        if offered > 0 && missing > 0 {
            self.take_offered(missing.min(GROUP), Duration::ZERO).await?;
        } else if has_timed_out && self.take_offered(GROUP, OFFER_TIMEOUT).await? > 0 {
            // The workers below their target did not take these lanes, and would not take the next ones either.
            self.no_offers_until = Instant::now() + self.lanes.context().settings.lease;
        }
        self.take_expired().await
    }

    /// Returns the number of offered lanes, and whether one of them was offered more than [`OFFER_TIMEOUT`] ago.
    /// Computes the target at every heartbeat, and in every pass while lanes are offered, because lanes change workers
    /// then.
    async fn count(&mut self, is_heartbeat: bool) -> Result<(usize, bool), sqlx::Error> {
        let Context { pool, settings, .. } = &**self.lanes.context();
        transact(pool, async |conn| {
            if is_heartbeat {
                workers::heartbeat(conn, &settings.name, settings.lease).await?;
            }
            let offered = lanes::count_offered(conn, OFFER_TIMEOUT).await?;
            if is_heartbeat || offered.0 > 0 {
                let counts = workers::count_lanes(conn).await?;
                self.target = target::target(&settings.name, &counts);
                self.is_alone = counts.workers.len() < 2;
                self.expired = counts.expired;
            }
            if is_heartbeat {
                self.excess = target::excess(self.lanes.count_staying(), self.target);
            }
            Ok(offered)
        })
        .await
    }

    fn missing(&self) -> usize {
        self.target.saturating_sub(self.lanes.count_staying())
    }

    /// Requests the release of the next group of lanes, once other workers have taken the last group.
    fn offer(&mut self, offered: usize) {
        if Instant::now() < self.no_offers_until {
            self.excess = 0;
        }
        if offered >= GROUP {
            return;
        }
        let above = self.lanes.count_staying().saturating_sub(self.target);
        let requested = self.lanes.request_releases(self.excess.min(above).min(GROUP));
        self.excess = self.excess.min(above) - requested;
        if requested > 0 {
            let (held, target) = (self.lanes.count(), self.target);
            tracing::info!(lanes = requested, held, target, "lanes are offered to other workers");
        }
    }

    /// Takes up to `limit` lanes that were offered at least `offered_for` ago, and serves them; returns their number.
    async fn take_offered(&self, limit: usize, offered_for: Duration) -> Result<usize, sqlx::Error> {
        let Context { pool, settings, clock, metrics, .. } = &**self.lanes.context();
        let asked_at = Instant::now();
        let taking = transact(pool, async |conn| -> Result<_, sqlx::Error> {
            let leases = lanes::take_offered(conn, &settings.name, settings.lease, offered_for, limit).await?;
            for (lane, _) in leases.iter().filter(|(_, lease)| lease.was_abandoned) {
                let unconfirmed = contacts::close_abandoned(conn, *lane, clock.now()).await?;
                tracing::warn!(tenant_id = %lane.tenant, instance_id = %lane.instance, unconfirmed,
                    "the abandoned attempts of an offered lane were closed");
            }
            fail_point!("take_offered::before_commit");
            Ok(leases)
        });
        let leases = taking.await?;
        fail_point!("take_offered::committed");
        let count = leases.len();
        for (lane, lease) in leases {
            self.lanes.serve(lane, &lease, asked_at);
        }
        if count > 0 {
            metrics.lanes_taken_over.inc_by(count as u64);
            tracing::info!(lanes = count, held = self.lanes.count(), target = self.target, "offered lanes were taken");
        }
        Ok(count)
    }

    /// Takes lanes whose lease has expired, up to the target. The doorbells of periodic are not enough, because a
    /// frozen worker may receive one.
    async fn take_expired(&mut self) -> Result<(), sqlx::Error> {
        let limit = self.missing().min(self.expired).min(EXPIRED_GROUP);
        if limit == 0 {
            return Ok(());
        }
        let pool = &self.lanes.context().pool;
        let found = transact(pool, async |conn| lanes::find_expired(conn, EXPIRED_TIMEOUT, limit).await).await?;
        self.expired = if found.is_empty() { 0 } else { self.expired - found.len() };
        for lane in found {
            let lanes = Arc::clone(&self.lanes);
            self.lanes.context().tasks.spawn(async move { lanes.ring_or_warn(lane).await });
        }
        Ok(())
    }

    async fn deregister(&self) -> Result<(), sqlx::Error> {
        let Context { pool, settings, .. } = &**self.lanes.context();
        transact(pool, async |conn| workers::remove(conn, &settings.name).await).await
    }
}
