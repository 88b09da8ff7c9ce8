//! One transaction of the attempt writer. The order of its locks is lanes, queues, contacts, as in every transaction.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use fail::fail_point;
use regua_domain::{ContactId, InstanceId, TenantId};
use regua_store::contacts::{self, MarkFacts};
use regua_store::lanes::{self, LockedLane};
use regua_store::queues;
use sqlx::{Connection, PgConnection};

use super::finish::write_outcomes;
use super::mark::MarkGroup;
use super::{Finish, Mark, MarkResult, Queues};

/// Writes outcomes, then marks; returns the results of the marks in the order of the marks.
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

/// The state of the contacts to mark. A first mark uses the state that the claim read, which saves a statement: the
/// mark leaves out a contact that has changed since. For a repeated mark the contact's row is read.
async fn facts_of(
    conn: &mut PgConnection,
    marks: &[&Mark],
) -> Result<HashMap<(TenantId, ContactId), MarkFacts>, sqlx::Error> {
    let mut facts: HashMap<_, _> =
        marks.iter().map(|mark| ((mark.tenant, mark.contact), mark.claimed.clone())).collect();
    let repeated: Vec<_> =
        marks.iter().filter(|mark| mark.is_repeated).map(|mark| (mark.tenant, mark.contact)).collect();
    if !repeated.is_empty() {
        let read = contacts::mark_facts(conn, &repeated).await?;
        facts.extend(read.into_iter().map(|facts| ((facts.tenant_id, facts.contact_id), facts)));
    }
    Ok(facts)
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
