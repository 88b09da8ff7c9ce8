//! A private RabbitMQ cluster of three nodes.

use super::super::{Host, free_port};
use super::node::{MAPPER, Node, launch_mapper, prepare};

const NAMES: [&str; 3] = ["rabbitmq-1", "rabbitmq-2", "rabbitmq-3"];

/// Three nodes with one cookie and one port mapper. Dropping the cluster stops and removes them.
pub struct RabbitCluster {
    host: Host,
    nodes: [Node; 3],
    mapper_port: u16,
}

impl RabbitCluster {
    /// Starts three empty nodes and waits until all are members; none if RabbitMQ is not installed.
    pub async fn try_start() -> Option<Self> {
        let host = Host::new("rabbitmq", None).await?;
        prepare(&host);
        let mut cluster = Self { host, nodes: NAMES.map(Node::new), mapper_port: 0 };
        for _ in 0..5 {
            (cluster.nodes, cluster.mapper_port) = (NAMES.map(Node::new), free_port());
            launch_mapper(&mut cluster.host, cluster.mapper_port);
            if cluster.are_up().await {
                return Some(cluster);
            }
            cluster.clear().await;
        }
        panic!("RabbitMQ did not start; the end of its log:\n{}", cluster.host.tail(NAMES[0]));
    }

    /// The other nodes ask only the first to join. With a common list of peers, each would wait for the others.
    async fn are_up(&mut self) -> bool {
        for index in 0..self.nodes.len() {
            self.launch(index);
        }
        for node in &self.nodes {
            if !node.is_up(&mut self.host).await {
                return false;
            }
        }
        true
    }

    async fn clear(&mut self) {
        for name in NAMES.into_iter().chain([MAPPER]) {
            self.host.kill(name).await;
        }
        std::fs::remove_dir_all(self.host.path("data")).unwrap();
    }

    fn launch(&mut self, index: usize) {
        // A node without connection to the others stops.
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
        self.nodes[index].launch(&mut self.host, self.mapper_port, &settings);
    }

    /// The URLs of all nodes, in the form of `AMQP_URL`.
    pub fn url(&self) -> String {
        self.nodes.each_ref().map(|node| node.url(&self.host)).join(",")
    }

    /// Sends SIGKILL to all processes of one node, from 0.
    pub async fn kill(&mut self, node: usize) {
        self.host.kill(NAMES[node]).await;
    }

    /// Starts a killed node with its data; returns when it accepts connections.
    pub async fn start_again(&mut self, node: usize) {
        self.launch(node);
        let is_up = self.nodes[node].is_up(&mut self.host).await;
        assert!(is_up, "RabbitMQ did not start again:\n{}", self.host.tail(NAMES[node]));
    }
}
