//! A RabbitMQ cluster of three nodes of a test's own, of which any may be killed and started again.

use super::super::{Room, free_port};
use super::node::{MAPPER, Node, launch_mapper, prepare};

const NAMES: [&str; 3] = ["rabbitmq-1", "rabbitmq-2", "rabbitmq-3"];

/// Three nodes in one room, which share its cookie and its port mapper. They are killed and removed when dropped.
pub struct RabbitCluster {
    room: Room,
    nodes: [Node; 3],
    mapper_port: u16,
}

impl RabbitCluster {
    /// Starts three empty nodes and waits until all are members; none where RabbitMQ is not installed.
    pub async fn try_start() -> Option<Self> {
        let room = Room::new("rabbitmq", None).await?;
        prepare(&room);
        let mut cluster = Self { room, nodes: NAMES.map(Node::new), mapper_port: 0 };
        for _ in 0..5 {
            (cluster.nodes, cluster.mapper_port) = (NAMES.map(Node::new), free_port());
            launch_mapper(&mut cluster.room, cluster.mapper_port);
            if cluster.are_up().await {
                return Some(cluster);
            }
            cluster.clear().await;
        }
        panic!("RabbitMQ did not start; the end of its log:\n{}", cluster.room.tail(NAMES[0]));
    }

    /// All boot at the same time. The first founds the cluster, and the others ask it until they may join: asked among
    /// themselves, each waits for the others to give up.
    async fn are_up(&mut self) -> bool {
        for index in 0..self.nodes.len() {
            self.launch(index);
        }
        for node in &self.nodes {
            if !node.is_up(&mut self.room).await {
                return false;
            }
        }
        true
    }

    async fn clear(&mut self) {
        for name in NAMES.into_iter().chain([MAPPER]) {
            self.room.kill(name).await;
        }
        std::fs::remove_dir_all(self.room.path("data")).unwrap();
    }

    fn launch(&mut self, index: usize) {
        // A node that sees neither of the others stops rather than decide alone.
        let mut settings = "cluster_partition_handling = pause_minority\n".to_owned();
        if index > 0 {
            settings += &format!(
                "cluster_formation.peer_discovery_backend = classic_config\n\
                 cluster_formation.classic_config.nodes.1 = {}\n\
                 cluster_formation.discovery_retry_limit = 200\n\
                 cluster_formation.discovery_retry_interval = 200\n",
                self.nodes[0].erlang_name()
            );
        }
        self.nodes[index].launch(&mut self.room, self.mapper_port, &settings);
    }

    /// All addresses, as `AMQP_URL` takes them.
    pub fn url(&self) -> String {
        self.nodes.each_ref().map(|node| node.url(&self.room)).join(",")
    }

    /// SIGKILL of one node, from 0: all its processes at once.
    pub async fn kill(&mut self, node: usize) {
        self.room.kill(NAMES[node]).await;
    }

    /// A node that was killed comes back with the data that it had; returns when it takes connections.
    pub async fn start_again(&mut self, node: usize) {
        self.launch(node);
        let is_up = self.nodes[node].is_up(&mut self.room).await;
        assert!(is_up, "RabbitMQ did not start again:\n{}", self.room.tail(NAMES[node]));
    }
}
