//! The steps of a send one at a time, for a test that tries them in every order and ends a worker between any two. Nothing
//! is decided here: each step is the lane's own, or the ledger's, with one transaction or none.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use regua_boot::{Clock, Metrics, SecretKeys};
use regua_domain::{AttemptId, InstanceId, Rule, TenantId};
use regua_evolution::{EvolutionClient, Outcome};
use regua_store::Kept;
use regua_store::contacts::Claimed;
use regua_store::lanes::Lease;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::release::LetGo;
use super::{Context, Key, Lane, Stop};
use crate::WorkerSettings;
use crate::clerk::Clerk;
use crate::health::Checks;
use crate::lanes::{Hold, Lanes};
use crate::ledger::{self, Finish, Ledger, Mark, Marked};
use crate::rules::Rulebook;
use crate::verdict::{Verdict, not_made, verdict};

/// A worker that does nothing by itself.
pub struct Process(Arc<Lanes>);

impl Process {
    /// A worker with its own name, and with the lease of its settings.
    pub fn new(
        pool: PgPool,
        clock: Clock,
        metrics: Metrics,
        gateway: EvolutionClient,
        secrets: SecretKeys,
        settings: WorkerSettings,
    ) -> Self {
        // Marks and outcomes go past the ledger's task: one step is one commit, and the test says when.
        let (ledger, _idle) = Ledger::start(&pool, &clock, &settings.name);
        let (shutdown, tasks) = (CancellationToken::new(), TaskTracker::new());
        let checks = Checks::default();
        let (rulebook, clerk) = (Rulebook::open(pool.clone(), secrets.clone()), Clerk::start(&pool, &clock));
        Self(Lanes::new(Context {
            pool,
            clock,
            metrics,
            gateway,
            secrets,
            checks,
            ledger,
            rulebook,
            clerk,
            settings,
            shutdown,
            tasks,
        }))
    }

    /// Takes the lane, and settles what a former owner left.
    ///
    /// # Errors
    /// The database's.
    pub async fn take(&self, tenant: TenantId, instance: InstanceId) -> Result<Option<Session>, sqlx::Error> {
        let key = Key { tenant, instance };
        Ok(self.0.take(key).await?.map(|lease| self.session(key, &lease)))
    }

    fn session(&self, key: Key, lease: &Lease) -> Session {
        // Far away: the test says when a lease is no longer certain.
        let hold = Arc::new(Hold::new(lease.epoch, Instant::now() + Duration::from_secs(86_400)));
        Session(Lane::new(Arc::clone(self.0.shared()), key, hold, lease))
    }
}

/// A lane in a worker's hands.
pub struct Session(Lane);

/// Why a session ends.
pub struct Ending(Stop);

impl Ending {
    /// The lease is gone, or no longer certain.
    pub const LOST: Self = Self(Stop::Lost);
    /// Another worker is to have the lane.
    pub const GIVEN: Self = Self(Stop::Given);
}

/// A mark that was asked for, or is about to be.
#[derive(Clone)]
pub struct Marking(Mark);

impl Marking {
    /// The attempt that it writes down.
    pub const fn attempt(&self) -> AttemptId {
        self.0.attempt
    }

    /// The attempt's number.
    pub const fn number(&self) -> i16 {
        self.0.number
    }
}

/// An outcome that is to be written down.
pub struct Finishing(Finish);

/// What became of a mark.
pub enum Answer {
    /// Send, once.
    Send,
    /// The lane's pace says: a moment later.
    NotYet,
    /// The contact, and its queue, must wait.
    Hold(Option<DateTime<Utc>>, Rule),
    /// Never.
    Skip,
    /// The lane is somebody else's.
    LaneLost,
}

impl Session {
    /// The fence.
    pub fn epoch(&self) -> i64 {
        self.0.hold.epoch
    }

    /// How many sends may be under way at once.
    ///
    /// # Errors
    /// The database's.
    pub async fn concurrency(&mut self) -> anyhow::Result<usize> {
        Ok(self.0.rules().await?.concurrency)
    }

    /// Whether the worker still counts on its lease.
    pub fn is_trusted(&self) -> bool {
        self.0.hold.is_valid()
    }

    /// The worker's own clock says that the lease may be over.
    pub fn distrust(&self) {
        self.0.hold.set(Instant::now());
    }

    /// The database failed it in the middle of something.
    pub fn stumble(&mut self) {
        self.0.stumbled = true;
    }

    /// Fills the hand; an ending when there is nothing to claim.
    ///
    /// # Errors
    /// The database's.
    pub async fn claim(&mut self) -> anyhow::Result<Option<Ending>> {
        let rules = self.0.rules().await?;
        Ok(self.0.claim(&rules).await?.map(Ending))
    }

    /// What is claimed and not yet marked.
    pub fn hand(&self) -> impl Iterator<Item = &Claimed> {
        self.0.hand.iter()
    }

    /// The next of the hand.
    pub fn draw(&mut self) -> Option<Claimed> {
        self.0.hand.pop_front()
    }

    /// Puts one back on top of the hand.
    pub fn put_back(&mut self, contact: Claimed) {
        self.0.hand.push_front(contact);
    }

    /// The mark that this contact needs.
    ///
    /// # Errors
    /// The database's.
    pub async fn mark_of(&mut self, contact: &Claimed) -> anyhow::Result<Marking> {
        let rules = self.0.rules().await?;
        Ok(Marking(self.0.mark_of(contact, &rules)))
    }

    /// Asks for the mark, perhaps once more because its answer was lost.
    ///
    /// # Errors
    /// The database's.
    pub async fn mark(&self, marking: &Marking, is_repeated: bool) -> Result<Answer, sqlx::Error> {
        let mark = Mark { is_repeated, ..marking.0.clone() };
        let marked = self.write(&[&mark], &[]).await?;
        Ok(match marked.into_iter().next() {
            Some(Marked::Send { .. }) => Answer::Send,
            Some(Marked::Hold { rule: Rule::Pacing, .. }) => Answer::NotYet,
            Some(Marked::Hold { at, rule }) => Answer::Hold(at, rule),
            Some(Marked::Skip { .. } | Marked::Outdated) => Answer::Skip,
            Some(Marked::LaneLost) | None => Answer::LaneLost,
        })
    }

    /// Gives back what must wait.
    ///
    /// # Errors
    /// The database's.
    pub async fn hold_hand(&mut self, held: &Claimed, at: Option<DateTime<Utc>>, rule: Rule) -> anyhow::Result<()> {
        self.0.hold_hand(held.queue_id, at, rule).await
    }

    /// What an attempt came to.
    ///
    /// # Errors
    /// The database's.
    pub async fn came_to(&mut self, marking: &Marking, outcome: &Outcome) -> anyhow::Result<Finishing> {
        let rules = self.0.rules().await?;
        let (number, now) = (u16::try_from(marking.0.number)?, self.0.context.clock.now());
        Ok(finishing(marking, verdict(outcome, marking.0.contact, number, &rules.retry, now)))
    }

    /// An attempt that was written down and then not made.
    pub fn not_made(&self, marking: &Marking) -> Finishing {
        finishing(marking, not_made(self.0.context.clock.now()))
    }

    /// Writes an outcome down.
    ///
    /// # Errors
    /// The database's.
    pub async fn finish(&self, finishing: &Finishing) -> Result<(), sqlx::Error> {
        self.write(&[], &[&finishing.0]).await.map(drop)
    }

    /// Lets the lane go; false when somebody rang meanwhile.
    ///
    /// # Errors
    /// The database's.
    pub async fn let_go(&mut self, ending: Ending) -> anyhow::Result<bool> {
        Ok(matches!(self.0.let_go(ending.0).await?, LetGo::Gone { .. }))
    }

    async fn write(&self, marks: &[&Mark], finishes: &[&Finish]) -> Result<Vec<Marked>, sqlx::Error> {
        let Context { pool, settings, clock, .. } = &*self.0.context;
        ledger::flush(Kept::of(pool.clone()).get().await?, &settings.name, marks, finishes, clock.now()).await
    }
}

fn finishing(marking: &Marking, verdict: Verdict) -> Finishing {
    let Mark { tenant, instance, queue, contact, attempt, .. } = marking.0;
    Finishing(Finish { tenant, instance, queue, contact, attempt, verdict })
}
