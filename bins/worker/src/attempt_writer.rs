//! The attempt writer: commits marks and outcomes of many lanes together. What it has answered is durable.
//!
//! While one group is being committed the next one gathers: a lone send does not wait, and a thousand lanes share one
//! commit.

mod finish;
mod mark;
mod transaction;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use regua_boot::Clock;
use regua_domain::{AttemptId, ContactId, InstanceId, Pacing, QueueId, Rule, TenantId, TenantRules};
use regua_store::PinnedConnection;
use regua_store::contacts::MarkFacts;
use regua_store::queues::{CountChange, LockedQueue};
use sqlx::PgPool;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::next_state::NextState;

pub(crate) use transaction::commit;

type Counts = BTreeMap<(TenantId, QueueId), CountChange>;
type Queues = HashMap<(TenantId, QueueId), LockedQueue>;

/// Most entries of one commit.
const GROUP: usize = 512;

/// Groups that are committed at the same time. All entries of a lane go to one task, so that groups do not wait for
/// each other.
const TASKS: usize = 2;

/// A request to write an attempt before it is posted.
#[derive(Clone, Debug)]
pub(crate) struct Mark {
    pub(crate) tenant: TenantId,
    pub(crate) instance: InstanceId,
    pub(crate) epoch: i64,
    pub(crate) queue: QueueId,
    pub(crate) contact: ContactId,
    /// The contact's state at the claim.
    pub(crate) claimed: MarkFacts,
    /// Chosen by the lane, so that a mark whose answer was lost can be repeated.
    pub(crate) attempt: AttemptId,
    pub(crate) number: i16,
    pub(crate) tenant_rules: Arc<TenantRules>,
    pub(crate) pacing: Pacing,
    /// How long before its slot the attempt may be marked; it is posted at its slot.
    pub(crate) lead_time: TimeDelta,
    pub(crate) daily_cap: Option<u32>,
    /// An earlier request for this mark was not answered, and may be committed.
    pub(crate) is_repeated: bool,
}

impl Mark {
    /// A number from 0 to 1 out of the attempt id's random bits.
    pub(crate) fn chance(&self) -> f64 {
        let (_, random) = self.attempt.0.as_u64_pair();
        f64::from(u32::try_from(random & 0xFFFF_FFFF).unwrap_or(0)) / f64::from(u32::MAX)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MarkResult {
    /// The mark is committed: post once, at `send_at`. `attempts` is the attempt's number for the retry schedule.
    Send {
        send_at: DateTime<Utc>,
        next_send_at: DateTime<Utc>,
        attempts: u16,
    },
    Hold {
        until: Option<DateTime<Utc>>,
        rule: Rule,
    },
    /// The contact's state is final.
    Skip {
        rule: Rule,
    },
    /// The contact was attempted since it was claimed, and will be claimed again.
    Outdated,
    LeaseLost,
}

/// A request to write the outcome of an attempt.
#[derive(Clone, Debug)]
pub(crate) struct Finish {
    pub(crate) tenant: TenantId,
    pub(crate) instance: InstanceId,
    pub(crate) queue: QueueId,
    pub(crate) contact: ContactId,
    pub(crate) attempt: AttemptId,
    pub(crate) next_state: NextState,
}

/// The database did not answer the mark, which may be committed all the same: repeat it, or release the lane.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MarkFailed;

/// The database refuses the outcome for good: its attempt stays open until the lane's abandoned attempts are closed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FinishRefused;

enum Entry {
    Mark(Mark, oneshot::Sender<Result<MarkResult, MarkFailed>>),
    Finish(Finish, oneshot::Sender<Result<(), FinishRefused>>),
}

/// Requests to the tasks that commit.
#[derive(Clone)]
pub(crate) struct AttemptWriter {
    entries: [mpsc::Sender<Entry>; TASKS],
}

impl AttemptWriter {
    /// Starts the tasks, which end when every `AttemptWriter` is dropped and every outcome is written.
    pub(crate) fn start(pool: &PgPool, clock: &Clock, worker: &str) -> (Self, JoinSet<()>) {
        let mut tasks = JoinSet::new();
        let entries = std::array::from_fn(|_| {
            let (entries, inbox) = mpsc::channel(4 * GROUP);
            let writer =
                Writer { conn: PinnedConnection::new(pool.clone()), clock: clock.clone(), worker: worker.to_owned() };
            tasks.spawn(writer.serve(inbox));
            entries
        });
        (Self { entries }, tasks)
    }

    /// Returns when the mark is durable, or refused.
    pub(crate) async fn mark(&self, mark: Mark) -> Result<MarkResult, MarkFailed> {
        let (answer, answered) = oneshot::channel();
        let entries = self.entries_of(mark.instance);
        entries.send(Entry::Mark(mark, answer)).await.map_err(|_| MarkFailed)?;
        answered.await.unwrap_or(Err(MarkFailed))
    }

    /// Accepts an outcome. Outcomes of one lane are written in the order of the calls.
    pub(crate) async fn finish(&self, finish: Finish) -> OutcomeReceipt {
        let (answer, answered) = oneshot::channel();
        // When the task has ended, the answer is dropped, which the receipt reports.
        let _gone = self.entries_of(finish.instance).send(Entry::Finish(finish, answer)).await;
        OutcomeReceipt(answered)
    }

    fn entries_of(&self, instance: InstanceId) -> &mpsc::Sender<Entry> {
        &self.entries[usize::from(instance.0.as_bytes()[15]) % TASKS]
    }
}

/// An outcome that the attempt writer has accepted and perhaps not written yet.
pub(crate) struct OutcomeReceipt(oneshot::Receiver<Result<(), FinishRefused>>);

impl OutcomeReceipt {
    /// Returns when the outcome is durable, however long that takes. False when the outcome was refused, or the process
    /// ends first: then the attempt stays open until the lane's abandoned attempts are closed.
    pub(crate) async fn written(self) -> bool {
        matches!(self.0.await, Ok(Ok(())))
    }
}

/// Commits groups one after the other, over one connection.
struct Writer {
    conn: PinnedConnection,
    clock: Clock,
    worker: String,
}

impl Writer {
    async fn serve(mut self, mut inbox: mpsc::Receiver<Entry>) {
        let mut gathered = Vec::with_capacity(GROUP);
        while self.conn.await_work(inbox.recv_many(&mut gathered, GROUP)).await > 0 {
            let mut group = Group::default();
            for entry in gathered.drain(..) {
                match entry {
                    Entry::Mark(mark, answer) => group.marks.push((mark, answer)),
                    Entry::Finish(finish, answer) => group.finishes.push((finish, answer)),
                }
            }
            group.write(&mut self).await;
        }
    }

    async fn commit(&mut self, marks: &[&Mark], finishes: &[&Finish]) -> Result<Vec<MarkResult>, sqlx::Error> {
        let committing =
            async { commit(self.conn.get().await?, &self.worker, marks, finishes, self.clock.now()).await };
        let committed = regua_store::within(regua_store::TRANSACTION_TIMEOUT, committing).await;
        if committed.is_err() {
            self.conn.give_back();
        }
        committed
    }
}

#[derive(Default)]
struct Group {
    marks: Vec<(Mark, oneshot::Sender<Result<MarkResult, MarkFailed>>)>,
    finishes: Vec<(Finish, oneshot::Sender<Result<(), FinishRefused>>)>,
}

impl Group {
    /// Marks fail when the database is unavailable. Outcomes are retried until the database writes or refuses them,
    /// because they exist nowhere else.
    async fn write(mut self, writer: &mut Writer) {
        let mut pause = Duration::from_millis(50);
        loop {
            let marks: Vec<_> = self.marks.iter().map(|(mark, _)| mark).collect();
            let finishes: Vec<_> = self.finishes.iter().map(|(finish, _)| finish).collect();
            match writer.commit(&marks, &finishes).await {
                Ok(results) => return self.answer(results),
                Err(error) if self.len() > 1 && !regua_store::is_unavailable(&error) => {
                    tracing::error!(%error, entries = self.len(), "a group was refused; its entries are written one by one");
                    return Box::pin(self.write_one_by_one(writer)).await;
                }
                Err(error) if !regua_store::is_unavailable(&error) => {
                    tracing::error!(%error, "a mark or an outcome was refused for good");
                    return self.refuse();
                }
                Err(error) => tracing::warn!(%error, entries = self.len(), "marks and outcomes could not be written"),
            }
            for (_, answer) in self.marks.drain(..) {
                let _gone = answer.send(Err(MarkFailed));
            }
            if self.finishes.is_empty() {
                return;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(2));
        }
    }

    /// So that one refused entry does not fail the others.
    async fn write_one_by_one(self, writer: &mut Writer) {
        for finish in self.finishes {
            Self { marks: Vec::new(), finishes: vec![finish] }.write(writer).await;
        }
        for mark in self.marks {
            Self { marks: vec![mark], finishes: Vec::new() }.write(writer).await;
        }
    }

    fn refuse(self) {
        for (_, answer) in self.marks {
            let _gone = answer.send(Err(MarkFailed));
        }
        for (_, answer) in self.finishes {
            let _gone = answer.send(Err(FinishRefused));
        }
    }

    fn len(&self) -> usize {
        self.marks.len() + self.finishes.len()
    }

    /// A receiver that is gone belongs to a lane that was stopped; the next owner closes its open attempts.
    fn answer(self, results: Vec<MarkResult>) {
        for ((_, answer), result) in self.marks.into_iter().zip(results) {
            let _gone = answer.send(Ok(result));
        }
        for (_, answer) in self.finishes {
            let _gone = answer.send(Ok(()));
        }
    }
}
