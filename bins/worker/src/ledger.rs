//! The ledger: marks and outcomes of many lanes, committed together. One component with one job: whoever is answered by
//! it knows that what it asked for is durable.
//!
//! While one group is being committed the next one gathers, so that a lone send waits for nobody and a thousand lanes
//! share one commit.

mod flush;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use regua_boot::Clock;
use regua_domain::{AttemptId, ContactId, InstanceId, Pacing, QueueId, Rule, TenantId, TenantRules};
use sqlx::PgPool;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::verdict::Verdict;

pub(crate) use flush::flush;

/// Most entries of one commit.
const GROUP: usize = 256;

/// Asks to write an attempt down before it is made.
#[derive(Clone, Debug)]
pub(crate) struct Mark {
    pub(crate) tenant: TenantId,
    pub(crate) instance: InstanceId,
    pub(crate) epoch: i64,
    pub(crate) queue: QueueId,
    pub(crate) contact: ContactId,
    /// Made by the lane, so that a mark whose answer was lost can be repeated.
    pub(crate) attempt: AttemptId,
    pub(crate) number: i16,
    pub(crate) reference: String,
    pub(crate) rules: Arc<TenantRules>,
    pub(crate) pacing: Pacing,
    pub(crate) daily_cap: Option<u32>,
}

/// What became of a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Marked {
    /// It is written down: send, once. The lane may send again at this time. It is the contact's try of this number, as far
    /// as tries count.
    Send { next_send_at: DateTime<Utc>, tries: u16 },
    /// Not now.
    Hold { at: Option<DateTime<Utc>>, rule: Rule },
    /// Never: it has a final state now, or had one before.
    Skip { rule: Rule },
    /// The lane is not ours any more.
    LaneLost,
}

/// Tells what an attempt came to.
#[derive(Clone, Debug)]
pub(crate) struct Finish {
    pub(crate) tenant: TenantId,
    pub(crate) queue: QueueId,
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

/// The way to the ledger's task.
#[derive(Clone)]
pub(crate) struct Ledger {
    entries: mpsc::Sender<Entry>,
}

impl Ledger {
    /// Starts the task, which ends when every `Ledger` is dropped and everything told is written.
    pub(crate) fn start(pool: PgPool, clock: Clock, worker: String) -> (Self, JoinHandle<()>) {
        let (entries, inbox) = mpsc::channel(4 * GROUP);
        (Self { entries }, tokio::spawn(keep(inbox, pool, clock, worker)))
    }

    /// Returns when the mark is durable, or refused.
    pub(crate) async fn mark(&self, mark: Mark) -> Result<Marked, MarkFailed> {
        let (answer, answered) = oneshot::channel();
        self.entries.send(Entry::Mark(mark, answer)).await.map_err(|_| MarkFailed)?;
        answered.await.unwrap_or(Err(MarkFailed))
    }

    /// Returns when the outcome is durable, however long the database is away.
    pub(crate) async fn finish(&self, finish: Finish) -> Result<(), FinishRefused> {
        let (answer, answered) = oneshot::channel();
        self.entries.send(Entry::Finish(finish, answer)).await.map_err(|_| FinishRefused)?;
        // No answer means that the process is ending with the database away; the next owner settles the attempt.
        answered.await.unwrap_or(Err(FinishRefused))
    }
}

async fn keep(mut inbox: mpsc::Receiver<Entry>, pool: PgPool, clock: Clock, worker: String) {
    let mut gathered = Vec::with_capacity(GROUP);
    while inbox.recv_many(&mut gathered, GROUP).await > 0 {
        let mut group = Group::default();
        for entry in gathered.drain(..) {
            match entry {
                Entry::Mark(mark, answer) => group.marks.push((mark, answer)),
                Entry::Finish(finish, answer) => group.finishes.push((finish, answer)),
            }
        }
        group.commit(&pool, &clock, &worker).await;
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
    async fn commit(mut self, pool: &PgPool, clock: &Clock, worker: &str) {
        let mut pause = Duration::from_millis(50);
        loop {
            let marks: Vec<_> = self.marks.iter().map(|(mark, _)| mark).collect();
            let finishes: Vec<_> = self.finishes.iter().map(|(finish, _)| finish).collect();
            let flushing = flush(pool, worker, &marks, &finishes, clock.now());
            match regua_store::within(regua_store::PATIENCE, flushing).await {
                Ok(marked) => return self.answer(marked),
                Err(error) if self.len() > 1 && !regua_store::is_unavailable(&error) => {
                    tracing::error!(%error, entries = self.len(), "a group was refused; its entries are tried singly");
                    return Box::pin(self.commit_singly(pool, clock, worker)).await;
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
    async fn commit_singly(self, pool: &PgPool, clock: &Clock, worker: &str) {
        for finish in self.finishes {
            Self { marks: Vec::new(), finishes: vec![finish] }.commit(pool, clock, worker).await;
        }
        for mark in self.marks {
            Self { marks: vec![mark], finishes: Vec::new() }.commit(pool, clock, worker).await;
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
