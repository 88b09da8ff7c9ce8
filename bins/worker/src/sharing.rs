//! Sharing: the workers that live divide the lanes among them evenly. Each counts at its heartbeat and works out its share
//! for itself, so nobody decides for the others. Whoever holds clearly more than its share lets the excess go, a group at
//! a time, and whoever holds less takes what was let go, or what a dead worker left.
//!
//! Nothing is lost on the way: a lane that was let go is free, says so in its row, and carries there when its number may
//! send again. Where nobody takes it in time, whoever looks first does; after that it is one of periodic's.

mod fair;

use std::sync::Arc;
use std::time::{Duration, Instant};

use fail::fail_point;
use regua_store::{PATIENCE, contacts, lanes, within, workers};
use tokio::time::MissedTickBehavior;

use crate::lane::{Context, Key};
use crate::lanes::Lanes;

/// Between two looks at what is offered: for so long a number pauses when it changes hands.
const GLANCE: Duration = Duration::from_millis(500);

/// Lanes that are let go, or taken, at one glance.
const GROUP: usize = 200;

/// Lanes of a dead worker that are taken over at one glance: there is something to settle in each.
const LOST_GROUP: usize = 50;

/// For so long a lane that somebody was told of is left to them.
const TOLD_PAUSE: Duration = Duration::from_secs(1);

/// After so long without a taker an offered lane is anybody's.
const UNWANTED_AFTER: Duration = Duration::from_secs(3);

/// Shares the lanes with other workers until shutdown.
pub(crate) async fn run(lanes: Arc<Lanes>) {
    let shutdown = lanes.context().shutdown.clone();
    let mut sharing = Sharing::new(lanes);
    let mut glances = tokio::time::interval(GLANCE.min(sharing.beat / 2));
    glances.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut has_failed = false;
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            _ = glances.tick() => {}
        }
        let glanced = within(PATIENCE, sharing.glance()).await;
        if let (Err(error), false) = (&glanced, has_failed) {
            tracing::warn!(%error, "lanes are not shared for now");
        }
        has_failed = glanced.is_err();
    }
    // First of all, so that the others count without us, and take what we are about to let go.
    if let Err(error) = within(PATIENCE, sharing.leave()).await {
        tracing::warn!(%error, "this worker counts for a little longer");
    }
}

struct Sharing {
    lanes: Arc<Lanes>,
    beat: Duration,
    next_beat: Instant,
    is_alone: bool,
    /// Nobody else is there, and nothing waits: the next look is the next heartbeat's.
    is_quiet: bool,
    /// Lanes that this worker should hold.
    share: usize,
    /// Lanes whose lease ran out, as far as was seen.
    lost: usize,
    /// Lanes that are to be let go until the next beat.
    excess: usize,
    /// Nobody took what was let go: until then nothing more is.
    keeps_until: Instant,
}

impl Sharing {
    fn new(lanes: Arc<Lanes>) -> Self {
        let beat = lanes.context().settings.lease / 3;
        let now = Instant::now();
        Self {
            lanes,
            beat,
            next_beat: now,
            is_alone: true,
            is_quiet: true,
            share: 0,
            lost: 0,
            excess: 0,
            keeps_until: now,
        }
    }

    /// One look, and a heartbeat when it is time. A worker that is alone looks at its heartbeats only.
    async fn glance(&mut self) -> Result<(), sqlx::Error> {
        let is_beat = Instant::now() >= self.next_beat;
        if self.is_quiet && !is_beat {
            return Ok(());
        }
        let (offered, is_any_unwanted) = self.look(is_beat).await?;
        self.is_quiet = self.is_alone && offered == 0 && self.lost == 0;
        if is_beat {
            // A little early counts, or every other look would be one too late.
            self.next_beat = Instant::now() + self.beat - self.beat / 8;
        }
        self.let_go(offered);
        let missing = self.missing();
        if offered > 0 && missing > 0 {
            self.take(missing.min(GROUP), Duration::ZERO).await?;
        } else if is_any_unwanted && self.take(GROUP, UNWANTED_AFTER).await? > 0 {
            // Whoever ought to take them cannot: they would come back again and again.
            self.keeps_until = Instant::now() + self.lanes.context().settings.lease;
        }
        self.take_over().await
    }

    /// How much is offered, and whether any of it has been for too long. The share is worked out anew at every heartbeat,
    /// and while lanes change hands, because others do the same with newer counts.
    async fn look(&mut self, is_beat: bool) -> Result<(usize, bool), sqlx::Error> {
        let Context { pool, settings, .. } = self.lanes.context();
        let mut transaction = pool.begin().await?;
        let conn = &mut *transaction;
        if is_beat {
            workers::beat(conn, &settings.name, settings.lease).await?;
        }
        let offers = lanes::offers(conn, UNWANTED_AFTER).await?;
        if is_beat || offers.0 > 0 {
            let survey = workers::survey(conn).await?;
            self.share = fair::share(&settings.name, &survey);
            self.is_alone = survey.workers.len() < 2;
            self.lost = survey.expired;
        }
        if is_beat {
            self.excess = fair::excess(self.lanes.count_staying(), self.share);
        }
        transaction.commit().await?;
        Ok(offers)
    }

    /// Lanes that this worker holds too few.
    fn missing(&self) -> usize {
        self.share.saturating_sub(self.lanes.count_staying())
    }

    /// Asks the next group of lanes to end what is on its way and go; not while others are still busy with the last one.
    fn let_go(&mut self, offered: usize) {
        if Instant::now() < self.keeps_until {
            self.excess = 0;
        }
        if offered >= GROUP {
            return;
        }
        let still = self.lanes.count_staying().saturating_sub(self.share);
        let asked = self.lanes.ask_to_leave(self.excess.min(still).min(GROUP));
        self.excess = self.excess.min(still) - asked;
        if asked > 0 {
            tracing::info!(lanes = asked, held = self.lanes.count(), share = self.share, "lanes are let go for others");
        }
    }

    /// Takes up to `limit` lanes that were offered at least so long ago, and serves them.
    async fn take(&self, limit: usize, offered_for: Duration) -> Result<usize, sqlx::Error> {
        let Context { pool, settings, clock, metrics, .. } = self.lanes.context();
        let asked_at = Instant::now();
        let mut transaction = pool.begin().await?;
        let taken = lanes::take_offered(&mut transaction, &settings.name, settings.lease, offered_for, limit).await?;
        for (tenant, instance, _) in taken.iter().filter(|(.., lease)| lease.was_abandoned) {
            let unconfirmed = contacts::settle_abandoned(&mut transaction, *tenant, *instance, clock.now()).await?;
            tracing::warn!(tenant_id = %tenant, instance_id = %instance, unconfirmed, "an offered lane had to be settled");
        }
        fail_point!("take_offered::before_commit");
        transaction.commit().await?;
        fail_point!("take_offered::committed");
        let count = taken.len();
        for (tenant, instance, lease) in taken {
            self.lanes.serve(Key { tenant, instance }, &lease, asked_at);
        }
        if count > 0 {
            metrics.lanes_taken_over.inc_by(count as u64);
            tracing::info!(lanes = count, held = self.lanes.count(), share = self.share, "offered lanes were taken");
        }
        Ok(count)
    }

    /// Takes lanes over that a dead worker held, up to the share. Periodic rings for them too, but a doorbell may be heard by
    /// one that stands still.
    async fn take_over(&mut self) -> Result<(), sqlx::Error> {
        let limit = self.missing().min(self.lost).min(LOST_GROUP);
        if limit == 0 {
            return Ok(());
        }
        let pool = &self.lanes.context().pool;
        let mut transaction = pool.begin().await?;
        let found = lanes::find_expired(&mut transaction, TOLD_PAUSE, limit).await?;
        transaction.commit().await?;
        self.lost = if found.is_empty() { 0 } else { self.lost - found.len() };
        for (tenant, instance) in found {
            let lanes = Arc::clone(&self.lanes);
            self.lanes.context().tasks.spawn(async move {
                if let Err(error) = lanes.ring(Key { tenant, instance }).await {
                    tracing::warn!(error = format!("{error:#}"), instance_id = %instance, "a lane could not be taken");
                }
            });
        }
        Ok(())
    }

    async fn leave(&self) -> Result<(), sqlx::Error> {
        let Context { pool, settings, .. } = self.lanes.context();
        let mut transaction = pool.begin().await?;
        workers::remove(&mut transaction, &settings.name).await?;
        transaction.commit().await
    }
}
