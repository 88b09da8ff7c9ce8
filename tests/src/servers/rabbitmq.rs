//! A RabbitMQ node of a test's own, with its own port mapper (epmd), so that the machine's is neither used nor stopped.

mod cluster;
mod node;

use self::node::{MAPPER, Node, launch_mapper, prepare};
use super::{Room, free_port};

pub use cluster::RabbitCluster;

const NAME: &str = "rabbitmq";

/// One node, on ports that stay the same. It is killed and removed when dropped.
pub struct Rabbit {
    room: Room,
    node: Node,
    mapper_port: u16,
}

impl Rabbit {
    /// Starts an empty node.
    pub async fn start() -> Self {
        Self::try_start().await.expect("RabbitMQ's programs are installed")
    }

    /// As `start`; none where RabbitMQ is not installed.
    pub async fn try_start() -> Option<Self> {
        let room = Room::new(NAME, None).await?;
        prepare(&room);
        let mut rabbit = Self { room, node: Node::new(NAME), mapper_port: 0 };
        rabbit.start_first().await;
        Some(rabbit)
    }

    /// On ports of its own choice: another program may be quicker to take them.
    async fn start_first(&mut self) {
        for _ in 0..5 {
            (self.node, self.mapper_port) = (Node::new(NAME), free_port());
            launch_mapper(&mut self.room, self.mapper_port);
            self.node.launch(&mut self.room, self.mapper_port, "");
            if self.node.is_up(&mut self.room).await {
                return;
            }
            self.room.kill(NAME).await;
            self.room.kill(MAPPER).await;
        }
        panic!("RabbitMQ did not start; the end of its log:\n{}", self.room.tail(NAME));
    }

    /// Its address, with the user that may do everything in its only virtual host.
    pub fn url(&self) -> String {
        self.node.url(&self.room)
    }

    /// SIGKILL of all its processes at once.
    pub async fn kill(&mut self) {
        self.room.kill(NAME).await;
    }

    /// On the same ports with the same data; returns when it takes connections.
    pub async fn start_again(&mut self) {
        self.node.launch(&mut self.room, self.mapper_port, "");
        assert!(self.node.is_up(&mut self.room).await, "RabbitMQ did not start again:\n{}", self.room.tail(NAME));
    }

    /// Killed, its data removed, and started empty.
    pub async fn wipe(&mut self) {
        self.kill().await;
        std::fs::remove_dir_all(self.room.path("data")).unwrap();
        self.start_again().await;
    }

    /// SIGSTOP: connections stay, and nobody answers.
    pub async fn freeze(&self) {
        self.room.signal(NAME, "STOP").await;
    }

    /// SIGCONT.
    pub async fn thaw(&self) {
        self.room.signal(NAME, "CONT").await;
    }
}
