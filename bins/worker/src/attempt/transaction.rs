//! One transaction of the attempt writer. It locks in the order of all transactions: lanes, queues, contacts.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use fail::fail_point;
use regua_domain::{InstanceId, TenantId};
use regua_store::lanes::{self, LockedLane};
use regua_store::queues;
use sqlx::{Connection, PgConnection};

use super::finish::write_outcomes;
use super::mark::{DecidedMarks, read_facts};
use super::{Counts, Finish, Mark, MarkResult, Queues};

/// Where the state of the contacts to mark is read.
#[derive(Clone, Copy)]
enum FactsFrom {
    /// From the claim: one statement less. The update of the mark fails on a contact that changed since.
    Claim,
    /// From their rows, after lanes and queues are locked.
    Rows,
}

/// Writes outcomes and marks; returns the results of the marks, in their order.
pub(crate) async fn commit(
    conn: &mut PgConnection,
    worker: &str,
    marks: &[&Mark],
    finishes: &[&Finish],
    now: DateTime<Utc>,
) -> Result<Vec<MarkResult>, sqlx::Error> {
    if !marks.iter().any(|mark| mark.is_repeated)
        && let Some(results) = try_commit(conn, worker, marks, finishes, FactsFrom::Claim, now).await?
    {
        return Ok(results);
    }
    let results = try_commit(conn, worker, marks, finishes, FactsFrom::Rows, now).await?;
    results.ok_or_else(|| sqlx::Error::Protocol("a contact changed although its queue was locked".into()))
}

/// None, with the transaction rolled back, when a contact is not in the state of its facts.
async fn try_commit(
    conn: &mut PgConnection,
    worker: &str,
    marks: &[&Mark],
    finishes: &[&Finish],
    facts_from: FactsFrom,
    now: DateTime<Utc>,
) -> Result<Option<Vec<MarkResult>>, sqlx::Error> {
    let mut transaction = conn.begin().await?;
    let conn = &mut *transaction;
    let lanes = lock_lanes(conn, marks).await?;
    let queues = lock_queues(conn, marks, finishes).await?;
    let mut counts = Counts::new();
    if !finishes.is_empty() {
        write_outcomes(conn, finishes, &queues, &mut counts, now).await?;
    }
    let mut results = Vec::new();
    if !marks.is_empty() {
        let facts = match facts_from {
            FactsFrom::Claim => marks.iter().map(|mark| ((mark.tenant, mark.contact), mark.claimed.clone())).collect(),
            FactsFrom::Rows => read_facts(conn, marks).await?,
        };
        let mut decided = DecidedMarks::new(lanes, &queues, facts, now);
        results = marks.iter().map(|mark| decided.decide(mark)).collect();
        if !decided.write(conn, worker, &mut counts).await? {
            transaction.rollback().await?;
            return Ok(None);
        }
    }
    let changes: Vec<_> = counts.into_iter().map(|((tenant, queue), change)| (tenant, queue, change)).collect();
    if !changes.is_empty() {
        queues::change_counts(conn, &changes, now).await?;
    }
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
    Ok(Some(results))
}

async fn lock_lanes(
    conn: &mut PgConnection,
    marks: &[&Mark],
) -> Result<HashMap<(TenantId, InstanceId), LockedLane>, sqlx::Error> {
    let mut wanted: Vec<_> = marks.iter().map(|mark| (mark.tenant, mark.instance, mark.epoch)).collect();
    wanted.sort_unstable();
    wanted.dedup();
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    let locked = lanes::lock(conn, &wanted).await?;
    Ok(locked.into_iter().map(|lane| ((lane.tenant_id, lane.instance_id), lane)).collect())
}

async fn lock_queues(conn: &mut PgConnection, marks: &[&Mark], finishes: &[&Finish]) -> Result<Queues, sqlx::Error> {
    let of_marks = marks.iter().map(|mark| (mark.tenant, mark.queue));
    let mut wanted: Vec<_> = of_marks.chain(finishes.iter().map(|finish| (finish.tenant, finish.queue))).collect();
    wanted.sort_unstable();
    wanted.dedup();
    let locked = queues::lock(conn, &wanted).await?;
    Ok(locked.into_iter().map(|queue| ((queue.tenant_id, queue.queue_id), queue)).collect())
}
