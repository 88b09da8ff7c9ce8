//! The reconcilers. A pass is bounded. Most passes are one transaction under an advisory lock. Others have several
//! transactions: `retention` takes an advisory lock in each, `unconfirmed` and `webhooks` hide their rows from other
//! replicas for a visibility timeout.

pub(crate) mod retention;
pub(crate) mod unconfirmed;

use std::pin::Pin;
use std::time::Duration;

use chrono::{DateTime, Utc};
use regua_broker::{Doorbell, DoorbellKind, ring_all};
use regua_domain::{QueueId, TenantId};
use regua_store::queues::ActiveQueues;
use regua_store::{advisory_locks, doorbells, instances, lanes, queues, transact};
use sqlx::PgConnection;

use crate::context::Context;

/// Most rows that one pass repairs.
const LIMIT: i64 = 500;

/// Time between two doorbells for the same lane.
const RING_PAUSE: Duration = Duration::from_secs(10);

/// A pass inside a transaction of its caller.
type Pass = for<'a> fn(&'a mut PgConnection, &'a Context) -> Repaired<'a>;
/// A pass that opens its own transactions.
type OwnPass = for<'a> fn(&'a Context) -> Repaired<'a>;
type Repaired<'a> = Pin<Box<dyn Future<Output = anyhow::Result<u64>> + Send + 'a>>;

pub(crate) struct Reconciler {
    pub(crate) name: &'static str,
    /// Ticks of periodic between two passes.
    pub(crate) every_ticks: u32,
    run: Run,
}

enum Run {
    /// One transaction, in one replica at a time. The number is that of the advisory lock.
    Locked(i32, Pass),
    /// Transactions that the pass opens; it lets all replicas run, or takes locks itself.
    Concurrent(OwnPass),
}

pub(crate) static ALL: &[Reconciler] = &[
    locked("scheduled_batches", 1, 1, |conn, context| Box::pin(scheduled_batches(conn, context))),
    locked("resume_at_hour", 1, 2, |conn, context| Box::pin(resume_at_hour(conn, context))),
    locked("stale_leases", 2, 3, |conn, context| Box::pin(stale_leases(conn, context))),
    locked("unattended_lanes", 2, 4, |conn, context| Box::pin(unattended_lanes(conn, context))),
    locked("instance_recovery", 1, 5, |conn, context| Box::pin(instance_recovery(conn, context))),
    locked("completion", 5, 6, |conn, context| Box::pin(completion(conn, context))),
    concurrent("gauges", 5, |context| Box::pin(gauges(context))),
    concurrent("unconfirmed", 1, |context| Box::pin(unconfirmed::pass(context))),
    concurrent("erasures", 2, |context| Box::pin(retention::erasures_pass(context))),
    concurrent("retention", 60, |context| Box::pin(retention::pass(context))),
    concurrent("old_events", 60, |context| Box::pin(retention::events_pass(context))),
];

const fn locked(name: &'static str, every_ticks: u32, lock: i32, pass: Pass) -> Reconciler {
    Reconciler { name, every_ticks, run: Run::Locked(lock, pass) }
}

const fn concurrent(name: &'static str, every_ticks: u32, pass: OwnPass) -> Reconciler {
    Reconciler { name, every_ticks, run: Run::Concurrent(pass) }
}

impl Reconciler {
    /// Runs one pass; returns the number of repaired rows, 0 when another replica runs the pass.
    pub(crate) async fn pass(&self, context: &Context) -> anyhow::Result<u64> {
        match self.run {
            Run::Locked(lock, pass) => in_transaction(context, lock, pass).await,
            Run::Concurrent(pass) => pass(context).await,
        }
    }
}

async fn in_transaction(context: &Context, lock: i32, pass: Pass) -> anyhow::Result<u64> {
    let running = transact(&context.pool, async |conn| -> anyhow::Result<u64> {
        let is_alone = advisory_locks::try_for_transaction(conn, lock).await?;
        if is_alone { pass(conn, context).await } else { Ok(0) }
    });
    let repaired = running.await?;
    if repaired > 0 {
        context.relay_wakeup.notify_one();
    }
    Ok(repaired)
}

/// Wakes queues whose scheduled time has come, and rings for them.
async fn scheduled_batches(conn: &mut PgConnection, context: &Context) -> anyhow::Result<u64> {
    let now = context.clock.now();
    let woken = queues::wake_scheduled(conn, now, LIMIT).await?;
    let doorbells = woken.iter().map(|queue| doorbell(queue.message_type.into(), (queue.tenant_id, queue.queue_id)));
    ring(conn, doorbells, now).await
}

/// Wakes queues that waited for business hours or for a new day of the daily cap, and rings for them.
async fn resume_at_hour(conn: &mut PgConnection, context: &Context) -> anyhow::Result<u64> {
    let now = context.clock.now();
    let woken = queues::wake_paused_hours(conn, now, LIMIT).await?;
    let doorbells = woken.iter().map(|queue| doorbell(DoorbellKind::Resume, (queue.tenant_id, queue.queue_id)));
    ring(conn, doorbells, now).await
}

/// Rings for lanes whose lease has expired. The worker that receives the doorbell takes the lane over.
async fn stale_leases(conn: &mut PgConnection, context: &Context) -> anyhow::Result<u64> {
    let expired = lanes::find_expired_to_ring(conn, RING_PAUSE, LIMIT).await?;
    ring(conn, expired.into_iter().map(|queue| doorbell(DoorbellKind::CheckStale, queue)), context.clock.now()).await
}

/// Rings for free lanes with due contacts: a doorbell was lost, or a retry is due.
async fn unattended_lanes(conn: &mut PgConnection, context: &Context) -> anyhow::Result<u64> {
    let now = context.clock.now();
    let unattended = lanes::find_unattended_to_ring(conn, now, RING_PAUSE, LIMIT).await?;
    ring(conn, unattended.into_iter().map(|queue| doorbell(DoorbellKind::CheckStale, queue)), now).await
}

/// Rings for instances whose next check is due. Wakes queues that wait although their instance is connected, and rings
/// for them.
async fn instance_recovery(conn: &mut PgConnection, context: &Context) -> anyhow::Result<u64> {
    let now = context.clock.now();
    let due = instances::take_due_checks(conn, now, now + context.settings.recheck_after, LIMIT).await?;
    let woken = queues::wake_connected(conn, now, LIMIT).await?;
    let checks = due.into_iter().map(|queue| doorbell(DoorbellKind::CheckRecovery, queue));
    let resumed = woken.iter().map(|queue| doorbell(DoorbellKind::Resume, (queue.tenant_id, queue.queue_id)));
    ring(conn, checks.chain(resumed), now).await
}

/// Completes queues without pending and sending contacts. Usually the transaction of the last outcome completes the
/// queue.
async fn completion(conn: &mut PgConnection, context: &Context) -> anyhow::Result<u64> {
    Ok(queues::complete_finished(conn, context.clock.now(), LIMIT).await?)
}

/// Every replica has gauges.
async fn gauges(context: &Context) -> anyhow::Result<u64> {
    let reading = transact(&context.pool, async |conn| -> Result<_, sqlx::Error> {
        Ok((queues::count_active(conn).await?, doorbells::count(conn).await?))
    });
    let (active, waiting) = reading.await?;
    let gauge = &context.metrics.active_queues;
    gauge.reset();
    for ActiveQueues { tenant_id, status, count } in active {
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a float, and there are never 2^52 queues")]
        gauge.with_label_values(&[tenant_id.to_string().as_str(), status.as_str()]).set(count as f64);
    }
    context.metrics.doorbells_waiting.set(waiting);
    Ok(0)
}

const fn doorbell(kind: DoorbellKind, (tenant_id, queue_id): (TenantId, QueueId)) -> Doorbell {
    Doorbell::Queue { kind, tenant_id, queue_id }
}

async fn ring(
    conn: &mut PgConnection,
    doorbells: impl Iterator<Item = Doorbell>,
    now: DateTime<Utc>,
) -> anyhow::Result<u64> {
    let doorbells: Vec<_> = doorbells.collect();
    ring_all(conn, &doorbells, now).await?;
    if !doorbells.is_empty() {
        doorbells::notify(conn).await?;
    }
    Ok(doorbells.len() as u64)
}
