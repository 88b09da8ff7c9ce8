//! RabbitMQ. One connection publishes and another consumes, because RabbitMQ throttles the whole connection of a fast
//! publisher. After a failure a supervisor opens connection and channel again and declares the topology.

mod link;
mod outage;
mod publisher;
mod relay_pass;
mod server;
mod subscriber;
mod topology;

use std::sync::Arc;

use async_trait::async_trait;
use sqlx::PgPool;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

pub use self::outage::{RabbitAway, TopologyMismatch};

use self::publisher::Publisher;
use self::server::Server;
use self::subscriber::Subscriber;
use crate::{AmqpUrls, Broker, BrokerSettings, Delivery, Program, Relayed};

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
    async fn relay(&self) -> anyhow::Result<Relayed> {
        relay_pass::run(&self.pool, &self.publisher).await
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
