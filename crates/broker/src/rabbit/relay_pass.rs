//! One pass of the relay: read stored doorbells, publish them, delete them. No transaction is open during the
//! publishing, and a row is deleted only after RabbitMQ confirmed it, so a crash in between publishes a doorbell twice.

use std::time::Duration;

use anyhow::ensure;
use fail::fail_point;
use regua_store::{doorbells, transact};
use sqlx::PgPool;

use super::publisher::Publisher;
use crate::Relayed;
use crate::topic::Topic;

/// Messages that await their confirms together. With 500 RabbitMQ took 14,000 to 18,000 a second.
const BATCH: usize = 500;
const BATCHES_PER_PASS: usize = 10;
/// Longer than a batch takes, unless two relays of one process wait for each other; a doorbell is then published twice.
const VISIBILITY_TIMEOUT: Duration = Duration::from_secs(30);

pub(super) async fn run(pool: &PgPool, publisher: &Publisher) -> anyhow::Result<Relayed> {
    let routing_keys = Topic::stored_routing_keys(&Topic::all());
    let limit = i64::try_from(BATCH)?;
    let mut relayed = Relayed::default();
    for _ in 0..BATCHES_PER_PASS {
        let session = publisher.session().await?;
        let reading =
            transact(pool, async |conn| doorbells::take(conn, &routing_keys, limit, VISIBILITY_TIMEOUT).await);
        let held = reading.await?;
        let is_last = held.len() < BATCH;
        if held.is_empty() {
            return Ok(relayed);
        }
        fail_point!("relay::before_publish");
        let (confirmed, rest) = session.publish(held).await;
        fail_point!("relay::published");
        let finishing = transact(pool, async |conn| -> Result<_, sqlx::Error> {
            doorbells::acknowledge(conn, &confirmed).await?;
            doorbells::give_back(conn, &rest).await
        });
        finishing.await?;
        relayed.published += confirmed.len();
        let total = rest.len() + confirmed.len();
        ensure!(rest.is_empty(), "RabbitMQ did not confirm {} of {total} doorbells", rest.len());
        if is_last {
            return Ok(relayed);
        }
    }
    relayed.more = true;
    Ok(relayed)
}
