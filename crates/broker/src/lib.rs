//! Doorbells: one trait, and two brokers that carry them, RabbitMQ and the outbox table itself. A doorbell says *look*,
//! never *what*, so one that is lost, doubled or late changes nothing. There are no rules in this room, and no SQL
//! outside `embedded`.

mod delivery;
mod doorbell;
mod embedded;
mod rabbit;
mod relay;
mod settings;

use std::sync::Arc;

use async_trait::async_trait;
use sqlx::PgPool;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

pub use delivery::Delivery;
pub use doorbell::{Doorbell, DoorbellKind, Unreadable, ring, ring_all};
pub use rabbit::{RabbitAway, TopologyMismatch};
pub use relay::run_relay;
pub use settings::{AmqpUrls, BrokerSettings, QueueType, UnknownQueueType, UnreadableAmqpUrl};

/// What carries doorbells from whoever rings to whoever looks.
#[async_trait]
pub trait Broker: Send + Sync {
    /// Publishes what waits in the outbox, in a bounded pass. Any number of processes may run it at once.
    ///
    /// # Errors
    /// When the broker or the database is away; nothing is lost, and the next pass tries again.
    async fn relay(&self) -> anyhow::Result<Relayed>;

    /// Deliveries of all kinds until `shutdown`. It survives reconnects by itself.
    async fn consume(&self, shutdown: CancellationToken) -> mpsc::Receiver<Delivery>;

    /// Whether the broker answers, for readiness.
    ///
    /// # Errors
    /// [`RabbitAway`], [`TopologyMismatch`], or the database's.
    async fn ping(&self) -> anyhow::Result<()>;

    /// `rabbitmq` or `embedded`.
    fn name(&self) -> &'static str;
}

/// What one pass of the relay did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Relayed {
    /// How many doorbells the broker confirmed. The embedded broker publishes none: they are heard where they stand.
    pub published: usize,
    /// Whether the pass ended at its bound, and more may be waiting.
    pub more: bool,
}

/// The broker that the settings name. It never fails: RabbitMQ is connected in the background, again and again.
///
/// Must be called within a tokio runtime.
pub fn connect(settings: &BrokerSettings, pool: PgPool) -> Arc<dyn Broker> {
    match &settings.amqp_urls {
        Some(urls) => Arc::new(rabbit::RabbitBroker::connect(urls, settings, pool)),
        None => Arc::new(embedded::EmbeddedBroker::new(pool, settings.prefetch)),
    }
}
