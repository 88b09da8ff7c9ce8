//! Which broker is used and how. Where the values come from is the binaries' business.

use std::str::FromStr;

/// How RabbitMQ keeps the queues (`AMQP_QUEUE_TYPE`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QueueType {
    /// On one node, with message priorities.
    #[default]
    Classic,
    /// Replicated, for a cluster of several nodes; without message priorities.
    Quorum,
}

impl FromStr for QueueType {
    type Err = UnknownQueueType;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "classic" => Ok(Self::Classic),
            "quorum" => Ok(Self::Quorum),
            _ => Err(UnknownQueueType(text.to_owned())),
        }
    }
}

/// The text names no type of queue.
#[derive(Debug, thiserror::Error)]
#[error("unknown queue type {0:?}: use classic or quorum")]
pub struct UnknownQueueType(String);

/// Which broker, and how it is used. It has no `Debug`, because the URL holds a password.
#[derive(Clone)]
pub struct BrokerSettings {
    /// Where RabbitMQ is; without it the embedded broker is used.
    pub amqp_url: Option<String>,
    /// The first word of every exchange and queue: `billing`, save where several fleets share one RabbitMQ.
    pub namespace: String,
    /// How RabbitMQ keeps the queues.
    pub queue_type: QueueType,
    /// How many unacknowledged doorbells one consumer holds: of each queue with RabbitMQ, in all with the embedded broker.
    pub prefetch: u16,
    /// What RabbitMQ's management shows.
    pub connection_name: String,
}
