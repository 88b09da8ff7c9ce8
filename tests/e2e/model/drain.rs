//! The end of a case without further faults: live workers finish, a fresh worker takes over, periodic makes all its
//! looks, and the fleet must become idle.

use anyhow::bail;
use chrono::TimeDelta;

use super::case::Case;
use super::plan::{Action, Fault, HistoryView, Script};
use super::{environment, replica, worker};

/// More rounds than all attempts with their looks can need.
const ROUNDS: usize = 16;

/// More steps than a worker can need until it releases its lane.
const MOST_STEPS: usize = 300;

pub(super) async fn drain(case: &mut Case<'_>) -> anyhow::Result<()> {
    case.gateway.history_view = HistoryView::All;
    case.leave_all();
    if !case.plan.ends_with_a_crash {
        for n in 0..case.workers.len() {
            work(case, n, 0).await?;
        }
    }
    for worker in &mut case.workers {
        worker.held = None;
    }
    for replica in &mut case.replicas {
        replica.attempts.clear();
    }
    for lane in 0..case.plan.lanes {
        environment::expire(case, lane).await?;
    }
    for queue in 0..case.plan.contacts.len() {
        environment::control(case, queue, Action::Resume).await?;
    }
    for _ in 0..ROUNDS {
        if is_idle(case).await? {
            return Ok(());
        }
        case.advance_clock(TimeDelta::hours(3));
        for lane in 0..case.plan.lanes {
            worker::step(case, 0, u8::try_from(lane)?, Fault::None, Script::Sent).await?;
            work(case, 0, lane).await?;
        }
        look(case).await?;
    }
    bail!("the fleet does not become idle")
}

/// Steps a worker until it has released its lane.
async fn work(case: &mut Case<'_>, n: usize, lane: usize) -> anyhow::Result<()> {
    for _ in 0..MOST_STEPS {
        if case.workers[n].held.is_none() {
            return Ok(());
        }
        worker::step(case, n, u8::try_from(lane)?, Fault::None, Script::Sent).await?;
        case.check_step().await?;
    }
    bail!("worker {n} does not release its lane")
}

async fn look(case: &mut Case<'_>) -> anyhow::Result<()> {
    replica::step(case, 0, false).await?;
    while !case.replicas[0].attempts.is_empty() {
        replica::step(case, 0, false).await?;
        case.check_step().await?;
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "a test reads the tables directly")]
async fn is_idle(case: &Case<'_>) -> anyhow::Result<bool> {
    let query = "select not exists (select from contacts where status in ('pending', 'sending'))
                    and not exists (select from lanes where leased_by is not null)
                    and not exists (select from attempts where next_look_at is not null)";
    Ok(sqlx::query_scalar(query).fetch_one(&case.fixture.pool).await?)
}
