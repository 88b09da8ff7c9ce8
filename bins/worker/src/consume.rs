//! Consumes doorbells. For a doorbell of any kind the worker acquires the lane of its queue, or raises the lane's bell
//! if the lane is leased already. It acknowledges the doorbell when lease or bell is committed, before any send. For an
//! instance that is down it starts a check (`recovery`) and acknowledges the doorbell at once.

use std::sync::Arc;

use fail::fail_point;
use regua_broker::{Broker, Delivery, Doorbell, DoorbellKind, Program};
use regua_domain::{LaneKey, QueueId, TenantId};
use regua_store::{queues, transact};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::lanes::Lanes;
use crate::recovery;

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
    if kind == DoorbellKind::CheckRecovery {
        recovery::start_check(lanes, key);
        return Ok(());
    }
    lanes.ring(key).await
}
