//! Consuming: all queues of a program on one channel, delivered one at a time, the most urgent first.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use anyhow::{Context, ensure};
use async_trait::async_trait;
use futures_util::StreamExt;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions, BasicRejectOptions};
use lapin::types::FieldTable;
use lapin::{Acker, Channel, Consumer};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::link::Link;
use super::outage::Outage;
use super::server::Server;
use crate::delivery::Receipt;
use crate::{Delivery, Doorbell, Program};

pub(super) struct Subscriber {
    server: Arc<Server>,
    program: Program,
    link: Arc<Link<()>>,
    prefetch: u16,
    deliveries: mpsc::Sender<Delivery>,
    shutdown: CancellationToken,
}

impl Subscriber {
    pub(super) fn start(
        server: Arc<Server>,
        program: Program,
        prefetch: u16,
        deliveries: mpsc::Sender<Delivery>,
        shutdown: CancellationToken,
    ) {
        let subscriber = Self { server, program, link: Link::new("consumer"), prefetch, deliveries, shutdown };
        tokio::spawn(async move {
            let Subscriber { link, shutdown, deliveries, .. } = &subscriber;
            link.run_sessions(shutdown, async || {
                tokio::select! {
                    () = shutdown.cancelled() => Ok(()),
                    () = deliveries.closed() => Ok(()),
                    outage = subscriber.run_session() => Err(outage),
                }
            })
            .await;
        });
    }

    async fn run_session(&self) -> Outage {
        match self.deliver_messages().await {
            Ok(()) => Outage::away("the queue was deleted"),
            Err(outage) => outage,
        }
    }

    /// Runs until a queue is deleted. Dropping the future cancels the consumers. Open deliveries keep the connection, so
    /// that they can still be acknowledged.
    async fn deliver_messages(&self) -> Result<(), Outage> {
        let connection = self.server.open("consumer").await?;
        let channel = connection.create_channel().await?;
        // Per consumer: quorum queues have no prefetch per channel.
        channel.basic_qos(self.prefetch, BasicQosOptions::default()).await?;
        let mut consumers = self.consume(&channel).await?;
        self.link.mark_up(());
        loop {
            // The slot comes first, so that the message is the most urgent one when the consumer is free.
            let Ok(slot) = self.deliveries.reserve().await else { return Ok(()) };
            let Some(message) = most_urgent(&mut consumers).await else { return Ok(()) };
            let message = message?;
            match Doorbell::from_slice(&message.data) {
                Ok(doorbell) => {
                    let receipt = MessageReceipt { acker: message.acker, _channel: channel.clone() };
                    slot.send(Delivery::new(doorbell, Box::new(receipt), self.shutdown.clone()));
                }
                Err(reason) => {
                    let queue = message.routing_key.as_str();
                    tracing::warn!(queue, %reason, "an unreadable doorbell goes to the dead letters");
                    message.reject(BasicRejectOptions { requeue: false }).await?;
                }
            }
        }
    }

    /// One consumer for each queue, the most urgent first.
    async fn consume(&self, channel: &Channel) -> Result<Vec<Consumer>, Outage> {
        let mut consumers = Vec::new();
        for topic in self.program.topics() {
            let (queue, tag) = (topic.routing_key(&self.server.namespace), topic.as_str());
            let options = BasicConsumeOptions::default();
            consumers.push(channel.basic_consume(queue.into(), tag.into(), options, FieldTable::default()).await?);
        }
        Ok(consumers)
    }
}

async fn most_urgent(consumers: &mut [Consumer]) -> Option<lapin::Result<lapin::message::Delivery>> {
    poll_fn(|context| {
        consumers
            .iter_mut()
            .map(|consumer| consumer.poll_next_unpin(context))
            .find(Poll::is_ready)
            .unwrap_or(Poll::Pending)
    })
    .await
}

struct MessageReceipt {
    acker: Acker,
    /// Keeps the connection open.
    _channel: Channel,
}

#[async_trait]
impl Receipt for MessageReceipt {
    async fn ack(self: Box<Self>) -> anyhow::Result<()> {
        let is_known = self.acker.ack(BasicAckOptions::default()).await.context("the doorbell is not acknowledged")?;
        // lapin returns `false` when the channel has ended.
        ensure!(is_known, "the doorbell is not acknowledged: its connection to RabbitMQ has ended");
        Ok(())
    }

    async fn requeue(self: Box<Self>) {
        if let Err(error) = self.acker.nack(BasicNackOptions { multiple: false, requeue: true }).await {
            tracing::debug!(%error, "a doorbell is requeued when its connection ends");
        }
    }
}
