//! From a doorbell to a lane. A doorbell says *look*: whatever its kind, its queue's lane is taken if nobody holds it. It
//! is acknowledged as soon as that is durable, long before anything is sent.

use std::sync::Arc;

use fail::fail_point;
use regua_broker::{Broker, Delivery, DoorbellKind};
use regua_domain::TenantId;
use regua_store::instances::{self, Instance};
use regua_store::{PATIENCE, queues, within};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::health::{self, Health};
use crate::lane::{Context, Key};
use crate::lanes::Lanes;

/// Hears doorbells until shutdown.
pub(crate) async fn run(
    broker: &dyn Broker,
    pool: &PgPool,
    lanes: &Arc<Lanes>,
    tasks: &TaskTracker,
    shutdown: &CancellationToken,
) {
    let mut deliveries = broker.consume(shutdown.clone()).await;
    while let Some(delivery) = deliveries.recv().await {
        let (pool, lanes) = (pool.clone(), Arc::clone(lanes));
        tasks.spawn(async move { hear(&pool, &lanes, delivery).await });
    }
}

async fn hear(pool: &PgPool, lanes: &Arc<Lanes>, delivery: Delivery) {
    let doorbell = delivery.doorbell;
    match look(pool, lanes, &delivery).await {
        Ok(()) => {
            fail_point!("ack::before");
            if let Err(error) = delivery.ack().await {
                tracing::debug!(error = format!("{error:#}"), "a doorbell will be heard again");
            }
        }
        Err(error) => {
            tracing::warn!(error = format!("{error:#}"), queue_id = %doorbell.queue_id, kind = %doorbell.kind,
                "a doorbell could not be answered; it will be heard again");
            delivery.retry().await;
        }
    }
}

async fn look(pool: &PgPool, lanes: &Arc<Lanes>, delivery: &Delivery) -> anyhow::Result<()> {
    let doorbell = delivery.doorbell;
    let asking = async {
        let mut transaction = pool.begin().await?;
        let instance = queues::instance_of(&mut transaction, doorbell.tenant_id, doorbell.queue_id).await?;
        transaction.commit().await?;
        Ok::<_, sqlx::Error>(instance)
    };
    let Some(instance) = within(PATIENCE, asking).await? else {
        tracing::warn!(tenant_id = %doorbell.tenant_id, queue_id = %doorbell.queue_id, "a doorbell for no queue");
        return Ok(());
    };
    let key = Key { tenant: doorbell.tenant_id, instance };
    if doorbell.kind == DoorbellKind::CheckRecovery && !has_recovered(pool, lanes, key).await? {
        return Ok(());
    }
    lanes.ring(key).await
}

/// Looks at a number that was down; its queues may run again when it is connected.
async fn has_recovered(pool: &PgPool, lanes: &Lanes, key: Key) -> anyhow::Result<bool> {
    let context = lanes.context();
    loop {
        let reading = async {
            let mut transaction = pool.begin().await?;
            let instance = instances::get(&mut transaction, key.tenant, key.instance).await?;
            transaction.commit().await?;
            Ok::<_, sqlx::Error>(instance)
        };
        let Some(instance) = within(PATIENCE, reading).await? else { return Ok(false) };
        let address = health::address(key.tenant, &instance, &context.secrets);
        let health = context.checks.ask(&context.gateway, &address).await;
        // None: its address or token was replaced while the old one was asked.
        if let Some(is_open) = within(PATIENCE, note(pool, context, key.tenant, &instance, health)).await? {
            return Ok(is_open);
        }
    }
}

/// Writes down what was seen of a number; whether it is connected, or none where it is not the number that was asked about
/// any more.
async fn note(
    pool: &PgPool,
    context: &Context,
    tenant: TenantId,
    asked: &Instance,
    health: Health,
) -> anyhow::Result<Option<bool>> {
    let mut transaction = pool.begin().await?;
    let is_open = match health {
        Health::Open => {
            let woken = instances::is_open(&mut transaction, tenant, asked.instance_id, context.clock.now()).await?;
            tracing::info!(instance_id = %asked.instance_id, queues = woken.len(), "the number is back");
            Some(true)
        }
        Health::Down { state, reason } => {
            let is_noted = health::note_down(tenant, asked, context, &mut transaction, state, &reason).await?;
            is_noted.then_some(false)
        }
    };
    transaction.commit().await?;
    Ok(is_open)
}
