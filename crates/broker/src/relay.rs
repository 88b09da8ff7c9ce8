//! From the outbox to RabbitMQ: take, publish, delete. No transaction is open while something is published, and a row
//! is deleted only after RabbitMQ confirmed it; whoever dies in between leaves a doorbell that rings twice.

use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use fail::fail_point;
use regua_store::{PATIENCE, outbox, within};
use sqlx::PgPool;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::rabbit::Publisher;
use crate::{Broker, DoorbellKind, RabbitAway, Relayed, TopologyMismatch};

/// How many messages are in flight at once (limits.md: 14 to 18 thousand a second with 500).
const BATCH: usize = 500;
/// How many batches one pass takes.
const BATCHES: usize = 10;
/// How long a batch is hidden from other relays. Publishing is given up sooner; where two relays of one process wait for
/// each other it can take longer, and then a doorbell rings twice.
const HOLD: Duration = Duration::from_secs(30);

/// Relays when woken and every so often, until `shutdown`. The wake-up is for after a commit that rang.
pub async fn run_relay(broker: Arc<dyn Broker>, wake: Arc<Notify>, every: Duration, shutdown: CancellationToken) {
    let mut is_failing = false;
    while !shutdown.is_cancelled() {
        match broker.relay().await {
            Ok(relayed) => {
                if is_failing {
                    tracing::info!("the outbox is relayed again");
                }
                is_failing = false;
                if relayed.more {
                    continue;
                }
            }
            // The supervisor of the connection has said so already.
            Err(error) if error.is::<RabbitAway>() || error.is::<TopologyMismatch>() => {
                tracing::debug!(%error, "the outbox waits");
            }
            Err(error) if is_failing => tracing::debug!(%error, "the outbox waits"),
            Err(error) => {
                is_failing = true;
                tracing::warn!(error = format!("{error:#}"), "the outbox could not be relayed; trying again");
            }
        }
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = wake.notified() => {}
            () = tokio::time::sleep(every) => {}
        }
    }
}

/// One bounded pass.
pub(crate) async fn pass(pool: &PgPool, publisher: &Publisher) -> anyhow::Result<Relayed> {
    let routing_keys: Vec<_> = DoorbellKind::ALL.iter().map(|kind| kind.outbox_key().to_owned()).collect();
    let limit = i64::try_from(BATCH)?;
    let mut relayed = Relayed::default();
    for _ in 0..BATCHES {
        let session = publisher.session().await?;
        let taking = async {
            let mut transaction = pool.begin().await?;
            let held = outbox::take(&mut transaction, &routing_keys, limit, HOLD).await?;
            transaction.commit().await?;
            Ok::<_, sqlx::Error>(held)
        };
        let held = within(PATIENCE, taking).await?;
        let is_last = held.len() < BATCH;
        if held.is_empty() {
            return Ok(relayed);
        }
        fail_point!("relay::taken");
        let (confirmed, rest) = session.publish(held).await;
        fail_point!("relay::published");
        let noting = async {
            let mut transaction = pool.begin().await?;
            outbox::done(&mut transaction, &confirmed).await?;
            outbox::give_back(&mut transaction, &rest).await?;
            transaction.commit().await
        };
        within(PATIENCE, noting).await?;
        relayed.published += confirmed.len();
        ensure!(rest.is_empty(), "RabbitMQ did not take {} of {} doorbells", rest.len(), rest.len() + confirmed.len());
        if is_last {
            return Ok(relayed);
        }
    }
    relayed.more = true;
    Ok(relayed)
}
