//! Where RabbitMQ is, node by node, and how a connection to it is opened.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lapin::uri::AMQPUri;
use lapin::{Connection, ConnectionProperties};
use tokio::time::timeout;

use super::link::{Down, away};
use super::topology;
use crate::{AmqpUrls, BrokerSettings, QueueType};

/// Two of them without a sign of life, and the peer counts as dead.
const HEARTBEAT_SECONDS: u16 = 10;
/// For TCP, TLS, AMQP's handshake and the topology together.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The same where there is another node to go to. A dead node refuses at once; this is for one that says nothing.
const NEXT_NODE_AFTER: Duration = Duration::from_secs(4);

/// RabbitMQ, and what a fleet calls its own there.
pub(super) struct Server {
    nodes: Vec<AMQPUri>,
    /// The node that answered last. The next connection is tried there first: where one node is silent, not each
    /// connection has to find out anew.
    answered: AtomicUsize,
    connection_name: String,
    pub(super) namespace: String,
    pub(super) queue_type: QueueType,
}

impl Server {
    pub(super) fn new(urls: &AmqpUrls, settings: &BrokerSettings) -> Self {
        Self {
            nodes: urls.0.clone(),
            answered: AtomicUsize::new(0),
            connection_name: settings.connection_name.clone(),
            namespace: settings.namespace.clone(),
            queue_type: settings.queue_type,
        }
    }

    /// A new connection on which exchanges and queues are declared, to the first node that answers.
    pub(super) async fn open(&self, role: &str) -> Result<Connection, Down> {
        let first = self.answered.load(Ordering::Relaxed);
        let patience = if self.nodes.len() > 1 { NEXT_NODE_AFTER } else { CONNECT_TIMEOUT };
        let mut down = away("no address");
        for index in (0..self.nodes.len()).map(|step| (first + step) % self.nodes.len()) {
            let too_late = |_| away(format!("no answer within {} s", patience.as_secs()));
            match timeout(patience, self.open_at(&self.nodes[index], role)).await.map_err(too_late) {
                Ok(Ok(connection)) => {
                    self.answered.store(index, Ordering::Relaxed);
                    return Ok(connection);
                }
                // It is the whole cluster's answer.
                Ok(Err(mismatch @ Down::Mismatch(_))) => return Err(mismatch),
                Ok(Err(reason)) | Err(reason) => down = reason,
            }
        }
        Err(down)
    }

    async fn open_at(&self, node: &AMQPUri, role: &str) -> Result<Connection, Down> {
        let mut uri = node.clone();
        uri.query.heartbeat.get_or_insert(HEARTBEAT_SECONDS);
        let name = format!("{} ({role})", self.connection_name);
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        let connection = Connection::connect_uri(uri, properties).await?;
        topology::declare(&connection, &self.namespace, self.queue_type).await?;
        Ok(connection)
    }
}
