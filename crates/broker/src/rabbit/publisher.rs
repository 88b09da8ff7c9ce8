//! Publishing with confirms. A message is published when RabbitMQ has confirmed it and has not returned it.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::ShortString;
use lapin::{BasicProperties, Channel, Confirmation, Connection, PublisherConfirm};
use regua_store::doorbells::HeldDoorbell;
use tokio::sync::Mutex;
use tokio::time::{Instant, interval, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::link::Link;
use super::outage::Outage;
use super::server::Server;
use super::topology;

/// The time limit of a batch. RabbitMQ never confirms while it is out of memory or disk.
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(10);
/// lapin does not report the end of an idle connection, so its status is polled.
const POLL: Duration = Duration::from_millis(500);
const DELIVERY_MODE_PERSISTENT: u8 = 2;

pub(super) struct Publisher {
    link: Arc<Link<Session>>,
}

impl Publisher {
    pub(super) fn start(server: Arc<Server>, stop: CancellationToken) -> Self {
        let link = Link::new("publisher");
        let supervised = link.clone();
        tokio::spawn(async move {
            let session = async || {
                tokio::select! {
                    () = stop.cancelled() => Ok(()),
                    outage = run_session(&server, &supervised) => Err(outage),
                }
            };
            supervised.run_sessions(&stop, session).await;
        });
        Self { link }
    }

    pub(super) async fn session(&self) -> anyhow::Result<Session> {
        Ok(self.link.session().await?)
    }
}

async fn run_session(server: &Arc<Server>, link: &Link<Session>) -> Outage {
    let session = match Session::open(server.clone()).await {
        Ok(session) => session,
        Err(outage) => return outage,
    };
    link.mark_up(session.clone());
    session.ended().await
}

#[derive(Default)]
struct Published {
    confirmed: Vec<HeldDoorbell>,
    /// RabbitMQ has no queue for it.
    returned: Vec<HeldDoorbell>,
    /// RabbitMQ may have stored it or not.
    unsure: Vec<HeldDoorbell>,
}

#[derive(Clone)]
pub(super) struct Session {
    server: Arc<Server>,
    connection: Arc<Connection>,
    channel: Channel,
    publishing: Arc<Mutex<()>>,
    /// Cancelled when the session can publish no more.
    broken: CancellationToken,
}

impl Session {
    async fn open(server: Arc<Server>) -> Result<Self, Outage> {
        let connection = server.open("publisher").await?;
        let channel = connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        let (connection, publishing) = (Arc::new(connection), Arc::default());
        Ok(Self { server, connection, channel, publishing, broken: CancellationToken::new() })
    }

    async fn ended(&self) -> Outage {
        let mut poll = interval(POLL);
        while self.connection.status().connected() && self.channel.status().connected() {
            tokio::select! {
                () = self.broken.cancelled() => return Outage::away("it did not confirm a message"),
                _ = poll.tick() => {}
            }
        }
        Outage::away("the connection ended")
    }

    /// Publishes all messages. Returns those that RabbitMQ has, and those that it may not have. When RabbitMQ returns a
    /// message, a queue may have been deleted: the queues are declared again and the message is published once more.
    pub(super) async fn publish(&self, held: Vec<HeldDoorbell>) -> (Vec<HeldDoorbell>, Vec<HeldDoorbell>) {
        // lapin attaches a returned message to the next confirmation, which must be one of the same batch.
        let _one_batch_at_a_time = self.publishing.lock().await;
        let Published { mut confirmed, returned, mut unsure } = self.publish_once(held).await;
        if !returned.is_empty() {
            tracing::warn!(returned = returned.len(), "RabbitMQ returned doorbells; the queues are declared again");
            let again = self.publish_again(returned).await;
            confirmed.extend(again.confirmed);
            unsure.extend(again.returned.into_iter().chain(again.unsure));
        }
        (confirmed, unsure)
    }

    async fn publish_again(&self, returned: Vec<HeldDoorbell>) -> Published {
        let declaring = topology::declare(&self.connection, &self.server.namespace, self.server.queue_type);
        match timeout(PUBLISH_TIMEOUT, declaring).await {
            Ok(Ok(())) => self.publish_once(returned).await,
            _ => {
                self.broken.cancel();
                Published { unsure: returned, ..Published::default() }
            }
        }
    }

    async fn publish_once(&self, held: Vec<HeldDoorbell>) -> Published {
        if self.broken.is_cancelled() {
            return Published { unsure: held, ..Published::default() };
        }
        let deadline = Instant::now() + PUBLISH_TIMEOUT;
        let mut in_flight = Vec::with_capacity(held.len());
        for message in held {
            let confirm = timeout_at(deadline, self.send(&message)).await;
            in_flight.push((message, confirm));
        }
        let mut published = Published::default();
        let mut returned_ids = HashSet::new();
        for (message, sent) in in_flight {
            let Ok(Ok(confirm)) = sent else {
                published.unsure.push(message);
                continue;
            };
            let confirmation = timeout_at(deadline, confirm).await;
            let is_confirmed = matches!(confirmation, Ok(Ok(Confirmation::Ack(_))));
            if is_confirmed { &mut published.confirmed } else { &mut published.unsure }.push(message);
            let returned = confirmation.ok().and_then(Result::ok).and_then(Confirmation::take_message);
            returned_ids.extend(returned.and_then(|returned| returned.properties.message_id().clone()));
        }
        if !published.unsure.is_empty() {
            self.broken.cancel();
        }
        let is_returned = |message: &mut HeldDoorbell| returned_ids.contains(&message_id(message));
        published.returned = published.confirmed.extract_if(.., is_returned).collect();
        published
    }

    async fn send(&self, message: &HeldDoorbell) -> lapin::Result<PublisherConfirm> {
        let namespace = self.server.namespace.as_str();
        // A stored routing key has no namespace: `billing.overdue` becomes `<namespace>.overdue`.
        let kind = message.routing_key.split_once('.').map_or("", |(_, kind)| kind);
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let properties = BasicProperties::default()
            .with_content_type("application/json".into())
            .with_delivery_mode(DELIVERY_MODE_PERSISTENT)
            .with_message_id(message_id(message))
            .with_priority(u8::try_from(message.priority).unwrap_or(0));
        let body = message.body.to_string();
        let routing_key = format!("{namespace}.{kind}");
        self.channel.basic_publish(namespace.into(), routing_key.into(), options, body.as_bytes(), properties).await
    }
}

fn message_id(message: &HeldDoorbell) -> ShortString {
    message.doorbell_id.to_string().into()
}
