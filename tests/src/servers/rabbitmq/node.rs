//! How one node is set up and started.

use std::time::{Duration, Instant};

use super::super::{Room, free_port};

pub(super) const MAPPER: &str = "epmd";

/// A node's names and ports. Its process and its files are in a room, which may hold others.
pub(super) struct Node {
    pub(super) name: &'static str,
    port: u16,
    distribution_port: u16,
}

/// Writes what all nodes of a room share. The cookie is by what they know each other.
pub(super) fn prepare(room: &Room) {
    room.keep(".erlang.cookie", &room.password);
    room.keep("advanced.config", "[].");
    room.keep("plugins", "[].");
}

/// Starts the port mapper of a room.
pub(super) fn launch_mapper(room: &mut Room, port: u16) {
    let mut mapper = room.command(&room.port_mapper);
    mapper.args(["-port", &port.to_string(), "-address", "127.0.0.1"]);
    room.launch(MAPPER, mapper);
}

impl Node {
    /// On ports that are free now.
    pub(super) fn new(name: &'static str) -> Self {
        Self { name, port: free_port(), distribution_port: free_port() }
    }

    /// What other nodes call it.
    pub(super) fn erlang_name(&self) -> String {
        format!("regua-tests-{}@localhost", self.port)
    }

    pub(super) fn url(&self, room: &Room) -> String {
        format!("amqp://regua:{}@127.0.0.1:{}/%2f", room.password, self.port)
    }

    /// Nothing of the machine's own node is read: every file and every name is this one's. `RUNNING_UNDER_SYSTEMD`: the
    /// start script becomes the node instead of watching over it.
    pub(super) fn launch(&self, room: &mut Room, mapper_port: u16, more_settings: &str) {
        let settings = format!("default_user = regua\ndefault_pass = {}\n{more_settings}", room.password);
        let conf = format!("{}.conf", self.name);
        room.keep(&conf, &settings);
        let mut command = room.command(room.programs.join("rabbitmq-server"));
        command
            .env("HOME", room.path(""))
            .env("ERL_EPMD_PORT", mapper_port.to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODENAME", self.erlang_name())
            .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODE_PORT", self.port.to_string())
            .env("RABBITMQ_DIST_PORT", self.distribution_port.to_string())
            .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-kernel inet_dist_use_interface {127,0,0,1}")
            .env("RABBITMQ_CONF_ENV_FILE", room.path("rabbitmq-env.conf"))
            .env("RABBITMQ_CONFIG_FILE", room.path(&conf))
            .env("RABBITMQ_ADVANCED_CONFIG_FILE", room.path("advanced.config"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", room.path("plugins"))
            .env("RABBITMQ_MNESIA_BASE", room.path("data"))
            .env("RABBITMQ_LOG_BASE", room.path("log"))
            .env("RABBITMQ_LOGS", "-")
            .env("RABBITMQ_PID_FILE", room.path(&format!("{}.pid", self.name)))
            .env("RUNNING_UNDER_SYSTEMD", "yes");
        room.launch(self.name, command);
    }

    /// Waits until it takes connections; false when it ended instead.
    pub(super) async fn is_up(&self, room: &mut Room) -> bool {
        let started = Instant::now();
        while room.is_running(self.name) && room.is_running(MAPPER) {
            if room.read_log(self.name).contains("Server startup complete") {
                return true;
            }
            assert!(started.elapsed() < Duration::from_secs(90), "RabbitMQ does not start:\n{}", room.tail(self.name));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        false
    }
}
