//! The reconcilers, and what they have in common: a bound, and either one transaction under an advisory lock, or (those that
//! ask the gateway, which must never happen inside a transaction) rows that are taken for a while.

pub mod protocol;
mod retention;
mod unconfirmed;
mod webhooks;

use std::pin::Pin;
use std::time::Duration;

use chrono::{DateTime, Utc};
use regua_broker::{Doorbell, DoorbellKind, ring_all};
use regua_domain::{QueueId, TenantId};
use regua_store::queues::Woken;
use regua_store::{PATIENCE, advisory_locks, instances, lanes, outbox, queues, within};
use sqlx::PgConnection;

use crate::Context;

/// Rows that one pass repairs at most.
const BOUND: i64 = 500;

/// For how long a lane that was rung for is not rung for again.
const PAUSE: Duration = Duration::from_secs(10);

/// A pass inside one transaction.
type Pass = for<'a> fn(&'a mut PgConnection, &'a Context) -> Repaired<'a>;
/// A pass that opens its own transactions.
type Round = for<'a> fn(&'a Context) -> Repaired<'a>;
type Repaired<'a> = Pin<Box<dyn Future<Output = anyhow::Result<u64>> + Send + 'a>>;

/// One of them.
pub(crate) struct Reconciler {
    pub(crate) name: &'static str,
    /// It passes at every so many beats of periodic.
    pub(crate) every_passes: u32,
    work: Work,
}

enum Work {
    /// In one transaction, by one replica at a time: the number names the advisory lock.
    Alone(i32, Pass),
    /// In one transaction, by every replica, because it is about the replica itself.
    Each(Pass),
    /// In transactions of its own; what it takes, others leave alone for a while.
    Shared(Round),
}

/// All of them.
pub(crate) static ALL: &[Reconciler] = &[
    alone("scheduled_batches", 1, 1, |c, x| Box::pin(scheduled_batches(c, x))),
    alone("resume_at_hour", 1, 2, |c, x| Box::pin(resume_at_hour(c, x))),
    alone("stale_leases", 2, 3, |c, x| Box::pin(stale_leases(c, x))),
    alone("unattended_lanes", 2, 4, |c, x| Box::pin(unattended_lanes(c, x))),
    alone("instance_recovery", 1, 5, |c, x| Box::pin(instance_recovery(c, x))),
    alone("completion", 5, 6, |c, x| Box::pin(completion(c, x))),
    Reconciler { name: "gauges", every_passes: 5, work: Work::Each(|c, x| Box::pin(gauges(c, x))) },
    Reconciler { name: "unconfirmed", every_passes: 1, work: Work::Shared(|x| Box::pin(unconfirmed::round(x))) },
    Reconciler { name: "erasures", every_passes: 2, work: Work::Shared(|x| Box::pin(retention::asked(x))) },
    Reconciler { name: "retention", every_passes: 60, work: Work::Shared(|x| Box::pin(retention::round(x))) },
    Reconciler { name: "webhooks", every_passes: 1, work: Work::Shared(|x| Box::pin(webhooks::round(x))) },
];

const fn alone(name: &'static str, every_passes: u32, lock: i32, pass: Pass) -> Reconciler {
    Reconciler { name, every_passes, work: Work::Alone(lock, pass) }
}

impl Reconciler {
    /// One pass; nothing when another replica is at it.
    pub(crate) async fn pass(&self, context: &Context) -> anyhow::Result<u64> {
        match self.work {
            Work::Alone(lock, pass) => within(PATIENCE, in_transaction(context, Some(lock), pass)).await,
            Work::Each(pass) => within(PATIENCE, in_transaction(context, None, pass)).await,
            Work::Shared(round) => round(context).await,
        }
    }
}

async fn in_transaction(context: &Context, lock: Option<i32>, pass: Pass) -> anyhow::Result<u64> {
    let mut transaction = context.pool.begin().await?;
    if let Some(lock) = lock
        && !advisory_locks::try_for_transaction(&mut transaction, lock).await?
    {
        return Ok(0);
    }
    let repaired = pass(&mut transaction, context).await?;
    transaction.commit().await?;
    if repaired > 0 {
        context.rang.notify_one();
    }
    Ok(repaired)
}

/// Batches whose hour has come.
async fn scheduled_batches(conn: &mut PgConnection, context: &Context) -> anyhow::Result<u64> {
    let now = context.clock.now();
    let woken = queues::wake_scheduled(conn, now, BOUND).await?;
    let doorbells = woken.iter().map(|woken| bell(woken.message_type.into(), woken));
    ring(conn, doorbells, now).await
}

/// Queues that waited for business hours, or for a new day's cap.
async fn resume_at_hour(conn: &mut PgConnection, context: &Context) -> anyhow::Result<u64> {
    let now = context.clock.now();
    let woken = queues::wake_at_hour(conn, now, BOUND).await?;
    ring(conn, woken.iter().map(|woken| bell(DoorbellKind::Resume, woken)), now).await
}

/// Lanes whose owner was not heard of for a lease: whoever hears the doorbell takes the lane over and settles it.
async fn stale_leases(conn: &mut PgConnection, context: &Context) -> anyhow::Result<u64> {
    let stale = lanes::expired(conn, PAUSE, BOUND).await?;
    ring(conn, of_kind(DoorbellKind::CheckStale, stale), context.clock.now()).await
}

/// Lanes with something due and no owner: a doorbell was lost, or a retry has come.
async fn unattended_lanes(conn: &mut PgConnection, context: &Context) -> anyhow::Result<u64> {
    let now = context.clock.now();
    let unattended = lanes::unattended(conn, now, PAUSE, BOUND).await?;
    ring(conn, of_kind(DoorbellKind::CheckStale, unattended), now).await
}

/// Numbers that were down and are to be looked at again; a worker asks the gateway.
async fn instance_recovery(conn: &mut PgConnection, context: &Context) -> anyhow::Result<u64> {
    let now = context.clock.now();
    let due = instances::take_due_checks(conn, now, now + context.settings.recheck_after, BOUND).await?;
    let woken = queues::wake_of_open(conn, BOUND).await?;
    let doorbells = woken.iter().map(|woken| bell(DoorbellKind::Resume, woken));
    ring(conn, of_kind(DoorbellKind::CheckRecovery, due).chain(doorbells), now).await
}

/// Queues with nothing left to do. The last outcome completes its queue; this is for what a crash left between.
async fn completion(conn: &mut PgConnection, context: &Context) -> anyhow::Result<u64> {
    Ok(queues::complete_finished(conn, context.clock.now(), BOUND).await?)
}

async fn gauges(conn: &mut PgConnection, context: &Context) -> anyhow::Result<u64> {
    let active = queues::active(conn).await?;
    let gauge = &context.metrics.active_queues;
    gauge.reset();
    for (tenant, status, count) in active {
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a float, and there are never 2^52 queues")]
        gauge.with_label_values(&[tenant.to_string().as_str(), status.as_str()]).set(count as f64);
    }
    context.metrics.outbox_waiting.set(outbox::count(conn).await?);
    Ok(0)
}

fn bell(kind: DoorbellKind, woken: &Woken) -> Doorbell {
    Doorbell { kind, tenant_id: woken.tenant_id, queue_id: woken.queue_id }
}

fn of_kind(kind: DoorbellKind, queues: Vec<(TenantId, QueueId)>) -> impl Iterator<Item = Doorbell> {
    queues.into_iter().map(move |(tenant_id, queue_id)| Doorbell { kind, tenant_id, queue_id })
}

async fn ring(
    conn: &mut PgConnection,
    doorbells: impl Iterator<Item = Doorbell>,
    now: DateTime<Utc>,
) -> anyhow::Result<u64> {
    let doorbells: Vec<_> = doorbells.collect();
    ring_all(conn, &doorbells, now).await?;
    if !doorbells.is_empty() {
        outbox::notify(conn).await?;
    }
    Ok(doorbells.len() as u64)
}
