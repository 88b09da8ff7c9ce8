//! What stands in RabbitMQ: the exchange, the six queues, and the dead letters. Any process declares all of it at any
//! time; what is there already as it should be is left alone.

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, ErrorKind, ExchangeKind};

use super::link::Down;
use crate::{DoorbellKind, QueueType};

/// AMQP's PRECONDITION_FAILED.
const PRECONDITION_FAILED: u16 = 406;
/// api.md: every classic queue has ten priorities.
const MAX_PRIORITY: i32 = 10;
/// Newer RabbitMQ gives up on a message of a quorum queue after 20 returns, which an hour without a database exceeds.
const DELIVERY_LIMIT: i32 = 1_000_000;

/// RabbitMQ has an exchange or a queue of ours with other arguments. Nothing is published and nothing heard until a
/// person has decided; it is tried again slowly.
#[derive(Clone, Debug, thiserror::Error)]
#[error(
    "RabbitMQ already has the {what} {name:?} with other arguments ({difference}): delete it when it is empty \
     (it is made again), or set AMQP_QUEUE_TYPE to the type that it has, or give this fleet another namespace"
)]
pub struct TopologyMismatch {
    /// `queue` or `exchange`.
    pub what: &'static str,
    /// Which one.
    pub name: String,
    /// What differs, in RabbitMQ's words.
    pub difference: String,
}

/// Declares everything, on a channel of its own, because RabbitMQ closes the channel on which it refuses something.
pub(super) async fn declare(connection: &Connection, namespace: &str, queue_type: QueueType) -> Result<(), Down> {
    let channel = connection.create_channel().await?;
    let dead = format!("{namespace}.dead");
    declare_exchange(&channel, namespace, ExchangeKind::Direct).await?;
    declare_exchange(&channel, &dead, ExchangeKind::Fanout).await?;
    declare_queue(&channel, &dead, dead_letter_arguments(queue_type)).await?;
    bind(&channel, &dead, &dead).await?;
    for kind in DoorbellKind::ALL {
        let queue = kind.routing_key(namespace);
        declare_queue(&channel, &queue, arguments(queue_type, &dead)).await?;
        bind(&channel, &queue, namespace).await?;
    }
    Ok(channel.close(200, "OK".into()).await?)
}

fn arguments(queue_type: QueueType, dead: &str) -> FieldTable {
    let mut arguments = dead_letter_arguments(queue_type);
    arguments.insert("x-dead-letter-exchange".into(), AMQPValue::LongString(dead.into()));
    if queue_type == QueueType::Classic {
        arguments.insert("x-max-priority".into(), MAX_PRIORITY.into());
        return arguments;
    }
    arguments.insert("x-delivery-limit".into(), DELIVERY_LIMIT.into());
    // What cannot be read is removed only when it stands among the dead letters. RabbitMQ insists that such a queue has
    // no other way to lose a message.
    for (name, value) in [("x-dead-letter-strategy", "at-least-once"), ("x-overflow", "reject-publish")] {
        arguments.insert(name.into(), AMQPValue::LongString(value.into()));
    }
    arguments
}

/// A classic queue is what RabbitMQ makes when nobody asks, and a program that follows api.md does not ask.
fn dead_letter_arguments(queue_type: QueueType) -> FieldTable {
    let mut arguments = FieldTable::default();
    if queue_type == QueueType::Quorum {
        arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    }
    arguments
}

async fn declare_exchange(channel: &Channel, name: &str, kind: ExchangeKind) -> Result<(), Down> {
    let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    let declared = channel.exchange_declare(name.into(), kind, options, FieldTable::default()).await;
    declared.map_err(|error| refusal("exchange", name, error))
}

async fn declare_queue(channel: &Channel, name: &str, arguments: FieldTable) -> Result<(), Down> {
    let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    let declared = channel.queue_declare(name.into(), options, arguments).await;
    declared.map(drop).map_err(|error| refusal("queue", name, error))
}

/// Queues are bound by their own name.
async fn bind(channel: &Channel, queue: &str, exchange: &str) -> Result<(), Down> {
    let options = QueueBindOptions::default();
    Ok(channel.queue_bind(queue.into(), exchange.into(), queue.into(), options, FieldTable::default()).await?)
}

fn refusal(what: &'static str, name: &str, error: lapin::Error) -> Down {
    match error.kind() {
        ErrorKind::ProtocolError(amqp) if amqp.get_id() == PRECONDITION_FAILED => {
            let difference = amqp.get_message().as_str().trim_start_matches("PRECONDITION_FAILED - ").to_owned();
            Down::Mismatch(TopologyMismatch { what, name: name.to_owned(), difference })
        }
        _ => error.into(),
    }
}
