//! The nodes of RabbitMQ, and how a connection is opened.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lapin::uri::AMQPUri;
use lapin::{Connection, ConnectionProperties};
use tokio::time::timeout;

use super::outage::Outage;
use super::topology;
use crate::{AmqpUrls, BrokerSettings, QueueType};

/// After two silent intervals the peer counts as dead.
const HEARTBEAT_SECONDS: u16 = 10;
/// For TCP, TLS, AMQP's handshake and the topology together.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The same limit where there are several nodes. A dead node refuses at once; only a silent node takes this long.
const NEXT_NODE_AFTER: Duration = Duration::from_secs(4);

pub(super) struct Server {
    nodes: Vec<AMQPUri>,
    /// The node that answered last, which the next connection tries first, so that a silent node delays only one.
    last_answered: AtomicUsize,
    connection_name: String,
    pub(super) namespace: String,
    pub(super) queue_type: QueueType,
}

impl Server {
    pub(super) fn new(urls: &AmqpUrls, settings: &BrokerSettings) -> Self {
        Self {
            nodes: urls.0.clone(),
            last_answered: AtomicUsize::new(0),
            connection_name: settings.connection_name.clone(),
            namespace: settings.namespace.clone(),
            queue_type: settings.queue_type,
        }
    }

    /// Connects to the first node that answers, and declares exchanges and queues.
    pub(super) async fn open(&self, role: &str) -> Result<Connection, Outage> {
        let first = self.last_answered.load(Ordering::Relaxed);
        let patience = if self.nodes.len() > 1 { NEXT_NODE_AFTER } else { CONNECT_TIMEOUT };
        let mut outage = Outage::away("no address");
        for index in (0..self.nodes.len()).map(|step| (first + step) % self.nodes.len()) {
            let too_late = |_| Outage::away(format!("no answer within {} s", patience.as_secs()));
            match timeout(patience, self.open_at(&self.nodes[index], role)).await.map_err(too_late) {
                Ok(Ok(connection)) => {
                    self.last_answered.store(index, Ordering::Relaxed);
                    return Ok(connection);
                }
                // All nodes of a cluster have the same topology.
                Ok(Err(mismatch @ Outage::Mismatch { .. })) => return Err(mismatch),
                Ok(Err(reason)) | Err(reason) => outage = reason,
            }
        }
        Err(outage)
    }

    async fn open_at(&self, node: &AMQPUri, role: &str) -> Result<Connection, Outage> {
        let mut uri = node.clone();
        uri.query.heartbeat.get_or_insert(HEARTBEAT_SECONDS);
        let name = format!("{} ({role})", self.connection_name);
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        let connection = Connection::connect_uri(uri, properties).await?;
        topology::declare(&connection, &self.namespace, self.queue_type).await?;
        Ok(connection)
    }
}
