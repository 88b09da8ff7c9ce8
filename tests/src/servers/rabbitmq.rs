//! A private RabbitMQ node with its own port mapper (epmd); the machine's port mapper is not used.

mod cluster;
mod node;

use self::node::{MAPPER, Node, launch_mapper, prepare};
use super::{Host, free_port};

pub use cluster::RabbitCluster;

const NAME: &str = "rabbitmq";

/// A node on fixed ports. Dropping it stops and removes it.
pub struct Rabbit {
    host: Host,
    node: Node,
    mapper_port: u16,
}

impl Rabbit {
    /// Starts an empty node.
    pub async fn start() -> Self {
        Self::try_start().await.expect("RabbitMQ's programs are installed")
    }

    /// The same; none if RabbitMQ is not installed.
    pub async fn try_start() -> Option<Self> {
        let host = Host::new(NAME, None).await?;
        prepare(&host);
        let mut rabbit = Self { host, node: Node::new(NAME), mapper_port: 0 };
        rabbit.start_first().await;
        Some(rabbit)
    }

    /// Tries several ports, because another program may take them first.
    async fn start_first(&mut self) {
        for _ in 0..5 {
            (self.node, self.mapper_port) = (Node::new(NAME), free_port());
            launch_mapper(&mut self.host, self.mapper_port);
            self.node.launch(&mut self.host, self.mapper_port, "");
            if self.node.is_up(&mut self.host).await {
                return;
            }
            self.host.kill(NAME).await;
            self.host.kill(MAPPER).await;
        }
        panic!("RabbitMQ did not start; the end of its log:\n{}", self.host.tail(NAME));
    }

    /// The URL of the default virtual host, with the administrator.
    pub fn url(&self) -> String {
        self.node.url(&self.host)
    }

    /// Sends SIGKILL to all its processes.
    pub async fn kill(&mut self) {
        self.host.kill(NAME).await;
    }

    /// Starts the node with the same ports and data; returns when it accepts connections.
    pub async fn start_again(&mut self) {
        self.node.launch(&mut self.host, self.mapper_port, "");
        assert!(self.node.is_up(&mut self.host).await, "RabbitMQ did not start again:\n{}", self.host.tail(NAME));
    }

    /// Kills the node, removes its data, and starts it again.
    pub async fn wipe(&mut self) {
        self.kill().await;
        std::fs::remove_dir_all(self.host.path("data")).unwrap();
        self.start_again().await;
    }

    /// Sends SIGSTOP: connections stay open without answers.
    pub async fn freeze(&self) {
        self.host.signal(NAME, "STOP").await;
    }

    /// Sends SIGCONT.
    pub async fn thaw(&self) {
        self.host.signal(NAME, "CONT").await;
    }
}
