//! The ledger: marks and outcomes of many lanes, committed together. One component with one job: whoever is answered by
//! it knows that what it asked for is durable.
//!
//! While one group is being committed the next one gathers, so that a lone send waits for nobody and a thousand lanes
//! share one commit.

mod flush;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use regua_boot::Clock;
use regua_domain::{AttemptId, ContactId, InstanceId, Pacing, QueueId, Rule, TenantId, TenantRules};
use regua_store::Kept;
use regua_store::contacts::MarkFacts;
use sqlx::PgPool;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::verdict::Verdict;

pub(crate) use flush::flush;

/// Most entries of one commit.
const GROUP: usize = 512;

/// Groups that are committed at the same time. A lane's entries all go the same way, so that two groups never wait for
/// each other's locks.
const WRITERS: usize = 2;

/// Asks to write an attempt down before it is made.
#[derive(Clone, Debug)]
pub(crate) struct Mark {
    pub(crate) tenant: TenantId,
    pub(crate) instance: InstanceId,
    pub(crate) epoch: i64,
    pub(crate) queue: QueueId,
    pub(crate) contact: ContactId,
    /// The contact as it was claimed.
    pub(crate) claimed: MarkFacts,
    /// Made by the lane, so that a mark whose answer was lost can be repeated.
    pub(crate) attempt: AttemptId,
    pub(crate) number: i16,
    pub(crate) rules: Arc<TenantRules>,
    pub(crate) pacing: Pacing,
    /// How long before its slot it may be written down; it goes out at its slot.
    pub(crate) ahead: TimeDelta,
    pub(crate) daily_cap: Option<u32>,
    /// It was asked for before and not answered, so that it may stand.
    pub(crate) is_repeated: bool,
}

impl Mark {
    /// A number from 0 to 1 out of the attempt's own random bits.
    pub(crate) fn chance(&self) -> f64 {
        let (_, random) = self.attempt.0.as_u64_pair();
        f64::from(u32::try_from(random & 0xFFFF_FFFF).unwrap_or(0)) / f64::from(u32::MAX)
    }
}

/// What became of a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Marked {
    /// It is written down: send, once, at this time. The lane may send again at the next. It is the contact's try of this
    /// number, as far as tries count.
    Send { send_at: DateTime<Utc>, next_send_at: DateTime<Utc>, tries: u16 },
    /// Not now.
    Hold { at: Option<DateTime<Utc>>, rule: Rule },
    /// Never: it has a final state now, or had one before.
    Skip { rule: Rule },
    /// The contact has been tried since it was claimed: it will be claimed again.
    Outdated,
    /// The lane is not ours any more.
    LaneLost,
}

/// Tells what an attempt came to.
#[derive(Clone, Debug)]
pub(crate) struct Finish {
    pub(crate) tenant: TenantId,
    pub(crate) instance: InstanceId,
    pub(crate) queue: QueueId,
    pub(crate) contact: ContactId,
    pub(crate) attempt: AttemptId,
    pub(crate) verdict: Verdict,
}

/// The database did not take the mark. It may have been committed all the same: repeat it, or let the lane go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MarkFailed;

/// The database refuses the outcome, and will go on refusing it: its attempt stays open until the lane is settled.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FinishRefused;

enum Entry {
    Mark(Mark, oneshot::Sender<Result<Marked, MarkFailed>>),
    Finish(Finish, oneshot::Sender<Result<(), FinishRefused>>),
}

/// The way to the ledger's tasks.
#[derive(Clone)]
pub(crate) struct Ledger {
    writers: [mpsc::Sender<Entry>; WRITERS],
}

impl Ledger {
    /// Starts the tasks, which end when every `Ledger` is dropped and everything told is written.
    pub(crate) fn start(pool: &PgPool, clock: &Clock, worker: &str) -> (Self, JoinSet<()>) {
        let mut tasks = JoinSet::new();
        let writers = std::array::from_fn(|_| {
            let (entries, inbox) = mpsc::channel(4 * GROUP);
            let writer = Writer { conn: Kept::of(pool.clone()), clock: clock.clone(), worker: worker.to_owned() };
            tasks.spawn(writer.keep(inbox));
            entries
        });
        (Self { writers }, tasks)
    }

    /// Returns when the mark is durable, or refused.
    pub(crate) async fn mark(&self, mark: Mark) -> Result<Marked, MarkFailed> {
        let (answer, answered) = oneshot::channel();
        let writer = self.writer_of(mark.instance);
        writer.send(Entry::Mark(mark, answer)).await.map_err(|_| MarkFailed)?;
        answered.await.unwrap_or(Err(MarkFailed))
    }

    /// Takes an outcome.
    pub(crate) async fn finish(&self, finish: Finish) -> Told {
        let (answer, answered) = oneshot::channel();
        // Should nobody write any more, the answer is dropped, which says so.
        let _gone = self.writer_of(finish.instance).send(Entry::Finish(finish, answer)).await;
        Told(answered)
    }

    fn writer_of(&self, instance: InstanceId) -> &mpsc::Sender<Entry> {
        &self.writers[usize::from(instance.0.as_bytes()[15]) % WRITERS]
    }
}

/// An outcome that the ledger has taken. Outcomes of one lane are written in the order in which they were told.
pub(crate) struct Told(oneshot::Receiver<Result<(), FinishRefused>>);

impl Told {
    /// Returns when it is durable, however long the database is away; false when it never will be. Then, as when the process
    /// ends with the database away, the attempt stays under way until the lane is settled.
    pub(crate) async fn written(self) -> bool {
        matches!(self.0.await, Ok(Ok(())))
    }
}

/// Commits groups one after the other, over one connection.
struct Writer {
    conn: Kept,
    clock: Clock,
    worker: String,
}

impl Writer {
    async fn keep(mut self, mut inbox: mpsc::Receiver<Entry>) {
        let mut gathered = Vec::with_capacity(GROUP);
        while self.conn.await_work(inbox.recv_many(&mut gathered, GROUP)).await > 0 {
            let mut group = Group::default();
            for entry in gathered.drain(..) {
                match entry {
                    Entry::Mark(mark, answer) => group.marks.push((mark, answer)),
                    Entry::Finish(finish, answer) => group.finishes.push((finish, answer)),
                }
            }
            group.commit(&mut self).await;
        }
    }

    async fn flush(&mut self, marks: &[&Mark], finishes: &[&Finish]) -> Result<Vec<Marked>, sqlx::Error> {
        let flushing = async { flush(self.conn.get().await?, &self.worker, marks, finishes, self.clock.now()).await };
        let flushed = regua_store::within(regua_store::PATIENCE, flushing).await;
        if flushed.is_err() {
            self.conn.give_back();
        }
        flushed
    }
}

/// Entries that are committed together.
#[derive(Default)]
struct Group {
    marks: Vec<(Mark, oneshot::Sender<Result<Marked, MarkFailed>>)>,
    finishes: Vec<(Finish, oneshot::Sender<Result<(), FinishRefused>>)>,
}

impl Group {
    /// Marks fail with the database; outcomes are tried until they are written, because nobody else knows them, or until
    /// the database says that it will never take them.
    async fn commit(mut self, writer: &mut Writer) {
        let mut pause = Duration::from_millis(50);
        loop {
            let marks: Vec<_> = self.marks.iter().map(|(mark, _)| mark).collect();
            let finishes: Vec<_> = self.finishes.iter().map(|(finish, _)| finish).collect();
            match writer.flush(&marks, &finishes).await {
                Ok(marked) => return self.answer(marked),
                Err(error) if self.len() > 1 && !regua_store::is_unavailable(&error) => {
                    tracing::error!(%error, entries = self.len(), "a group was refused; its entries are tried singly");
                    return Box::pin(self.commit_singly(writer)).await;
                }
                Err(error) if !regua_store::is_unavailable(&error) => {
                    tracing::error!(%error, "an entry was refused for good");
                    return self.refuse();
                }
                Err(error) => tracing::warn!(%error, entries = self.len(), "the ledger could not write"),
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

    /// So that one entry that the database refuses does not take the others with it.
    async fn commit_singly(self, writer: &mut Writer) {
        for finish in self.finishes {
            Self { marks: Vec::new(), finishes: vec![finish] }.commit(writer).await;
        }
        for mark in self.marks {
            Self { marks: vec![mark], finishes: Vec::new() }.commit(writer).await;
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

    fn answer(self, marked: Vec<Marked>) {
        // A receiver that is gone belongs to a lane that was stopped; its rows are settled by the next owner.
        for ((_, answer), marked) in self.marks.into_iter().zip(marked) {
            let _gone = answer.send(Ok(marked));
        }
        for (_, answer) in self.finishes {
            let _gone = answer.send(Ok(()));
        }
    }
}
