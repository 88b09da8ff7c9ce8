//! The settings of the broker. The binaries read them from arguments and environment.

use std::str::FromStr;

use lapin::uri::AMQPUri;

/// The type of RabbitMQ's queues (`AMQP_QUEUE_TYPE`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QueueType {
    /// On one node, with message priorities.
    #[default]
    Classic,
    /// Replicated, for a cluster of several nodes; without message priorities.
    Quorum,
}

/// The nodes of one RabbitMQ, in the order of connection attempts. No `Debug`: each URL holds a password.
#[derive(Clone)]
pub struct AmqpUrls(pub(crate) Vec<AMQPUri>);

impl FromStr for AmqpUrls {
    type Err = UnreadableAmqpUrl;

    /// URLs separated by commas. A comma inside a URL is written `%2c`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // lapin's error quotes the URL.
        let url = |(index, url): (usize, &str)| url.trim().parse().map_err(|_| UnreadableAmqpUrl { number: index + 1 });
        text.split(',').enumerate().map(url).collect::<Result<_, _>>().map(Self)
    }
}

/// An address is not a URL of RabbitMQ. The error does not quote the address, which may hold a password.
#[derive(Debug, thiserror::Error)]
#[error(
    "address {number} cannot be read: write amqp://user:password@host:port/vhost, several with commas between them"
)]
pub struct UnreadableAmqpUrl {
    /// Its position, from 1.
    pub number: usize,
}

/// The settings of a broker. No `Debug`: the URL holds a password.
#[derive(Clone)]
pub struct BrokerSettings {
    /// RabbitMQ's nodes; `None` selects the embedded broker.
    pub amqp_urls: Option<AmqpUrls>,
    /// The first word of the names of exchanges and queues: `billing`, unless several fleets use one RabbitMQ.
    pub namespace: String,
    /// The type of RabbitMQ's queues.
    pub queue_type: QueueType,
    /// Unacknowledged doorbells of one consumer: of each queue with RabbitMQ, in all with the embedded broker.
    pub prefetch: u16,
    /// The name of the connections in RabbitMQ's management.
    pub connection_name: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_separated_by_commas() {
        let read = |text: &str| text.parse::<AmqpUrls>().map(|AmqpUrls(urls)| urls.len());
        assert_eq!(read("amqp://one/%2f").unwrap(), 1);
        assert_eq!(read("amqp://u:p%2cq@one:5672/%2f, amqps://two:5671/v?heartbeat=2").unwrap(), 2);
        let AmqpUrls(urls) = "amqp://u:p%2cq@one/%2f".parse().unwrap();
        assert_eq!(urls[0].authority.userinfo.password, "p,q");
    }

    #[test]
    fn unreadable_address_is_numbered_and_not_quoted() {
        for (text, number) in [("", 1), ("http://u:secret@one", 1), ("amqp://one,u:secret@two:5672", 2)] {
            let error = text.parse::<AmqpUrls>().err().unwrap();
            assert_eq!(error.number, number, "{text}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }
}
