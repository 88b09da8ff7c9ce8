//! A lane: one task that sends through one number. It claims a batch, and for each contact waits for its slot, asks
//! whether the number is connected, has the attempt written down, sends once, and has the outcome written down.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use regua_boot::{Clock, Metrics};
use regua_domain::{
    AttemptId, ContactFacts, ContactStatus, Decision, InstanceId, InstanceState, LaneFacts, MessageType, PhoneNumber,
    QueueFacts, QueueId, Rule, TenantId, Waiting, decide, shares,
};
use regua_evolution::{EvolutionClient, InstanceAddress};
use regua_store::contacts::{self, Claimed};
use regua_store::lanes::{self, Lease, Released};
use regua_store::queues::{self, Runnable};
use sqlx::PgPool;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::WorkerSettings;
use crate::health::{self, Health};
use crate::lanes::Hold;
use crate::ledger::{Finish, Ledger, Mark, MarkFailed, Marked};
use crate::rules::{self, LaneRules};
use crate::verdict::{Verdict, not_made, unreadable_number, verdict};

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
    pub(crate) ledger: Ledger,
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
    /// The number cannot send.
    Down { state: &'static str, reason: String },
    /// The lease is gone, or no longer certain.
    Lost,
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
    on_their_way: JoinSet<bool>,
    turn: u64,
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
            turn: 0,
        }
    }

    /// Sends until nothing is due, then lets the lane go; answers when the next contact is due.
    #[tracing::instrument(name = "lane", skip_all, fields(tenant_id = %self.key.tenant, instance_id = %self.key.instance, epoch = self.hold.epoch))]
    pub(crate) async fn run(mut self) -> Option<DateTime<Utc>> {
        loop {
            let stop = match self.work().await {
                Ok(stop) => stop,
                Err(error) => {
                    tracing::warn!(error = format!("{error:#}"), "a lane stumbled");
                    if !self.pause_after_error().await {
                        return None;
                    }
                    continue;
                }
            };
            self.land_all().await;
            match self.let_go(stop).await {
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
                let _released = self.let_go(Stop::Shutdown).await;
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
            if self.hand.is_empty()
                && let Some(stop) = self.claim(&rules).await?
            {
                return Ok(stop);
            }
            while let Some(contact) = self.hand.pop_front() {
                if let Some(stop) = self.send(contact).await? {
                    return Ok(stop);
                }
            }
        }
    }

    fn must_stop(&self) -> Option<Stop> {
        if self.context.shutdown.is_cancelled() {
            return Some(Stop::Shutdown);
        }
        (!self.hold.is_valid()).then_some(Stop::Lost)
    }

    async fn rules(&mut self) -> anyhow::Result<Arc<LaneRules>> {
        if let Some((read_at, rules)) = &self.rules
            && read_at.elapsed() < RULES_TTL
        {
            return Ok(Arc::clone(rules));
        }
        let mut conn = self.context.pool.acquire().await?;
        let rules = Arc::new(rules::load(&mut conn, self.key.tenant, self.key.instance).await?);
        self.rules = Some((Instant::now(), Arc::clone(&rules)));
        Ok(rules)
    }

    /// Asks the gateway whether the number is connected, unless it said so a few seconds ago.
    async fn check_health(&mut self, rules: &LaneRules) -> anyhow::Result<Option<Stop>> {
        if self.seen_open.is_some_and(|seen| seen.elapsed() < self.context.settings.health_ttl) {
            return Ok(None);
        }
        match health::ask(&self.context.gateway, &rules.instance).await {
            Health::Open => {
                if rules.instance.state != "open" {
                    let mut conn = self.context.pool.acquire().await?;
                    let now = self.context.clock.now();
                    regua_store::instances::is_open(&mut conn, self.key.tenant, self.key.instance, now).await?;
                    self.rules = None;
                }
                self.seen_open = Some(Instant::now());
                Ok(None)
            }
            Health::Down { state, reason } => Ok(Some(Stop::Down { state, reason })),
        }
    }

    /// Fills the hand with the next batch; a stop when nothing can be claimed now.
    async fn claim(&mut self, rules: &LaneRules) -> anyhow::Result<Option<Stop>> {
        let now = self.context.clock.now();
        let batch = self.batch(rules);
        let mut transaction = self.context.pool.begin().await?;
        if lanes::lock(&mut transaction, &[(self.key.tenant, self.key.instance, self.hold.epoch)]).await?.is_empty() {
            return Ok(Some(Stop::Lost));
        }
        let (tenant, instance) = (self.key.tenant, self.key.instance);
        let mut runnable = queues::runnable(&mut transaction, tenant, instance, now, i64::from(batch)).await?;
        let mut open = Vec::with_capacity(runnable.len());
        for queue in runnable.drain(..) {
            match self.hold_of(&queue, rules, now) {
                None => open.push(queue),
                Some((at, rule)) => hold_queue(&mut transaction, tenant, queue.queue_id, at, rule).await?,
            }
        }
        let waiting: Vec<_> = open
            .iter()
            .map(|queue| Waiting { priority: queue.message_type.priority(), waiting: queue.waiting })
            .collect();
        let quotas: Vec<_> =
            shares(batch, self.turn, &waiting).into_iter().map(|quota| i32::try_from(quota).unwrap_or(0)).collect();
        self.turn += 1;
        let (ids, quotas): (Vec<_>, Vec<_>) =
            open.iter().map(|queue| queue.queue_id).zip(quotas).filter(|(_, quota)| *quota > 0).unzip();
        if !ids.is_empty() {
            queues::start(&mut transaction, tenant, &ids, now).await?;
            self.hand = contacts::claim(&mut transaction, tenant, self.hold.epoch, &ids, &quotas, now).await?.into();
        }
        transaction.commit().await?;
        self.types = open.iter().map(|queue| (queue.queue_id, queue.message_type)).collect();
        let next_due_at = open.iter().filter_map(|queue| queue.next_due_at).min();
        Ok(self.hand.is_empty().then_some(Stop::Idle { next_due_at }))
    }

    /// Half a minute's worth of sends: a crash strands little, and a more urgent campaign waits no longer than that.
    fn batch(&self, rules: &LaneRules) -> u32 {
        (rules.pacing.per_minute.get() / 2).clamp(10, self.context.settings.batch.max(10))
    }

    /// Whether all of a queue must wait, before anything of it is claimed.
    fn hold_of(
        &self,
        queue: &Runnable,
        rules: &LaneRules,
        now: DateTime<Utc>,
    ) -> Option<(Option<DateTime<Utc>>, Rule)> {
        let contact = ContactFacts { status: ContactStatus::Pending, due_at: now, attempts: 0 };
        let queue =
            QueueFacts { status: queue.status, message_type: queue.message_type, scheduled_for: queue.scheduled_for };
        // The pace and the cap are the mark's to judge, on the locked row.
        let lane =
            LaneFacts { instance_state: InstanceState::Open, next_send_at: None, sent_today: 0, daily_cap: None };
        match decide(&contact, &queue, &rules.tenant, &lane, now) {
            Decision::Send | Decision::Skip { .. } => None,
            Decision::HoldUntil { at, rule } => Some((at, rule)),
        }
    }

    /// Sends one contact of the hand, or finds that it must not be sent; a stop when the lane must end.
    async fn send(&mut self, contact: Claimed) -> anyhow::Result<Option<Stop>> {
        let mut asked = None;
        let ended = self.send_or_stop(&contact, &mut asked).await;
        if let Some(mark) = asked {
            // The mark may stand although its answer was lost. Nothing was sent, and only we know it.
            let verdict = not_made(self.context.clock.now());
            let Mark { tenant, queue, attempt, .. } = mark;
            self.context.ledger.finish(Finish { tenant, queue, attempt, verdict }).await;
        }
        match ended {
            Ok(Sent::Done) => Ok(None),
            Ok(Sent::Held { at, rule }) => {
                self.hand.push_front(contact);
                self.hold_hand(at, rule).await?;
                Ok(None)
            }
            Ok(Sent::Stopped(stop)) => {
                self.hand.push_front(contact);
                Ok(Some(stop))
            }
            Err(error) => {
                self.hand.push_front(contact);
                Err(error)
            }
        }
    }

    /// Asks for the mark until it is answered. `asked` holds a mark of which nobody knows whether it was committed.
    async fn send_or_stop(&mut self, contact: &Claimed, asked: &mut Option<Mark>) -> anyhow::Result<Sent> {
        loop {
            self.wait_for_slot().await;
            let (rules, address) = match self.ready().await? {
                Ok(ready) => ready,
                Err(stop) => return Ok(Sent::Stopped(stop)),
            };
            let mut mark = asked.take().unwrap_or_else(|| self.mark_of(contact, &rules));
            mark.rules = Arc::new(rules.tenant.clone());
            match self.context.ledger.mark(mark.clone()).await {
                Ok(Marked::Send { next_send_at }) => {
                    self.next_send_at = Some(next_send_at);
                    self.dispatch(contact, &mark, rules, address).await;
                    return Ok(Sent::Done);
                }
                Ok(Marked::Hold { at, rule: Rule::Pacing }) => self.next_send_at = at,
                Ok(Marked::Hold { at, rule }) => return Ok(Sent::Held { at, rule }),
                Ok(Marked::Skip { .. }) => return Ok(Sent::Done),
                Ok(Marked::LaneLost) => return Ok(Sent::Stopped(Stop::Lost)),
                Err(MarkFailed) => {
                    *asked = Some(mark);
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            }
        }
    }

    async fn wait_for_slot(&mut self) {
        if let Some(at) = self.next_send_at {
            tokio::select! {
                () = self.context.clock.sleep_until(at) => {}
                () = self.context.shutdown.cancelled() => {}
            }
        }
    }

    /// The last look before a mark: the process goes on, the lane is ours, a place is free, and the number is connected.
    async fn ready(&mut self) -> anyhow::Result<Result<(Arc<LaneRules>, InstanceAddress), Stop>> {
        let rules = self.rules().await?;
        while self.on_their_way.len() >= rules.concurrency {
            self.land_one().await;
        }
        if let Some(stop) = self.must_stop() {
            return Ok(Err(stop));
        }
        if let Some(stop) = self.check_health(&rules).await? {
            return Ok(Err(stop));
        }
        let address = health::address(&rules.instance)?;
        Ok(Ok((rules, address)))
    }

    fn mark_of(&self, contact: &Claimed, rules: &LaneRules) -> Mark {
        Mark {
            tenant: self.key.tenant,
            instance: self.key.instance,
            epoch: self.hold.epoch,
            queue: contact.queue_id,
            contact: contact.contact_id,
            attempt: AttemptId::new(self.context.clock.now()),
            number: contact.attempts.saturating_add(1),
            reference: contact.reference.clone(),
            rules: Arc::new(rules.tenant.clone()),
            pacing: rules.pacing,
            daily_cap: rules.daily_cap,
        }
    }

    /// Lets a marked contact go out, beside others where the number may send several at once.
    async fn dispatch(&mut self, contact: &Claimed, mark: &Mark, rules: Arc<LaneRules>, address: InstanceAddress) {
        let is_alone = rules.concurrency == 1;
        let sending = Sending {
            context: Arc::clone(&self.context),
            hold: Arc::clone(&self.hold),
            address,
            message_type: self.types.get(&contact.queue_id).copied().unwrap_or(MessageType::Notification),
            finish: (mark.tenant, mark.queue, mark.attempt),
            attempt: u16::try_from(mark.number).unwrap_or(u16::MAX),
            rules,
            contact: contact.clone(),
        };
        self.on_their_way.spawn(sending.run());
        if is_alone {
            self.land_one().await;
        }
    }

    async fn land_one(&mut self) {
        if let Some(Ok(looks_down)) = self.on_their_way.join_next().await
            && looks_down
        {
            self.seen_open = None;
        }
    }

    async fn land_all(&mut self) {
        while !self.on_their_way.is_empty() {
            self.land_one().await;
        }
    }

    /// Gives back what is in the hand of a queue that must wait; all of it where the rule is about the number.
    async fn hold_hand(&mut self, at: Option<DateTime<Utc>>, rule: Rule) -> anyhow::Result<()> {
        let Some(queue) = self.hand.front().map(|contact| contact.queue_id) else { return Ok(()) };
        let concerns_all = matches!(rule, Rule::DailyCap | Rule::TenantSuspended | Rule::InstanceDown);
        let (held, kept): (VecDeque<_>, _) =
            self.hand.drain(..).partition(|contact| concerns_all || contact.queue_id == queue);
        self.hand = kept;
        let ids: Vec<_> = held.iter().map(|contact| contact.contact_id).collect();
        let queues: std::collections::BTreeSet<_> = held.iter().map(|contact| contact.queue_id).collect();
        let mut transaction = self.context.pool.begin().await?;
        for queue in queues {
            hold_queue(&mut transaction, self.key.tenant, queue, at, rule).await?;
        }
        contacts::give_back(&mut transaction, self.key.tenant, self.hold.epoch, &ids).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Gives the hand and the lease back, in one transaction; not when somebody rang while we looked away.
    async fn let_go(&mut self, stop: Stop) -> anyhow::Result<LetGo> {
        let mut transaction = self.context.pool.begin().await?;
        let (tenant, instance, epoch) = (self.key.tenant, self.key.instance, self.hold.epoch);
        let mut next_due_at = None;
        let mut seen_bell = None;
        match stop {
            Stop::Idle { next_due_at: next } => {
                next_due_at = next;
                seen_bell = Some(self.bell);
            }
            Stop::Down { state, reason } => {
                if !lanes::lock(&mut transaction, &[(tenant, instance, epoch)]).await?.is_empty() {
                    tracing::warn!(state, reason, "the number is down; its queues wait");
                    health::note_down(&self.key, &self.context, &mut transaction, state, &reason).await?;
                }
            }
            Stop::Lost => {
                tracing::warn!(
                    claimed = self.hand.len(),
                    "the lane is not certainly ours any more; nothing more is sent"
                );
            }
            Stop::Shutdown => {}
        }
        if !self.hand.is_empty() {
            let ids: Vec<_> = self.hand.drain(..).map(|contact| contact.contact_id).collect();
            contacts::give_back(&mut transaction, tenant, epoch, &ids).await?;
        }
        let released = lanes::release(&mut transaction, tenant, instance, epoch, seen_bell).await?;
        transaction.commit().await?;
        Ok(match released {
            Released::Rung(bell) => {
                self.bell = bell;
                LetGo::Rung
            }
            Released::Free | Released::Lost => LetGo::Gone { next_due_at },
        })
    }
}

/// What became of a contact of the hand.
enum Sent {
    /// It is on its way, or has a final state.
    Done,
    /// It, and its queue, must wait.
    Held { at: Option<DateTime<Utc>>, rule: Rule },
    /// The lane must end first.
    Stopped(Stop),
}

/// What became of letting a lane go.
enum LetGo {
    Gone { next_due_at: Option<DateTime<Utc>> },
    Rung,
}

/// Notes on a queue why it waits, where its state does not say so already.
async fn hold_queue(
    conn: &mut sqlx::PgConnection,
    tenant: TenantId,
    queue: QueueId,
    at: Option<DateTime<Utc>>,
    rule: Rule,
) -> Result<(), sqlx::Error> {
    match rule {
        Rule::BusinessHours | Rule::DailyCap => queues::pause_for_hours(conn, tenant, queue, at, rule.as_str()).await,
        _ => Ok(()),
    }
}

/// One attempt that is written down and on its way.
struct Sending {
    context: Arc<Context>,
    hold: Arc<Hold>,
    address: InstanceAddress,
    message_type: MessageType,
    finish: (TenantId, QueueId, AttemptId),
    attempt: u16,
    rules: Arc<LaneRules>,
    contact: Claimed,
}

impl Sending {
    /// Sends once and has the outcome written down; whether the number looks down.
    async fn run(self) -> bool {
        let (tenant, queue, attempt) = self.finish;
        let mut looks_down = false;
        let verdict = match PhoneNumber::from_stored(&self.contact.phone) {
            Err(_) => unreadable_number(),
            Ok(_) if !self.hold.is_valid() => not_made(self.context.clock.now()),
            Ok(number) => {
                let started = Instant::now();
                let outcome = self.context.gateway.send_text(&self.address, &number, &self.contact.text).await;
                looks_down = outcome.instance_looks_down();
                let now = self.context.clock.now();
                let verdict = verdict(&outcome, self.contact.contact_id, self.attempt, &self.rules.retry, now);
                self.observe(started.elapsed(), &verdict);
                verdict
            }
        };
        self.context.ledger.finish(Finish { tenant, queue, attempt, verdict }).await;
        looks_down
    }

    fn observe(&self, took: Duration, verdict: &Verdict) {
        let (tenant, queue, _) = self.finish;
        tracing::debug!(tenant_id = %tenant, queue_id = %queue, billing_contact_id = %self.contact.contact_id,
            instance_id = %self.rules.instance.instance_id, template_type = %self.message_type,
            outcome = verdict.outcome, reason = verdict.reason, "an attempt was made");
        let tenant = tenant.to_string();
        let metrics = &self.context.metrics;
        let message_type = self.message_type.as_str();
        metrics.messages_sent.with_label_values(&[tenant.as_str(), message_type, verdict.outcome]).inc();
        metrics.send_duration.with_label_values(&[tenant.as_str(), message_type]).observe(took.as_secs_f64());
    }
}
