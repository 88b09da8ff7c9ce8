//! Checks of instances that were down. Periodic rings for each again after `INSTANCE_RECHECK_SECONDS`, so a check that
//! is not made now, or is lost, is made then.

use std::sync::Arc;

use regua_domain::LaneKey;
use regua_store::instances::{self, Instance};
use regua_store::transact;
use sqlx::PgConnection;

use crate::context::Context;
use crate::health::{self, Health};
use crate::lanes::Lanes;

/// Starts a check, and acquires the lane when the instance is connected. The caller does not wait, so gateways that do
/// not answer use up no place for doorbells. Without a permit of the budget there is no check.
pub(crate) fn start_check(lanes: &Arc<Lanes>, key: LaneKey) {
    let context = Arc::clone(lanes.context());
    let Some(permit) = context.send_budget.try_acquire(key.tenant) else { return };
    let lanes = Arc::clone(lanes);
    context.tasks.spawn(async move {
        let is_open = check(lanes.context(), key).await;
        drop(permit);
        let rung = match is_open {
            Ok(true) => lanes.ring(key).await,
            Ok(false) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = rung {
            tracing::warn!(tenant_id = %key.tenant, instance_id = %key.instance, error = format!("{error:#}"),
                "the check of an instance that is down failed; it is repeated");
        }
    });
}

/// Checks the instance, and writes the result; returns whether it is connected. Checks again when the address or token
/// was replaced meanwhile.
async fn check(context: &Context, key: LaneKey) -> anyhow::Result<bool> {
    let pool = &context.pool;
    loop {
        let reading = transact(pool, async |conn| instances::get(conn, key.tenant, key.instance).await);
        let Some(instance) = reading.await? else { return Ok(false) };
        let address = health::address(&instance, &context.secrets);
        let Some(health) = context.health_checks.check(&context.gateway, &address).await else {
            context.send_budget.count_without_socket();
            return Ok(false);
        };
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
            let woken = instances::mark_open(conn, checked, context.clock.now()).await?;
            tracing::info!(instance_id = %checked.instance_id, queues = woken.len(), "the instance is connected again");
            Ok(Some(true))
        }
        Health::Down { state, reason, .. } => {
            let is_written = context.mark_down(conn, checked, state, &reason).await?;
            Ok(is_written.then_some(false))
        }
    }
}
