//! A worker for tests, which run its steps one at a time, in any order, with a crash between any two steps. Each step
//! is the product's own code with at most one transaction; this module decides nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use regua_boot::Clock;
use regua_domain::{AttemptId, InstanceId, LaneKey, Rule, TenantId};
use regua_evolution::{EvolutionClient, Outcome};
use regua_secrets::SecretKeys;
use regua_store::PinnedConnection;
use regua_store::contacts::{ClaimedContact, Finish};
use regua_store::lanes::Lease;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::attempt::{self, AttemptWriter, Mark, NotMarked};
use crate::claims::Claims;
use crate::config::WorkerSettings;
use crate::context::Context;
use crate::health::HealthChecks;
use crate::lane::{self, Lane, ReleaseResult};
use crate::lane_configs::LaneConfigs;
use crate::lanes::Lanes;
use crate::lease::HeldLease;
use crate::metrics::WorkerMetrics;
use crate::next_state::{next_state, not_posted};
use crate::send_budget::SendBudget;

/// A worker that does nothing by itself.
pub struct ManualWorker(Arc<Lanes>);

impl ManualWorker {
    pub fn new(
        pool: PgPool,
        clock: Clock,
        metrics: WorkerMetrics,
        gateway: EvolutionClient,
        secrets: SecretKeys,
        settings: WorkerSettings,
    ) -> Self {
        // The steps of a test commit marks and outcomes one by one, without the attempt writer.
        let (attempt_writer, _tasks) = AttemptWriter::start(&pool, &clock, &settings.name);
        Self(Lanes::new(Context {
            health_checks: HealthChecks::default(),
            send_budget: SendBudget::new(settings.max_sends_under_way, &metrics),
            lane_configs: LaneConfigs::start(&pool, &secrets),
            claims: Claims::start(&pool, &clock),
            pool,
            clock,
            metrics,
            gateway,
            secrets,
            attempt_writer,
            settings,
            shutdown: CancellationToken::new(),
            tasks: TaskTracker::new(),
        }))
    }

    /// Acquires the lane and closes the attempts that its former owner abandoned.
    pub async fn acquire(&self, tenant: TenantId, instance: InstanceId) -> Result<Option<ManualLane>, sqlx::Error> {
        let key = LaneKey { tenant, instance };
        Ok(self.0.acquire(key).await?.map(|lease| self.lane(key, &lease)))
    }

    fn lane(&self, key: LaneKey, acquired: &Lease) -> ManualLane {
        // A day: the test ends the lease by `end_lease`.
        let lease = Arc::new(HeldLease::new(acquired.epoch, Instant::now() + Duration::from_secs(86_400)));
        ManualLane(Lane::new(Arc::clone(self.0.context()), key, lease, acquired))
    }
}

pub struct ManualLane(Lane);

pub struct StopReason(lane::StopReason);

impl StopReason {
    pub const LEASE_LOST: Self = Self(lane::StopReason::LeaseLost);
    pub const RELEASE_REQUESTED: Self = Self(lane::StopReason::ReleaseRequested);
}

#[derive(Clone)]
pub struct MarkRequest(Mark);

impl MarkRequest {
    pub const fn attempt(&self) -> AttemptId {
        self.0.attempt_id()
    }

    pub const fn number(&self) -> i16 {
        self.0.attempt.number
    }
}

pub enum MarkResult {
    Send,
    /// The lane's slot has not come.
    NotYet,
    Hold(Option<DateTime<Utc>>, Rule),
    /// The contact is never sent, or the mark is outdated.
    Skip,
    LeaseLost,
}

impl ManualLane {
    pub fn epoch(&self) -> i64 {
        self.0.lease.epoch
    }

    pub async fn concurrency(&mut self) -> anyhow::Result<usize> {
        Ok(self.0.config().await?.concurrency)
    }

    /// Whether the lease is valid by the worker's own clock.
    pub fn is_lease_valid(&self) -> bool {
        self.0.lease.is_valid()
    }

    /// Ends the lease by the worker's own clock.
    pub fn end_lease(&self) {
        self.0.lease.set_valid_until(Instant::now());
    }

    /// Records that a step failed, perhaps after its commit.
    pub fn record_failed_step(&mut self) {
        self.0.may_have_open_attempts = true;
    }

    /// Claims contacts; a reason to stop when there are none.
    pub async fn claim(&mut self) -> anyhow::Result<Option<StopReason>> {
        let config = self.0.config().await?;
        Ok(self.0.claim(&config).await?.map(StopReason))
    }

    pub fn claimed(&self) -> impl Iterator<Item = &ClaimedContact> {
        self.0.claimed.iter()
    }

    pub fn pop_claimed(&mut self) -> Option<ClaimedContact> {
        self.0.claimed.pop_front()
    }

    pub fn push_claimed(&mut self, contact: ClaimedContact) {
        self.0.claimed.push_front(contact);
    }

    pub async fn mark_request(&mut self, contact: &ClaimedContact) -> anyhow::Result<MarkRequest> {
        let config = self.0.config().await?;
        Ok(MarkRequest(self.0.mark_of(contact, &config)))
    }

    /// Marks; `is_repeated` where an earlier request was not answered.
    pub async fn mark(&self, request: &MarkRequest, is_repeated: bool) -> Result<MarkResult, sqlx::Error> {
        let mark = Mark { is_repeated, ..request.0.clone() };
        let results = self.commit(&[&mark], &[]).await?;
        Ok(match results.into_iter().next() {
            Some(Ok(_)) => MarkResult::Send,
            Some(Err(NotMarked::Hold { rule: Rule::Pacing, .. })) => MarkResult::NotYet,
            Some(Err(NotMarked::Hold { until, rule })) => MarkResult::Hold(until, rule),
            Some(Err(NotMarked::Skip | NotMarked::Outdated { .. })) => MarkResult::Skip,
            Some(Err(NotMarked::LeaseLost)) | None => MarkResult::LeaseLost,
        })
    }

    /// Holds the contact's queue and drops its claimed contacts.
    pub async fn hold_claimed(
        &mut self,
        contact: &ClaimedContact,
        until: Option<DateTime<Utc>>,
        rule: Rule,
    ) -> anyhow::Result<()> {
        self.0.hold_claimed(contact.queue_id, until, rule).await
    }

    pub async fn finish_request(&mut self, mark: &MarkRequest, outcome: &Outcome) -> anyhow::Result<Finish> {
        let config = self.0.config().await?;
        let (attempt, now) = (mark.0.attempt, self.0.context.clock.now());
        let next = next_state(outcome, attempt.key.contact, u16::try_from(attempt.number)?, &config.retry, now);
        Ok(mark.0.finish(next))
    }

    pub fn not_posted(&self, mark: &MarkRequest) -> Finish {
        mark.0.finish(not_posted(self.0.context.clock.now()))
    }

    pub async fn finish(&self, request: &Finish) -> Result<(), sqlx::Error> {
        self.commit(&[], &[request]).await.map(drop)
    }

    /// Releases the lane; false when there is a reason to go on.
    pub async fn release(&mut self, reason: StopReason) -> anyhow::Result<bool> {
        Ok(matches!(self.0.release(reason.0).await?, ReleaseResult::Released { .. }))
    }

    async fn commit(&self, marks: &[&Mark], finishes: &[&Finish]) -> Result<Vec<attempt::MarkResult>, sqlx::Error> {
        let Context { pool, settings, clock, .. } = &*self.0.context;
        attempt::commit(PinnedConnection::new(pool.clone()).get().await?, &settings.name, marks, finishes, clock.now())
            .await
    }
}
