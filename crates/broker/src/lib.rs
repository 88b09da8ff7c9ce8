//! Doorbells: the trait [`Broker`] and its two implementations, RabbitMQ and the embedded broker, whose consumers read
//! the table `doorbells`. A doorbell names a queue to look at and carries no data, so a lost, repeated or late doorbell
//! changes no result. This crate has no rules, and no SQL but LISTEN.

mod delivery;
mod doorbell;
mod embedded;
mod rabbit;
mod relay;
mod settings;
mod topic;

use std::sync::Arc;

use async_trait::async_trait;
use sqlx::PgPool;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

pub use delivery::Delivery;
pub use doorbell::{Doorbell, Unreadable, ring, ring_all};
pub use rabbit::Outage;
pub use relay::run_relay;
pub use settings::{AmqpUrls, BrokerSettings, QueueType, UnreadableAmqpUrl};
pub use topic::{DoorbellKind, Program};

/// Carries doorbells from the transaction that rings them to a consumer.
#[async_trait]
pub trait Broker: Send + Sync {
    /// Publishes stored doorbells in a bounded pass. Processes may run passes concurrently. A failed pass loses
    /// nothing.
    async fn relay(&self) -> anyhow::Result<Relayed>;

    /// Deliveries of the doorbells for a program until `shutdown`. The consumer reconnects by itself.
    async fn consume(&self, program: Program, shutdown: CancellationToken) -> mpsc::Receiver<Delivery>;

    /// Whether the broker answers, for readiness.
    async fn ping(&self) -> anyhow::Result<()>;

    /// `rabbitmq` or `embedded`.
    fn name(&self) -> &'static str;
}

/// The result of one pass of the relay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Relayed {
    /// Doorbells that the broker confirmed; always 0 for the embedded broker, whose consumers read the table.
    pub published: usize,
    /// Whether the pass ended at its bound, so that more doorbells may wait.
    pub more: bool,
}

/// The broker that the settings name. RabbitMQ is connected in the background, so this call never fails.
///
/// Must be called within a tokio runtime.
pub fn connect(settings: &BrokerSettings, pool: PgPool) -> Arc<dyn Broker> {
    match &settings.amqp_urls {
        Some(urls) => Arc::new(rabbit::RabbitBroker::connect(urls, settings, pool)),
        None => Arc::new(embedded::EmbeddedBroker::new(pool, settings.prefetch)),
    }
}
