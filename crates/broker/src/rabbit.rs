//! RabbitMQ. One connection publishes and another consumes, because RabbitMQ throttles the whole connection of a fast
//! publisher. After a failure a supervisor opens connection and channel again and declares the topology.

mod link;
mod outage;
mod publisher;
mod server;
mod subscriber;
mod topology;

use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use async_trait::async_trait;
use fail::fail_point;
use regua_store::{doorbells, transact};
use sqlx::PgPool;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

pub use self::outage::Outage;

use self::publisher::Publisher;
use self::server::Server;
use self::subscriber::Subscriber;
use crate::topic::Topic;
use crate::{AmqpUrls, Broker, BrokerSettings, Delivery, Program, Relayed};

/// Messages that await their confirms together. With 500 RabbitMQ took 14,000 to 18,000 a second.
const BATCH: usize = 500;
const BATCHES_PER_PASS: usize = 10;
/// Longer than a batch takes, unless two relays of one process wait for each other; a doorbell is then published twice.
const VISIBILITY_TIMEOUT: Duration = Duration::from_secs(30);

pub(crate) struct RabbitBroker {
    pool: PgPool,
    server: Arc<Server>,
    publisher: Publisher,
    prefetch: u16,
    /// Stops the publisher's supervisor when the broker is dropped.
    _stop: DropGuard,
}

impl RabbitBroker {
    pub(crate) fn connect(urls: &AmqpUrls, settings: &BrokerSettings, pool: PgPool) -> Self {
        let server = Arc::new(Server::new(urls, settings));
        let stop = CancellationToken::new();
        let publisher = Publisher::start(server.clone(), stop.clone());
        Self { pool, server, publisher, prefetch: settings.prefetch, _stop: stop.drop_guard() }
    }
}

#[async_trait]
impl Broker for RabbitBroker {
    /// No transaction is open during the publishing, and a row is deleted only after RabbitMQ confirmed it, so a crash in
    /// between publishes a doorbell twice.
    async fn relay(&self) -> anyhow::Result<Relayed> {
        let routing_keys = Topic::stored_routing_keys(Topic::all());
        let limit = i64::try_from(BATCH)?;
        let mut relayed = Relayed::default();
        for _ in 0..BATCHES_PER_PASS {
            let session = self.publisher.session().await?;
            let reading = transact(&self.pool, async |conn| {
                doorbells::take(conn, &routing_keys, limit, VISIBILITY_TIMEOUT).await
            });
            let held = reading.await?;
            let is_last = held.len() < BATCH;
            if held.is_empty() {
                return Ok(relayed);
            }
            fail_point!("relay::before_publish");
            let (confirmed, rest) = session.publish(held).await;
            fail_point!("relay::published");
            let finishing = transact(&self.pool, async |conn| -> Result<_, sqlx::Error> {
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

    async fn consume(&self, program: Program, shutdown: CancellationToken) -> mpsc::Receiver<Delivery> {
        // Doorbells wait at RabbitMQ, where a more urgent one can still overtake them.
        let (deliveries, receiver) = mpsc::channel(1);
        Subscriber::start(self.server.clone(), program, self.prefetch.max(1), deliveries, shutdown);
        receiver
    }

    /// Checks the publisher's connection only: the consumer's has the same server and the same topology.
    async fn ping(&self) -> anyhow::Result<()> {
        self.publisher.session().await.map(drop)
    }

    fn name(&self) -> &'static str {
        "rabbitmq"
    }
}
