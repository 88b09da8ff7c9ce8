//! Why RabbitMQ cannot be used.

/// RabbitMQ cannot be reached, or has closed the connection. The broker reconnects in the background.
#[derive(Clone, Debug, thiserror::Error)]
#[error("RabbitMQ is away: {0}")]
pub struct RabbitAway(String);

/// RabbitMQ has an exchange or a queue of this name with other arguments. The broker stays unusable until an operator
/// resolves the conflict, and retries once a minute.
#[derive(Clone, Debug, thiserror::Error)]
#[error(
    "RabbitMQ already has the {what} {name:?} with other arguments ({difference}): delete it when it is empty \
     (it is made again), or set AMQP_QUEUE_TYPE to the type that it has, or give this fleet another namespace"
)]
pub struct TopologyMismatch {
    /// `queue` or `exchange`.
    pub what: &'static str,
    /// Its name.
    pub name: String,
    /// RabbitMQ's description of the difference.
    pub difference: String,
}

#[derive(Clone, Debug)]
pub(super) enum Outage {
    /// The outage may end by itself.
    Away(RabbitAway),
    /// An operator must end the outage.
    Mismatch(TopologyMismatch),
}

impl Outage {
    pub(super) fn away(reason: impl Into<String>) -> Self {
        Self::Away(RabbitAway(reason.into()))
    }
}

impl From<lapin::Error> for Outage {
    fn from(error: lapin::Error) -> Self {
        Self::away(error.to_string())
    }
}

/// Not by `std::error::Error`, so that a caller can downcast to the two public types.
impl From<Outage> for anyhow::Error {
    fn from(outage: Outage) -> Self {
        match outage {
            Outage::Away(away) => away.into(),
            Outage::Mismatch(mismatch) => mismatch.into(),
        }
    }
}
