//! Why RabbitMQ cannot be used.

/// Why RabbitMQ cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Outage {
    /// RabbitMQ cannot be reached, or has closed the connection. The broker reconnects in the background.
    #[error("RabbitMQ is away: {0}")]
    Away(String),
    /// RabbitMQ has an exchange or a queue of this name with other arguments. The broker stays unusable until an operator
    /// resolves the conflict, and retries once a minute.
    #[error(
        "RabbitMQ already has the {what} {name:?} with other arguments ({difference}): delete it when it is empty \
         (it is made again), or set AMQP_QUEUE_TYPE to the type that it has, or give this fleet another namespace"
    )]
    Mismatch {
        /// `queue` or `exchange`.
        what: &'static str,
        /// Its name.
        name: String,
        /// RabbitMQ's description of the difference.
        difference: String,
    },
}

impl Outage {
    pub(super) fn away(reason: impl Into<String>) -> Self {
        Self::Away(reason.into())
    }
}

impl From<lapin::Error> for Outage {
    fn from(error: lapin::Error) -> Self {
        Self::away(error.to_string())
    }
}
