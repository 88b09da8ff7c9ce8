//! One attempt, step by step: `mark` writes the attempt before the request, `post` makes the request, `finish` writes
//! the outcome, and `learn` applies an outcome that is reported after the lane was taken over.
//!
//! The attempt writer commits marks and outcomes of many lanes together. It answers a request after the commit.

mod finish;
mod learn;
mod mark;
mod post;
mod transaction;

use std::collections::HashMap;
use std::sync::Arc;

use regua_boot::Clock;
use regua_domain::{QueueId, TenantId};
use regua_store::queues::LockedQueue;
use sqlx::{PgConnection, PgPool};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::group::{GroupSettings, Grouped};

pub(crate) use self::finish::Finish;
pub(crate) use self::mark::{Mark, MarkResult};
pub(crate) use self::post::post;
pub(crate) use self::transaction::commit;

type Queues = HashMap<(TenantId, QueueId), LockedQueue>;

/// A mark fails when the database is unavailable. An outcome is repeated until the database writes or refuses it,
/// because only the worker knows the outcome.
const GROUPS: GroupSettings<Entry> = GroupSettings {
    name: "marks and outcomes",
    tasks: 2,
    limit: 512,
    is_repeated: |entry| matches!(entry, Entry::Finish(_)),
};

enum Entry {
    Mark(Mark),
    Finish(Finish),
}

/// The database did not answer the mark, which may be committed. The caller repeats the mark, or closes the attempt.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MarkFailed;

/// Sends marks and outcomes to the tasks that commit them in groups.
pub(crate) struct AttemptWriter(Grouped<Entry, Option<MarkResult>>);

impl AttemptWriter {
    /// Starts the tasks, which end when the `AttemptWriter` is dropped and every outcome is written.
    pub(crate) fn start(pool: &PgPool, clock: &Clock, worker: &str) -> (Self, Vec<JoinHandle<()>>) {
        let context = (clock.clone(), Arc::from(worker));
        let (grouped, tasks) = Grouped::start(&GROUPS, pool, context, |(clock, worker), conn, entries| {
            Box::pin(write(clock, worker, conn, entries))
        });
        (Self(grouped), tasks)
    }

    /// Returns when the mark is durable, or refused.
    pub(crate) async fn mark(&self, mark: Mark) -> Result<MarkResult, MarkFailed> {
        self.0.ask(mark.instance, Entry::Mark(mark)).await.ok().flatten().ok_or(MarkFailed)
    }

    /// Accepts an outcome. Outcomes of one lane are written in the order of the calls.
    pub(crate) async fn finish(&self, finish: Finish) -> OutcomeReceipt {
        OutcomeReceipt(self.0.send(finish.instance, Entry::Finish(finish)).await)
    }
}

/// An outcome that the attempt writer has accepted and perhaps not written yet.
pub(crate) struct OutcomeReceipt(oneshot::Receiver<anyhow::Result<Option<MarkResult>>>);

impl OutcomeReceipt {
    /// Waits, without a time limit, until the outcome is committed. False when the database refused the outcome, or the
    /// process ends first: the attempt then stays under way until the lane's abandoned attempts are closed.
    pub(crate) async fn written(self) -> bool {
        matches!(self.0.await, Ok(Ok(_)))
    }
}

/// Writes a group; returns one element for each entry: the result of a mark, none for an outcome.
async fn write(
    clock: &Clock,
    worker: &str,
    conn: &mut PgConnection,
    entries: &[&Entry],
) -> anyhow::Result<Vec<Option<MarkResult>>> {
    let (mut marks, mut finishes) = (Vec::new(), Vec::new());
    for entry in entries {
        match entry {
            Entry::Mark(mark) => marks.push(mark),
            Entry::Finish(finish) => finishes.push(finish),
        }
    }
    let mut results = commit(conn, worker, &marks, &finishes, clock.now()).await?.into_iter();
    Ok(entries.iter().map(|entry| matches!(entry, Entry::Mark(_)).then(|| results.next()).flatten()).collect())
}
