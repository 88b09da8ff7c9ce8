//! Consumes doorbells. For a doorbell of any kind the worker acquires the lane of its queue, or raises the lane's bell
//! if the lane is leased already. It acknowledges the doorbell when lease or bell is committed, before any send.

use std::sync::Arc;

use fail::fail_point;
use regua_broker::{Broker, Delivery, Doorbell, DoorbellKind, Program};
use regua_domain::{LaneKey, QueueId, TenantId};
use regua_store::instances::{self, Instance};
use regua_store::{queues, transact};
use sqlx::{PgConnection, PgPool};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::context::Context;
use crate::health::{self, Health};
use crate::lanes::Lanes;

/// Consumes doorbells until shutdown.
pub(crate) async fn run(
    broker: &dyn Broker,
    pool: &PgPool,
    lanes: &Arc<Lanes>,
    tasks: &TaskTracker,
    shutdown: &CancellationToken,
) {
    let mut deliveries = broker.consume(Program::Worker, shutdown.clone()).await;
    while let Some(delivery) = deliveries.recv().await {
        let (pool, lanes) = (pool.clone(), Arc::clone(lanes));
        tasks.spawn(async move { handle(&pool, &lanes, delivery).await });
    }
}

async fn handle(pool: &PgPool, lanes: &Arc<Lanes>, delivery: Delivery) {
    let Doorbell::Queue { kind, tenant_id, queue_id } = delivery.doorbell else {
        tracing::warn!("a doorbell for another program is in a worker's queue");
        return acknowledge(delivery).await;
    };
    match ring_lane(pool, lanes, kind, (tenant_id, queue_id)).await {
        Ok(()) => {
            fail_point!("ack::before");
            acknowledge(delivery).await;
        }
        Err(error) => {
            tracing::warn!(error = format!("{error:#}"), %queue_id, %kind,
                "a doorbell could not be handled; it will be redelivered");
            delivery.requeue();
        }
    }
}

async fn acknowledge(delivery: Delivery) {
    if let Err(error) = delivery.ack().await {
        tracing::debug!(error = format!("{error:#}"), "a doorbell was not acknowledged; it will be redelivered");
    }
}

async fn ring_lane(
    pool: &PgPool,
    lanes: &Arc<Lanes>,
    kind: DoorbellKind,
    (tenant, queue): (TenantId, QueueId),
) -> anyhow::Result<()> {
    let reading = transact(pool, async |conn| queues::instance_of(conn, tenant, queue).await);
    let Some(instance) = reading.await? else {
        tracing::warn!(tenant_id = %tenant, queue_id = %queue, "a doorbell names a queue that does not exist");
        return Ok(());
    };
    let key = LaneKey { tenant, instance };
    if kind == DoorbellKind::CheckRecovery && !check_recovery(pool, lanes, key).await? {
        return Ok(());
    }
    lanes.ring(key).await
}

/// Checks an instance that was down, and writes the result; returns whether the instance is connected. Checks again
/// when the address or token was replaced meanwhile.
async fn check_recovery(pool: &PgPool, lanes: &Lanes, key: LaneKey) -> anyhow::Result<bool> {
    let context = lanes.context();
    loop {
        let reading = transact(pool, async |conn| instances::get(conn, key.tenant, key.instance).await);
        let Some(instance) = reading.await? else { return Ok(false) };
        let address = health::address(&instance, &context.secrets);
        let health = context.health_checks.check(&context.gateway, &address).await;
        let writing = transact(pool, async |conn| write_health(conn, context, &instance, health).await);
        if let Some(is_open) = writing.await? {
            return Ok(is_open);
        }
    }
}

/// Returns whether the instance is connected; none when its address or token was replaced since `checked` was read.
async fn write_health(
    conn: &mut PgConnection,
    context: &Context,
    checked: &Instance,
    health: Health,
) -> Result<Option<bool>, sqlx::Error> {
    match health {
        Health::Open => {
            let (tenant, instance) = (checked.tenant_id, checked.instance_id);
            let woken = instances::mark_open(conn, tenant, instance, context.clock.now()).await?;
            tracing::info!(instance_id = %instance, queues = woken.len(), "the instance is connected again");
            Ok(Some(true))
        }
        Health::Down { state, reason } => {
            let is_written = context.mark_down(conn, checked, state, &reason).await?;
            Ok(is_written.then_some(false))
        }
    }
}
