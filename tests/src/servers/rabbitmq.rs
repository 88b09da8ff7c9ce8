//! A RabbitMQ node of a test's own, with its own port mapper (epmd), so that the machine's is neither used nor stopped.

use std::time::{Duration, Instant};

use super::{Room, free_port};

const NAME: &str = "rabbitmq";
const MAPPER: &str = "epmd";

/// One node, on ports that stay the same. It is killed and removed when dropped.
pub struct Rabbit {
    room: Room,
    port: u16,
    distribution_port: u16,
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
        let mut node = Self { room, port: 0, distribution_port: 0, mapper_port: 0 };
        let settings = format!("default_user = regua\ndefault_pass = {}\n", node.room.password);
        node.room.keep("rabbitmq.conf", &settings);
        node.room.keep("advanced.config", "[].");
        node.room.keep("plugins", "[].");
        node.start_first().await;
        Some(node)
    }

    /// On ports of its own choice: another program may be quicker to take them.
    async fn start_first(&mut self) {
        for _ in 0..5 {
            (self.port, self.distribution_port, self.mapper_port) = (free_port(), free_port(), free_port());
            let mut mapper = self.room.command(&self.room.port_mapper);
            mapper.args(["-port", &self.mapper_port.to_string(), "-address", "127.0.0.1"]);
            self.room.launch(MAPPER, mapper);
            self.launch();
            if self.is_up().await {
                return;
            }
            self.room.kill(NAME).await;
            self.room.kill(MAPPER).await;
        }
        panic!("RabbitMQ did not start; the end of its log:\n{}", self.room.tail(NAME));
    }

    /// Nothing of the machine's own node is read: every file and every name is this one's. `RUNNING_UNDER_SYSTEMD`: the
    /// start script becomes the node instead of watching over it.
    fn launch(&mut self) {
        let mut command = self.room.command(self.room.programs.join("rabbitmq-server"));
        command
            .env("HOME", self.room.path(""))
            .env("ERL_EPMD_PORT", self.mapper_port.to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODENAME", format!("regua-tests-{}@localhost", self.port))
            .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODE_PORT", self.port.to_string())
            .env("RABBITMQ_DIST_PORT", self.distribution_port.to_string())
            .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-kernel inet_dist_use_interface {127,0,0,1}")
            .env("RABBITMQ_CONF_ENV_FILE", self.room.path("rabbitmq-env.conf"))
            .env("RABBITMQ_CONFIG_FILE", self.room.path("rabbitmq.conf"))
            .env("RABBITMQ_ADVANCED_CONFIG_FILE", self.room.path("advanced.config"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", self.room.path("plugins"))
            .env("RABBITMQ_MNESIA_BASE", self.room.path("data"))
            .env("RABBITMQ_LOG_BASE", self.room.path("log"))
            .env("RABBITMQ_LOGS", "-")
            .env("RABBITMQ_PID_FILE", self.room.path("node.pid"))
            .env("RUNNING_UNDER_SYSTEMD", "yes");
        self.room.launch(NAME, command);
    }

    /// Waits until it takes connections; false when it ended instead.
    async fn is_up(&mut self) -> bool {
        let started = Instant::now();
        while self.room.is_running(NAME) && self.room.is_running(MAPPER) {
            if self.room.read_log(NAME).contains("Server startup complete") {
                return true;
            }
            assert!(started.elapsed() < Duration::from_secs(60), "RabbitMQ does not start:\n{}", self.room.tail(NAME));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        false
    }

    /// Its address, with the user that may do everything in its only virtual host.
    pub fn url(&self) -> String {
        format!("amqp://regua:{}@127.0.0.1:{}/%2f", self.room.password, self.port)
    }

    /// SIGKILL of all its processes at once.
    pub async fn kill(&mut self) {
        self.room.kill(NAME).await;
    }

    /// On the same ports with the same data; returns when it takes connections.
    pub async fn start_again(&mut self) {
        self.launch();
        assert!(self.is_up().await, "RabbitMQ did not start again:\n{}", self.room.tail(NAME));
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
