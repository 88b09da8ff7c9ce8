//! The exchanges and queues in RabbitMQ: one for each topic, and the dead letters. Every process declares all of them at
//! each connect, which does not change existing ones.

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, ErrorKind, ExchangeKind};

use super::outage::Outage;
use crate::QueueType;
use crate::topic::Topic;

const PRECONDITION_FAILED: u16 = 406;
/// The product's requirements: every classic queue has ten priorities.
const MAX_PRIORITY: i32 = 10;
/// RabbitMQ 4 removes a message from a quorum queue after 20 returns, and an hour without a database exceeds 20.
const DELIVERY_LIMIT: i32 = 1_000_000;

/// Declares everything on a separate channel, because RabbitMQ closes the channel of a refused declaration.
pub(super) async fn declare(connection: &Connection, namespace: &str, queue_type: QueueType) -> Result<(), Outage> {
    let channel = connection.create_channel().await?;
    let dead = format!("{namespace}.dead");
    declare_exchange(&channel, namespace, ExchangeKind::Direct).await?;
    declare_exchange(&channel, &dead, ExchangeKind::Fanout).await?;
    declare_queue(&channel, &dead, dead_letter_arguments(queue_type)).await?;
    bind(&channel, &dead, &dead).await?;
    for topic in Topic::all() {
        let queue = topic.routing_key(namespace);
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
    // RabbitMQ removes an unreadable message only after the dead letters have it, and demands `reject-publish` for
    // that.
    for (name, value) in [("x-dead-letter-strategy", "at-least-once"), ("x-overflow", "reject-publish")] {
        arguments.insert(name.into(), AMQPValue::LongString(value.into()));
    }
    arguments
}

/// `x-queue-type` is absent for a classic queue, so that other programs may declare the same queue by the product's
/// requirements.
fn dead_letter_arguments(queue_type: QueueType) -> FieldTable {
    let mut arguments = FieldTable::default();
    if queue_type == QueueType::Quorum {
        arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    }
    arguments
}

async fn declare_exchange(channel: &Channel, name: &str, kind: ExchangeKind) -> Result<(), Outage> {
    let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    let declared = channel.exchange_declare(name.into(), kind, options, FieldTable::default()).await;
    declared.map_err(|error| refusal("exchange", name, error))
}

async fn declare_queue(channel: &Channel, name: &str, arguments: FieldTable) -> Result<(), Outage> {
    let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    let declared = channel.queue_declare(name.into(), options, arguments).await;
    declared.map(drop).map_err(|error| refusal("queue", name, error))
}

/// The routing key is the queue's name.
async fn bind(channel: &Channel, queue: &str, exchange: &str) -> Result<(), Outage> {
    let options = QueueBindOptions::default();
    Ok(channel.queue_bind(queue.into(), exchange.into(), queue.into(), options, FieldTable::default()).await?)
}

fn refusal(what: &'static str, name: &str, error: lapin::Error) -> Outage {
    match error.kind() {
        ErrorKind::ProtocolError(amqp) if amqp.get_id() == PRECONDITION_FAILED => {
            let difference = amqp.get_message().as_str().trim_start_matches("PRECONDITION_FAILED - ").to_owned();
            Outage::Mismatch { what, name: name.to_owned(), difference }
        }
        _ => error.into(),
    }
}
