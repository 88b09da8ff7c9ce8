//! Publishing with confirms. A message counts as published when RabbitMQ has confirmed it and has not sent it back.

use std::sync::Arc;
use std::time::Duration;

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Channel, Confirmation, Connection, PublisherConfirm};
use regua_store::outbox::Held;
use tokio::time::{Instant, interval, timeout_at};
use tokio_util::sync::CancellationToken;

use super::link::{Down, Link, Server, away};
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

/// A channel in confirm mode and its connection.
#[derive(Clone)]
pub(crate) struct Session {
    server: Arc<Server>,
    connection: Arc<Connection>,
    channel: Channel,
    /// Cancelled by whoever finds that nothing can be published here any more.
    broken: CancellationToken,
}

impl Session {
    async fn open(server: Arc<Server>) -> Result<Self, Down> {
        let connection = server.open("publisher").await?;
        let channel = connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        Ok(Self { server, connection: Arc::new(connection), channel, broken: CancellationToken::new() })
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
        let (mut confirmed, returned, mut unsure) = self.publish_once(held).await;
        if returned.is_empty() {
            return (confirmed, unsure);
        }
        tracing::warn!(returned = returned.len(), "no queue took some doorbells; the queues are declared again");
        if topology::declare(&self.connection, &self.server.namespace, self.server.queue_type).await.is_err() {
            self.broken.cancel();
            unsure.extend(returned);
            return (confirmed, unsure);
        }
        let (confirmed_now, returned, unsure_now) = self.publish_once(returned).await;
        confirmed.extend(confirmed_now);
        unsure.extend(returned.into_iter().chain(unsure_now));
        (confirmed, unsure)
    }

    /// Confirmed, returned, unsure.
    async fn publish_once(&self, held: Vec<Held>) -> (Vec<Held>, Vec<Held>, Vec<Held>) {
        let deadline = Instant::now() + PUBLISH_TIMEOUT;
        let mut in_flight = Vec::with_capacity(held.len());
        for message in held {
            let confirm = timeout_at(deadline, self.send(&message)).await;
            in_flight.push((message, confirm));
        }
        let (mut confirmed, mut returned, mut unsure) = (Vec::new(), Vec::new(), Vec::new());
        for (message, sent) in in_flight {
            match sent {
                Ok(Ok(confirm)) => match timeout_at(deadline, confirm).await {
                    Ok(Ok(Confirmation::Ack(None))) => confirmed.push(message),
                    Ok(Ok(Confirmation::Ack(Some(_)) | Confirmation::Nack(Some(_)))) => returned.push(message),
                    _ => unsure.push(message),
                },
                _ => unsure.push(message),
            }
        }
        if !unsure.is_empty() {
            self.broken.cancel();
        }
        (confirmed, returned, unsure)
    }

    async fn send(&self, message: &Held) -> lapin::Result<PublisherConfirm> {
        let namespace = self.server.namespace.as_str();
        // The outbox knows no namespace: "billing.overdue" there is "<namespace>.overdue" here.
        let kind = message.routing_key.split_once('.').map_or("", |(_, kind)| kind);
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let properties = BasicProperties::default()
            .with_content_type("application/json".into())
            .with_delivery_mode(PERSISTENT)
            .with_priority(u8::try_from(message.priority).unwrap_or(0));
        let body = message.body.to_string();
        let routing_key = format!("{namespace}.{kind}");
        self.channel.basic_publish(namespace.into(), routing_key.into(), options, body.as_bytes(), properties).await
    }
}
