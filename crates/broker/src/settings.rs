//! Which broker is used and how. Where the values come from is the binaries' business.

use std::str::FromStr;

use lapin::uri::AMQPUri;

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

/// The nodes of one RabbitMQ, in the order in which they are tried. It has no `Debug`, because each holds a password.
#[derive(Clone)]
pub struct AmqpUrls(pub(crate) Vec<AMQPUri>);

impl FromStr for AmqpUrls {
    type Err = UnreadableAmqpUrl;

    /// One URL, or several with commas between them. A comma inside of one is written `%2c`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // lapin's reason would quote it.
        let url = |(index, url): (usize, &str)| url.trim().parse().map_err(|_| UnreadableAmqpUrl { number: index + 1 });
        text.split(',').enumerate().map(url).collect::<Result<_, _>>().map(Self)
    }
}

/// One of the addresses cannot be read. It is not quoted, because it may hold a password.
#[derive(Debug, thiserror::Error)]
#[error(
    "address {number} cannot be read: write amqp://user:password@host:port/vhost, several with commas between them"
)]
pub struct UnreadableAmqpUrl {
    /// Which one, from 1.
    pub number: usize,
}

/// Which broker, and how it is used. It has no `Debug`, because the URL holds a password.
#[derive(Clone)]
pub struct BrokerSettings {
    /// Where RabbitMQ is; without it the embedded broker is used.
    pub amqp_urls: Option<AmqpUrls>,
    /// The first word of every exchange and queue: `billing`, save where several fleets share one RabbitMQ.
    pub namespace: String,
    /// How RabbitMQ keeps the queues.
    pub queue_type: QueueType,
    /// How many unacknowledged doorbells one consumer holds: of each queue with RabbitMQ, in all with the embedded broker.
    pub prefetch: u16,
    /// What RabbitMQ's management shows.
    pub connection_name: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_addresses_stand_with_commas_between_them() {
        let read = |text: &str| text.parse::<AmqpUrls>().map(|AmqpUrls(urls)| urls.len());
        assert_eq!(read("amqp://one/%2f").unwrap(), 1);
        assert_eq!(read("amqp://u:p%2cq@one:5672/%2f, amqps://two:5671/v?heartbeat=2").unwrap(), 2);
        let AmqpUrls(urls) = "amqp://u:p%2cq@one/%2f".parse().unwrap();
        assert_eq!(urls[0].authority.userinfo.password, "p,q");
    }

    #[test]
    fn an_address_that_cannot_be_read_is_numbered_and_not_quoted() {
        for (text, number) in [("", 1), ("http://u:secret@one", 1), ("amqp://one,u:secret@two:5672", 2)] {
            let error = text.parse::<AmqpUrls>().err().unwrap();
            assert_eq!(error.number, number, "{text}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }
}
