//! RabbitMQ. One connection publishes and one consumes, because RabbitMQ holds up a whole connection whose publisher is
//! too fast. Each has a supervisor that makes connection, channel and topology anew after any failure.

mod link;
mod publisher;
mod server;
mod subscriber;
mod topology;

use std::sync::Arc;

use async_trait::async_trait;
use sqlx::PgPool;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

pub(crate) use self::publisher::Publisher;
pub(crate) use self::subscriber::Message;

pub use self::link::RabbitAway;
pub use self::topology::TopologyMismatch;

use self::server::Server;
use self::subscriber::Subscriber;
use crate::{AmqpUrls, Broker, BrokerSettings, Delivery, Relayed, relay};

pub(crate) struct RabbitBroker {
    pool: PgPool,
    server: Arc<Server>,
    publisher: Publisher,
    prefetch: u16,
    /// Ends the publisher's supervisor with the broker.
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
    async fn relay(&self) -> anyhow::Result<Relayed> {
        relay::pass(&self.pool, &self.publisher).await
    }

    async fn consume(&self, shutdown: CancellationToken) -> mpsc::Receiver<Delivery> {
        // One is enough: what waits longer waits where it can still be overtaken by something more urgent.
        let (deliveries, receiver) = mpsc::channel(1);
        Subscriber::start(self.server.clone(), self.prefetch.max(1), deliveries, shutdown);
        receiver
    }

    /// The publisher's connection speaks for both: it goes to the same server and declares the same topology.
    async fn ping(&self) -> anyhow::Result<()> {
        self.publisher.session().await.map(drop)
    }

    fn name(&self) -> &'static str {
        "rabbitmq"
    }
}
