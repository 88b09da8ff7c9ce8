//! Consuming: the six queues on one channel, handed out one at a time, the most urgent first.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use anyhow::{Context, ensure};
use futures_util::StreamExt;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions, BasicRejectOptions};
use lapin::types::FieldTable;
use lapin::{Acker, Channel, Consumer};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::link::{Down, Link, away};
use super::server::Server;
use crate::delivery::Receipt;
use crate::{Delivery, Doorbell, DoorbellKind};

/// The task behind one call of `consume`.
pub(super) struct Subscriber {
    server: Arc<Server>,
    link: Arc<Link<()>>,
    prefetch: u16,
    deliveries: mpsc::Sender<Delivery>,
    shutdown: CancellationToken,
}

impl Subscriber {
    /// Until `shutdown`, or until the receiver is dropped.
    pub(super) fn start(
        server: Arc<Server>,
        prefetch: u16,
        deliveries: mpsc::Sender<Delivery>,
        shutdown: CancellationToken,
    ) {
        let subscriber = Self { server, link: Link::new("consumer"), prefetch, deliveries, shutdown };
        tokio::spawn(async move {
            let Subscriber { link, shutdown, deliveries, .. } = &subscriber;
            link.keep(shutdown, async || {
                tokio::select! {
                    () = shutdown.cancelled() => Ok(()),
                    () = deliveries.closed() => Ok(()),
                    down = subscriber.run_session() => Err(down),
                }
            })
            .await;
        });
    }

    async fn run_session(&self) -> Down {
        match self.hand_out().await {
            Ok(()) => away("the queue was deleted"),
            Err(down) => down,
        }
    }

    /// Until a queue is deleted. When this is dropped, its consumers are cancelled; the connection lives on in the
    /// deliveries that are still in somebody's hands, so that they can be acknowledged.
    async fn hand_out(&self) -> Result<(), Down> {
        let connection = self.server.open("consumer").await?;
        let channel = connection.create_channel().await?;
        // For each consumer and not for the channel, which quorum queues do not know.
        channel.basic_qos(self.prefetch, BasicQosOptions::default()).await?;
        let mut consumers = self.consume(&channel).await?;
        self.link.is_up(());
        loop {
            // First the place, then what is the most urgent at that moment.
            let Ok(place) = self.deliveries.reserve().await else { return Ok(()) };
            let Some(heard) = most_urgent(&mut consumers).await else { return Ok(()) };
            let heard = heard?;
            match Doorbell::from_slice(&heard.data) {
                Ok(doorbell) => {
                    let message = Message { acker: heard.acker, _channel: channel.clone() };
                    place.send(Delivery::new(doorbell, Receipt::Rabbit(message), self.shutdown.clone()));
                }
                Err(reason) => {
                    tracing::warn!(queue = heard.routing_key.as_str(), %reason, "a doorbell is unreadable");
                    heard.reject(BasicRejectOptions { requeue: false }).await?;
                }
            }
        }
    }

    /// One consumer for each queue, in the order of urgency.
    async fn consume(&self, channel: &Channel) -> Result<Vec<Consumer>, Down> {
        let mut consumers = Vec::with_capacity(DoorbellKind::ALL.len());
        for kind in DoorbellKind::ALL {
            let queue = kind.routing_key(&self.server.namespace);
            let options = BasicConsumeOptions::default();
            consumers
                .push(channel.basic_consume(queue.into(), kind.as_str().into(), options, FieldTable::default()).await?);
        }
        Ok(consumers)
    }
}

/// The next message of the first consumer that has one.
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

/// A message that somebody holds. The channel keeps the connection open for its acknowledgement.
pub(crate) struct Message {
    acker: Acker,
    _channel: Channel,
}

impl Message {
    pub(crate) async fn ack(self) -> anyhow::Result<()> {
        let known = self.acker.ack(BasicAckOptions::default()).await.context("the doorbell is not acknowledged")?;
        // lapin says `false` and not an error when the channel has ended since.
        ensure!(known, "the doorbell is not acknowledged: its connection to RabbitMQ has ended");
        Ok(())
    }

    /// Where this fails, the end of the connection does the same.
    pub(crate) async fn release(self) {
        if let Err(error) = self.acker.nack(BasicNackOptions { multiple: false, requeue: true }).await {
            tracing::debug!(%error, "a doorbell goes back with its connection");
        }
    }
}
