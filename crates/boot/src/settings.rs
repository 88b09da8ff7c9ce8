//! Arguments of every process, with their environment variables. The binaries flatten them in their own `config.rs`.

use clap::{Args, ValueEnum};
use regua_store::PoolMode;

/// How logs are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum TelemetryFormat {
    /// One JSON object a line.
    #[default]
    Json,
    /// For a person at a terminal.
    Pretty,
}

/// Logging.
#[derive(Args, Clone, Debug)]
pub struct LogArguments {
    /// How logs are written
    #[arg(long = "log-format", env = "LOG_FORMAT", value_enum, default_value_t)]
    pub format: TelemetryFormat,
    /// What is logged: a level, or levels by module
    #[arg(long = "log", env = "RUST_LOG", default_value = "info,lapin=off")]
    pub filter: String,
}

/// PostgreSQL.
#[derive(Args, Clone)]
pub struct DatabaseArguments {
    /// PostgreSQL, as postgres://user:password@host:port/database
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: String,
    /// Most connections that this process opens
    #[arg(long, env = "DATABASE_MAX_CONNECTIONS", default_value_t = 16, value_parser = clap::value_parser!(u32).range(8..=1000))]
    pub database_max_connections: u32,
    /// What is in front of PostgreSQL: session (nothing, or a pooler in session mode) or transaction (a pooler in
    /// transaction mode, set up as docs/scale.md says)
    #[arg(long, env = "DATABASE_POOL_MODE", default_value = "session", value_parser = ["session", "transaction"])]
    pub database_pool_mode: String,
}

impl DatabaseArguments {
    /// The pool mode of the pooler in front of PostgreSQL.
    pub fn pool_mode(&self) -> PoolMode {
        if self.database_pool_mode == "transaction" { PoolMode::Transaction } else { PoolMode::Session }
    }
}

impl std::fmt::Debug for DatabaseArguments {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DatabaseArguments")
            .field("database_max_connections", &self.database_max_connections)
            .field("database_pool_mode", &self.database_pool_mode)
            .finish_non_exhaustive()
    }
}

/// The broker.
#[derive(Args, Clone)]
pub struct BrokerArguments {
    /// RabbitMQ, as amqp://user:password@host:port/vhost, a cluster's nodes with commas between them; absent: the
    /// embedded broker inside PostgreSQL
    #[arg(long, env = "AMQP_URL", hide_env_values = true)]
    pub amqp_url: Option<String>,
    /// Exchange, and prefix of the queues, in RabbitMQ
    #[arg(long, env = "AMQP_NAMESPACE", default_value = "billing")]
    pub amqp_namespace: String,
    /// Type of the queues in RabbitMQ: classic (with priorities) or quorum (replicated)
    #[arg(long, env = "AMQP_QUEUE_TYPE", default_value = "classic", value_parser = ["classic", "quorum"])]
    pub amqp_queue_type: String,
}

impl std::fmt::Debug for BrokerArguments {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BrokerArguments")
            .field("rabbitmq", &self.amqp_url.is_some())
            .field("amqp_namespace", &self.amqp_namespace)
            .field("amqp_queue_type", &self.amqp_queue_type)
            .finish()
    }
}
