//! The writes of one attempt: `mark` writes the attempt before the request, and `finish` the outcome.
//!
//! The attempt writer commits marks and outcomes of many lanes together. It answers a request after the commit.

mod finish;
mod mark;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use fail::fail_point;
use regua_boot::Clock;
use regua_domain::{ContactId, LaneKey, QueueId, TenantId};
use regua_store::contacts::{self, Finish, MarkFacts};
use regua_store::lanes::{self, LockedLane};
use regua_store::queues::{self, LockedQueue};
use sqlx::{Connection, PgConnection, PgPool};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use self::finish::write_outcomes;
use self::mark::MarkGroup;
use crate::group::{GroupSettings, Grouped};

pub(crate) use self::mark::{Mark, MarkResult, NotMarked, Slot};

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
        OutcomeReceipt(self.0.send(finish.instance_id, Entry::Finish(finish)).await)
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

/// One transaction: writes outcomes, then marks; returns the results of the marks in the order of the marks. The order
/// of its locks is lanes, queues, contacts, as in every transaction.
pub(crate) async fn commit(
    conn: &mut PgConnection,
    worker: &str,
    marks: &[&Mark],
    finishes: &[&Finish],
    now: DateTime<Utc>,
) -> Result<Vec<MarkResult>, sqlx::Error> {
    let mut transaction = conn.begin().await?;
    let conn = &mut *transaction;
    let lanes = lock_lanes(conn, marks).await?;
    let queues = lock_queues(conn, marks, finishes).await?;
    let mut moves = Vec::new();
    if !finishes.is_empty() {
        write_outcomes(conn, finishes, &queues, &mut moves, now).await?;
    }
    let facts = facts_of(conn, marks).await?;
    let group = MarkGroup { marks, lanes, queues: &queues, facts, outdated: HashSet::new(), now };
    let results = group.write(conn, worker, &mut moves).await?;
    queues::record_moves(conn, &moves, now).await?;
    if !marks.is_empty() {
        fail_point!("mark::before_commit");
    }
    if !finishes.is_empty() {
        fail_point!("finish::before_commit");
    }
    transaction.commit().await?;
    if !finishes.is_empty() {
        fail_point!("finish::committed");
    }
    fail_point!("commit::unanswered", |_| Err(sqlx::Error::PoolTimedOut));
    Ok(results)
}

async fn lock_lanes(conn: &mut PgConnection, marks: &[&Mark]) -> Result<HashMap<LaneKey, LockedLane>, sqlx::Error> {
    if marks.is_empty() {
        return Ok(HashMap::new());
    }
    let wanted: BTreeSet<_> = marks.iter().map(|mark| (mark.lane(), mark.attempt.lease_epoch)).collect();
    let locked = lanes::lock(conn, &Vec::from_iter(wanted)).await?;
    Ok(locked.into_iter().map(|lane| (lane.key(), lane)).collect())
}

async fn lock_queues(conn: &mut PgConnection, marks: &[&Mark], finishes: &[&Finish]) -> Result<Queues, sqlx::Error> {
    let of_finishes = finishes.iter().map(|finish| (finish.key.tenant, finish.queue_id));
    let wanted: BTreeSet<_> = marks.iter().map(|mark| mark.queue_key()).chain(of_finishes).collect();
    let locked = queues::lock(conn, &Vec::from_iter(wanted)).await?;
    Ok(locked.into_iter().map(|queue| ((queue.tenant_id, queue.queue_id), queue)).collect())
}

/// The state of the contacts to mark. A first mark uses the state that the claim read, which saves a statement: the
/// mark leaves out a contact that has changed since. For a repeated mark the contact's row is read.
async fn facts_of(
    conn: &mut PgConnection,
    marks: &[&Mark],
) -> Result<HashMap<(TenantId, ContactId), MarkFacts>, sqlx::Error> {
    let mut facts: HashMap<_, _> = marks.iter().map(|mark| (mark.contact_key(), mark.claimed.clone())).collect();
    let repeated: Vec<_> = marks.iter().filter(|mark| mark.is_repeated).map(|mark| mark.contact_key()).collect();
    if !repeated.is_empty() {
        let read = contacts::mark_facts(conn, &repeated).await?;
        facts.extend(read.into_iter().map(|facts| ((facts.tenant_id, facts.contact_id), facts)));
    }
    Ok(facts)
}
