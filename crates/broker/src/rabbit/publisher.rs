//! Publishing with confirms. A message counts as published when RabbitMQ has confirmed it and has not sent it back.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::ShortString;
use lapin::{BasicProperties, Channel, Confirmation, Connection, PublisherConfirm};
use regua_store::outbox::Held;
use tokio::sync::Mutex;
use tokio::time::{Instant, interval, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::link::{Down, Link, away};
use super::server::Server;
use super::topology;

/// How long a batch may take before its connection is given up. A RabbitMQ that is out of memory or disk takes for ever.
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(10);
/// lapin tells nobody that an idle connection has ended, so it is asked.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// AMQP's delivery mode of messages that survive a restart.
const PERSISTENT: u8 = 2;

/// The publisher's connection, kept up by a task.
pub(crate) struct Publisher {
    link: Arc<Link<Session>>,
}

impl Publisher {
    /// Until `stop`.
    pub(super) fn start(server: Arc<Server>, stop: CancellationToken) -> Self {
        let link = Link::new("publisher");
        let kept = link.clone();
        tokio::spawn(async move {
            kept.keep(&stop, async || {
                tokio::select! {
                    () = stop.cancelled() => Ok(()),
                    down = run_session(&server, &kept) => Err(down),
                }
            })
            .await;
        });
        Self { link }
    }

    pub(crate) async fn session(&self) -> anyhow::Result<Session> {
        Ok(self.link.session().await?)
    }
}

async fn run_session(server: &Arc<Server>, link: &Link<Session>) -> Down {
    let session = match Session::open(server.clone()).await {
        Ok(session) => session,
        Err(down) => return down,
    };
    link.is_up(session.clone());
    session.ended().await
}

/// What became of a batch.
#[derive(Default)]
struct Published {
    confirmed: Vec<Held>,
    /// No queue took it.
    returned: Vec<Held>,
    /// Neither confirmed nor returned: RabbitMQ may have it or not.
    unsure: Vec<Held>,
}

/// A channel in confirm mode and its connection.
#[derive(Clone)]
pub(crate) struct Session {
    server: Arc<Server>,
    connection: Arc<Connection>,
    channel: Channel,
    publishing: Arc<Mutex<()>>,
    /// Cancelled by whoever finds that nothing can be published here any more.
    broken: CancellationToken,
}

impl Session {
    async fn open(server: Arc<Server>) -> Result<Self, Down> {
        let connection = server.open("publisher").await?;
        let channel = connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        let (connection, publishing) = (Arc::new(connection), Arc::default());
        Ok(Self { server, connection, channel, publishing, broken: CancellationToken::new() })
    }

    async fn ended(&self) -> Down {
        let mut look = interval(LOOK_EVERY);
        while self.connection.status().connected() && self.channel.status().connected() {
            tokio::select! {
                () = self.broken.cancelled() => return away("it did not confirm a message"),
                _ = look.tick() => {}
            }
        }
        away("the connection ended")
    }

    /// Publishes all messages, and says which of them RabbitMQ has and which it may not have. What no queue took is
    /// tried once more after declaring the queues again, in case somebody deleted one.
    pub(crate) async fn publish(&self, held: Vec<Held>) -> (Vec<Held>, Vec<Held>) {
        // lapin puts a returned message into whichever confirmation comes next: it must be one of the same batch.
        let _one_batch_at_a_time = self.publishing.lock().await;
        let Published { mut confirmed, returned, mut unsure } = self.publish_once(held).await;
        if !returned.is_empty() {
            tracing::warn!(returned = returned.len(), "no queue took some doorbells; the queues are declared again");
            let again = self.publish_again(returned).await;
            confirmed.extend(again.confirmed);
            unsure.extend(again.returned.into_iter().chain(again.unsure));
        }
        (confirmed, unsure)
    }

    async fn publish_again(&self, returned: Vec<Held>) -> Published {
        let declaring = topology::declare(&self.connection, &self.server.namespace, self.server.queue_type);
        match timeout(PUBLISH_TIMEOUT, declaring).await {
            Ok(Ok(())) => self.publish_once(returned).await,
            _ => {
                self.broken.cancel();
                Published { unsure: returned, ..Published::default() }
            }
        }
    }

    async fn publish_once(&self, held: Vec<Held>) -> Published {
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
        let is_returned = |message: &mut Held| returned_ids.contains(&message_id(message));
        published.returned = published.confirmed.extract_if(.., is_returned).collect();
        published
    }

    async fn send(&self, message: &Held) -> lapin::Result<PublisherConfirm> {
        let namespace = self.server.namespace.as_str();
        // The outbox knows no namespace: "billing.overdue" there is "<namespace>.overdue" here.
        let kind = message.routing_key.split_once('.').map_or("", |(_, kind)| kind);
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let properties = BasicProperties::default()
            .with_content_type("application/json".into())
            .with_delivery_mode(PERSISTENT)
            .with_message_id(message_id(message))
            .with_priority(u8::try_from(message.priority).unwrap_or(0));
        let body = message.body.to_string();
        let routing_key = format!("{namespace}.{kind}");
        self.channel.basic_publish(namespace.into(), routing_key.into(), options, body.as_bytes(), properties).await
    }
}

/// By which a returned message is known.
fn message_id(message: &Held) -> ShortString {
    message.outbox_id.to_string().into()
}
