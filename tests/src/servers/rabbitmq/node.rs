//! Configures and starts one node.

use std::time::{Duration, Instant};

use super::super::{Host, free_port};

pub(super) const MAPPER: &str = "epmd";

/// The name and ports of a node. Several nodes may share a host.
pub(super) struct Node {
    pub(super) name: &'static str,
    port: u16,
    distribution_port: u16,
}

/// Writes the common files of all nodes of a host. Nodes authenticate each other by the cookie.
pub(super) fn prepare(host: &Host) {
    host.write_file(".erlang.cookie", &host.password);
    host.write_file("advanced.config", "[].");
    host.write_file("plugins", "[].");
}

pub(super) fn launch_mapper(host: &mut Host, port: u16) {
    let mut mapper = host.command(&host.port_mapper);
    mapper.args(["-port", &port.to_string(), "-address", "127.0.0.1"]);
    host.launch(MAPPER, mapper);
}

impl Node {
    pub(super) fn new(name: &'static str) -> Self {
        Self { name, port: free_port(), distribution_port: free_port() }
    }

    pub(super) fn erlang_name(&self) -> String {
        format!("regua-tests-{}@localhost", self.port)
    }

    pub(super) fn url(&self, host: &Host) -> String {
        format!("amqp://regua:{}@127.0.0.1:{}/%2f", host.password, self.port)
    }

    /// Reads no file of the machine's own node. `RUNNING_UNDER_SYSTEMD` lets the start script `exec` the node.
    pub(super) fn launch(&self, host: &mut Host, mapper_port: u16, more_settings: &str) {
        let settings = format!("default_user = regua\ndefault_pass = {}\n{more_settings}", host.password);
        let conf = format!("{}.conf", self.name);
        host.write_file(&conf, &settings);
        let mut command = host.command(host.programs.join("rabbitmq-server"));
        command
            .env("HOME", host.path(""))
            .env("ERL_EPMD_PORT", mapper_port.to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODENAME", self.erlang_name())
            .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODE_PORT", self.port.to_string())
            .env("RABBITMQ_DIST_PORT", self.distribution_port.to_string())
            .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-kernel inet_dist_use_interface {127,0,0,1}")
            .env("RABBITMQ_CONF_ENV_FILE", host.path("rabbitmq-env.conf"))
            .env("RABBITMQ_CONFIG_FILE", host.path(&conf))
            .env("RABBITMQ_ADVANCED_CONFIG_FILE", host.path("advanced.config"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", host.path("plugins"))
            .env("RABBITMQ_MNESIA_BASE", host.path("data"))
            .env("RABBITMQ_LOG_BASE", host.path("log"))
            .env("RABBITMQ_LOGS", "-")
            .env("RABBITMQ_PID_FILE", host.path(&format!("{}.pid", self.name)))
            .env("RUNNING_UNDER_SYSTEMD", "yes");
        host.launch(self.name, command);
    }

    /// Waits until the node accepts connections; false if it ended instead.
    pub(super) async fn is_up(&self, host: &mut Host) -> bool {
        let started = Instant::now();
        while host.is_running(self.name) && host.is_running(MAPPER) {
            if host.read_log(self.name).contains("Server startup complete") {
                return true;
            }
            assert!(started.elapsed() < Duration::from_secs(90), "RabbitMQ does not start:\n{}", host.tail(self.name));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        false
    }
}
