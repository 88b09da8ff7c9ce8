//! A lane: one task that sends through one number. It claims a batch, and for each contact waits for its slot, asks
//! whether the number is connected, has the attempt written down, sends once, and has the outcome written down. It sends the
//! next while that is being done.

mod claim;
mod flight;
mod launch;
pub mod protocol;
mod release;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use regua_boot::{Clock, Metrics, SecretKeys};
use regua_domain::{ContactId, InstanceId, MessageType, QueueId, TenantId};
use regua_evolution::EvolutionClient;
use regua_store::contacts::Claimed;
use regua_store::lanes::Lease;
use regua_store::{PATIENCE, instances, within};
use sqlx::PgPool;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::flight::Landed;
use self::release::LetGo;
use crate::WorkerSettings;
use crate::clerk::Clerk;
use crate::health::{Checks, Health};
use crate::lanes::Hold;
use crate::ledger::{Ledger, Told};
use crate::rules::{LaneRules, Rulebook};

/// A retry that is due within this time is waited for by the worker itself; a later one is periodic's.
pub(crate) const NEAR: TimeDelta = TimeDelta::seconds(60);

/// How long a lane works with the rules it has read before it reads them again.
const RULES_TTL: Duration = Duration::from_secs(10);

/// What all lanes of a process share.
pub(crate) struct Context {
    pub(crate) pool: PgPool,
    pub(crate) clock: Clock,
    pub(crate) metrics: Metrics,
    pub(crate) gateway: EvolutionClient,
    pub(crate) secrets: SecretKeys,
    pub(crate) checks: Checks,
    pub(crate) ledger: Ledger,
    pub(crate) rulebook: Rulebook,
    pub(crate) clerk: Clerk,
    pub(crate) settings: WorkerSettings,
    pub(crate) shutdown: CancellationToken,
    pub(crate) tasks: TaskTracker,
}

/// Which lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) tenant: TenantId,
    pub(crate) instance: InstanceId,
}

/// Why a lane stops.
enum Stop {
    /// Nothing is due; the next contact is due then.
    Idle { next_due_at: Option<DateTime<Utc>> },
    /// The number cannot send, as it was when these rules were read.
    Down { asked: Arc<LaneRules>, state: &'static str, reason: String },
    /// The lease is gone, or no longer certain.
    Lost,
    /// Another worker is to have the lane.
    Given,
    /// The process is ending.
    Shutdown,
}

/// One lane while it is ours.
pub(crate) struct Lane {
    context: Arc<Context>,
    key: Key,
    hold: Arc<Hold>,
    bell: i64,
    next_send_at: Option<DateTime<Utc>>,
    rules: Option<(Instant, Arc<LaneRules>)>,
    seen_open: Option<Instant>,
    /// Claimed and not yet marked.
    hand: VecDeque<Claimed>,
    types: HashMap<QueueId, MessageType>,
    on_their_way: JoinSet<Landed>,
    /// The contacts of those.
    launched: HashSet<ContactId>,
    /// What became of others, the oldest first, until it is heard that it was written.
    outcomes: VecDeque<Told>,
    turn: u64,
    /// The database failed in the middle of something: what is claimed or open under our epoch may be more than we know.
    stumbled: bool,
}

impl Lane {
    pub(crate) fn new(context: Arc<Context>, key: Key, hold: Arc<Hold>, lease: &Lease) -> Self {
        Self {
            context,
            key,
            hold,
            bell: lease.bell,
            next_send_at: lease.next_send_at,
            rules: None,
            seen_open: None,
            hand: VecDeque::new(),
            types: HashMap::new(),
            on_their_way: JoinSet::new(),
            launched: HashSet::new(),
            outcomes: VecDeque::new(),
            turn: 0,
            stumbled: false,
        }
    }

    /// Sends until nothing is due, then lets the lane go; answers when the next contact is due.
    #[tracing::instrument(name = "lane", skip_all, fields(tenant_id = %self.key.tenant, instance_id = %self.key.instance, epoch = self.hold.epoch))]
    pub(crate) async fn run(mut self) -> Option<DateTime<Utc>> {
        loop {
            let stop = match self.work().await {
                Ok(stop) => stop,
                Err(error) => {
                    self.stumbled = true;
                    tracing::warn!(error = format!("{error:#}"), "a lane stumbled");
                    if !Box::pin(self.pause_after_error()).await {
                        return None;
                    }
                    continue;
                }
            };
            self.land_all().await;
            // What happens rarely is kept out of the task, or each of thousands of lanes would hold the room for it.
            match Box::pin(within(PATIENCE, self.let_go(stop))).await {
                Ok(LetGo::Gone { next_due_at }) => return next_due_at,
                Ok(LetGo::Rung) => {}
                Err(error) => {
                    tracing::warn!(error = format!("{error:#}"), "a lane could not be let go; its lease will run out");
                    return None;
                }
            }
        }
    }

    /// Waits a moment after the database failed; false when the lane is no longer ours.
    async fn pause_after_error(&mut self) -> bool {
        self.land_all().await;
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(500)) => self.hold.is_valid(),
            () = self.context.shutdown.cancelled() => {
                let _released = within(PATIENCE, self.let_go(Stop::Shutdown)).await;
                false
            }
        }
    }

    async fn work(&mut self) -> anyhow::Result<Stop> {
        loop {
            if let Some(stop) = self.must_stop() {
                return Ok(stop);
            }
            let rules = self.rules().await?;
            if let Some(stop) = self.check_health(&rules).await? {
                return Ok(stop);
            }
            if self.hand.is_empty() {
                if self.on_their_way.is_empty() {
                    // What was not sent may come again soon.
                    self.hear_all().await;
                }
                if let Some(stop) = self.claim(&rules).await? {
                    if self.on_their_way.is_empty() {
                        return Ok(stop);
                    }
                    self.land_all().await;
                }
            }
            while !self.hand.is_empty() {
                if let Some(stop) = self.launch().await? {
                    return Ok(stop);
                }
            }
        }
    }

    fn must_stop(&self) -> Option<Stop> {
        if self.context.shutdown.is_cancelled() {
            return Some(Stop::Shutdown);
        }
        if !self.hold.is_valid() {
            return Some(Stop::Lost);
        }
        self.hold.leaving.is_cancelled().then_some(Stop::Given)
    }

    async fn rules(&mut self) -> anyhow::Result<Arc<LaneRules>> {
        if let Some((read_at, rules)) = &self.rules
            && read_at.elapsed() < RULES_TTL
        {
            return Ok(Arc::clone(rules));
        }
        let rules = self.context.rulebook.look_up(self.key).await?;
        self.rules = Some((Instant::now(), Arc::clone(&rules)));
        Ok(rules)
    }

    /// Asks the gateway whether the number is connected, unless it said so a few seconds ago or has sent a message since.
    async fn check_health(&mut self, rules: &Arc<LaneRules>) -> anyhow::Result<Option<Stop>> {
        if rules.address.is_ok() && self.seen_open.is_some_and(|seen| seen.elapsed() < self.context.settings.health_ttl)
        {
            return Ok(None);
        }
        Box::pin(self.ask_health(rules)).await
    }

    async fn ask_health(&mut self, rules: &Arc<LaneRules>) -> anyhow::Result<Option<Stop>> {
        match self.context.checks.ask(&self.context.gateway, &rules.address).await {
            Health::Open => {
                if rules.instance.state != "open" {
                    let (pool, key, now) = (&self.context.pool, self.key, self.context.clock.now());
                    // Together: a number that is open while its queues still wait for it is looked at by nobody.
                    let noting = async {
                        let mut transaction = pool.begin().await?;
                        instances::is_open(&mut transaction, key.tenant, key.instance, now).await?;
                        transaction.commit().await
                    };
                    within(PATIENCE, noting).await?;
                    self.rules = None;
                }
                self.seen_open = Some(Instant::now());
                Ok(None)
            }
            Health::Down { state, reason } => Ok(Some(Stop::Down { asked: Arc::clone(rules), state, reason })),
        }
    }
}
