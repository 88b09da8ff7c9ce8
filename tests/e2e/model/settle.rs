//! The end of all faults: whoever is alive finishes, a fresh worker takes over, periodic looks to the last look, and
//! everything must come to rest.

use anyhow::bail;
use chrono::TimeDelta;

use super::plan::{Action, Fault, Script, Sight};
use super::world::World;
use super::{environment, replica, worker};

/// More rounds than all tries, and the looks of each, can need.
const ROUNDS: usize = 16;

/// More steps than a worker can need until it lets a lane go.
const PATIENCE: usize = 300;

pub(super) async fn settle(world: &mut World<'_>) -> anyhow::Result<()> {
    world.gateway.sight = Sight::All;
    world.leave_all();
    if !world.plan.ends_with_a_crash {
        for n in 0..world.workers.len() {
            work(world, n, 0).await?;
        }
    }
    for worker in &mut world.workers {
        worker.working = None;
    }
    for looking in &mut world.replicas {
        looking.hand.clear();
    }
    for lane in 0..world.plan.lanes {
        environment::expire(world, lane).await?;
    }
    for queue in 0..world.plan.contacts.len() {
        environment::control(world, queue, Action::Resume).await?;
    }
    for _ in 0..ROUNDS {
        if is_at_rest(world).await? {
            return Ok(());
        }
        world.pass(TimeDelta::hours(3));
        for lane in 0..world.plan.lanes {
            worker::go_on(world, 0, u8::try_from(lane)?, Fault::None, Script::Sent).await?;
            work(world, 0, lane).await?;
        }
        look(world).await?;
    }
    bail!("it does not come to rest")
}

/// A worker goes on until the lane is out of its hands.
async fn work(world: &mut World<'_>, n: usize, lane: usize) -> anyhow::Result<()> {
    for _ in 0..PATIENCE {
        if world.workers[n].working.is_none() {
            return Ok(());
        }
        worker::go_on(world, n, u8::try_from(lane)?, Fault::None, Script::Sent).await?;
        world.after_each().await?;
    }
    bail!("worker {n} does not let its lane go")
}

async fn look(world: &mut World<'_>) -> anyhow::Result<()> {
    replica::go_on(world, 0, false).await?;
    while !world.replicas[0].hand.is_empty() {
        replica::go_on(world, 0, false).await?;
        world.after_each().await?;
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "a test looks at the tables directly")]
async fn is_at_rest(world: &World<'_>) -> anyhow::Result<bool> {
    let query = "select not exists (select from contacts where status in ('pending', 'sending'))
                    and not exists (select from lanes where leased_by is not null)
                    and not exists (select from attempts where next_look_at is not null)";
    Ok(sqlx::query_scalar(query).fetch_one(&world.stage.pool).await?)
}
