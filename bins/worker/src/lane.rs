//! A lane: one task that sends through one instance. The task claims contacts. For each contact it waits for the next
//! slot, checks that the instance is connected, marks the attempt, posts it once, and finishes it. The lane marks the
//! next contact while the attempt writer commits an outcome.

mod budget;
mod claim;
mod release;
mod send_task;
mod sends;
mod sent_log;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use regua_domain::{ContactId, InstanceState, LaneKey, QueueId};
use regua_evolution::Reason;
use regua_store::contacts::ClaimedContact;
use regua_store::lanes::Lease;
use regua_store::{TRANSACTION_TIMEOUT, instances, transact, within};
use tokio::task::JoinSet;

pub(crate) use self::release::ReleaseResult;
use self::send_task::SendReport;
use crate::attempt::OutcomeReceipt;
use crate::claims::ClaimedQueue;
use crate::context::Context;
use crate::health::Health;
use crate::lane_configs::LaneConfig;
use crate::lease::HeldLease;
use crate::send_budget::SendPermit;

/// How long a lane uses a configuration before it reads it again.
const CONFIG_TTL: Duration = Duration::from_secs(10);

pub(crate) enum StopReason {
    /// No contact is due before `next_due_at`.
    Idle {
        next_due_at: Option<DateTime<Utc>>,
    },
    /// A check with this configuration's address found that the instance cannot send.
    InstanceDown {
        config: Arc<LaneConfig>,
        state: InstanceState,
        reason: String,
        cause: Option<Reason>,
    },
    /// The lease is lost, or no longer certain.
    LeaseLost,
    /// The rebalancer offers the lane to other workers.
    ReleaseRequested,
    Shutdown,
}

/// One lane while this process holds its lease.
pub(crate) struct Lane {
    pub(crate) context: Arc<Context>,
    key: LaneKey,
    pub(crate) lease: Arc<HeldLease>,
    seen_bell: i64,
    next_send_at: Option<DateTime<Utc>>,
    config: Option<(Instant, Arc<LaneConfig>)>,
    last_seen_open: Option<Instant>,
    /// Claimed contacts that are not marked yet.
    pub(crate) claimed: VecDeque<ClaimedContact>,
    /// The queues of `claimed`.
    queues: HashMap<QueueId, ClaimedQueue>,
    sends: JoinSet<SendReport>,
    /// The contacts whose send tasks are in `sends`.
    sending: HashSet<ContactId>,
    /// Contacts that could not be marked since the last claim, because another transaction holds or changed them.
    outdated: HashSet<ContactId>,
    /// Receipts of outcomes that may not be written yet, the oldest first.
    receipts: VecDeque<OutcomeReceipt>,
    /// Number of claims of this lease.
    turn: u64,
    /// True after a failed step or a panic: an attempt of this lease may be under way without a send task.
    pub(crate) may_have_open_attempts: bool,
}

impl Lane {
    pub(crate) fn new(context: Arc<Context>, key: LaneKey, lease: Arc<HeldLease>, acquired: &Lease) -> Self {
        Self {
            context,
            key,
            lease,
            seen_bell: acquired.bell,
            next_send_at: acquired.next_send_at,
            config: None,
            last_seen_open: None,
            claimed: VecDeque::new(),
            queues: HashMap::new(),
            sends: JoinSet::new(),
            sending: HashSet::new(),
            outdated: HashSet::new(),
            receipts: VecDeque::new(),
            turn: 0,
            may_have_open_attempts: false,
        }
    }

    /// Sends until the lane must stop, and releases it; returns when the next contact is due.
    #[tracing::instrument(name = "lane", skip_all, fields(tenant_id = %self.key.tenant, instance_id = %self.key.instance, epoch = self.lease.epoch))]
    pub(crate) async fn run(mut self) -> Option<DateTime<Utc>> {
        loop {
            let reason = match self.work().await {
                Ok(reason) => reason,
                Err(error) => {
                    self.may_have_open_attempts = true;
                    tracing::warn!(error = format!("{error:#}"), "a step of a lane failed");
                    if !Box::pin(self.pause_after_error()).await {
                        return None;
                    }
                    continue;
                }
            };
            self.await_sends().await;
            // Rare futures are boxed, or each of thousands of lane tasks would reserve memory for them.
            match Box::pin(within(TRANSACTION_TIMEOUT, self.release(reason))).await {
                Ok(ReleaseResult::Released { next_due_at }) => return next_due_at,
                Ok(ReleaseResult::Continue) => {}
                Err(error) => {
                    tracing::warn!(error = format!("{error:#}"), "a lane could not be released; its lease will expire");
                    return None;
                }
            }
        }
    }

    /// False when the lane must end.
    async fn pause_after_error(&mut self) -> bool {
        self.await_sends().await;
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(500)) => self.lease.is_valid(),
            () = self.context.shutdown.cancelled() => {
                let _released = within(TRANSACTION_TIMEOUT, self.release(StopReason::Shutdown)).await;
                false
            }
        }
    }

    async fn work(&mut self) -> anyhow::Result<StopReason> {
        loop {
            if let Some(reason) = self.stop_reason() {
                return Ok(reason);
            }
            let config = self.config().await?;
            if let Some(reason) = self.check_health(&config, None).await? {
                return Ok(reason);
            }
            if self.claimed.is_empty() {
                if self.sends.is_empty() {
                    // The next claim then sees the contacts that these outcomes make due for a retry.
                    self.await_receipts().await;
                }
                if let Some(reason) = self.claim(&config).await? {
                    if self.sends.is_empty() {
                        return Ok(reason);
                    }
                    self.await_sends().await;
                }
            }
            while !self.claimed.is_empty() {
                if let Some(reason) = self.start_send().await? {
                    return Ok(reason);
                }
            }
        }
    }

    fn stop_reason(&self) -> Option<StopReason> {
        if self.context.shutdown.is_cancelled() {
            return Some(StopReason::Shutdown);
        }
        if !self.lease.is_valid() {
            return Some(StopReason::LeaseLost);
        }
        self.lease.release_requested.is_cancelled().then_some(StopReason::ReleaseRequested)
    }

    pub(crate) async fn config(&mut self) -> anyhow::Result<Arc<LaneConfig>> {
        if let Some((read_at, config)) = &self.config
            && read_at.elapsed() < CONFIG_TTL
        {
            return Ok(Arc::clone(config));
        }
        let config = self.context.lane_configs.get(self.key).await?;
        self.config = Some((Instant::now(), Arc::clone(&config)));
        Ok(config)
    }

    /// Asks the gateway, unless a check or a sent message showed within `health_ttl` that the instance is connected.
    async fn check_health(
        &mut self,
        config: &Arc<LaneConfig>,
        permit: Option<&SendPermit>,
    ) -> anyhow::Result<Option<StopReason>> {
        let ttl = self.context.settings.health_ttl;
        if config.address.is_ok() && self.last_seen_open.is_some_and(|seen| seen.elapsed() < ttl) {
            return Ok(None);
        }
        // A check is a request like a send; before a send it uses the permit of the send.
        let _permit = match permit {
            Some(_) => None,
            None => match self.acquire_permit().await {
                Ok(permit) => Some(permit),
                Err(reason) => return Ok(Some(reason)),
            },
        };
        Box::pin(self.ask_gateway(config)).await
    }

    async fn ask_gateway(&mut self, config: &Arc<LaneConfig>) -> anyhow::Result<Option<StopReason>> {
        let health = match self.health(config).await {
            Ok(health) => health,
            Err(reason) => return Ok(Some(reason)),
        };
        match health {
            Health::Open => {
                if config.instance.state != InstanceState::Open || !config.instance.is_verified {
                    let (pool, now) = (&self.context.pool, self.context.clock.now());
                    // The transaction also wakes the instance's queues, so that they do not wait for periodic.
                    transact(pool, async |conn| instances::mark_open(conn, &config.instance, now).await).await?;
                    self.config = None;
                }
                self.last_seen_open = Some(Instant::now());
                Ok(None)
            }
            Health::Down { state, reason, cause } => {
                Ok(Some(StopReason::InstanceDown { config: Arc::clone(config), state, reason, cause }))
            }
        }
    }
}
