//! The worker's arguments and environment, and the settings that follow from them.

use std::net::IpAddr;
use std::time::Duration;

use clap::Parser;
use regua_boot::{BrokerArguments, DatabaseArguments, LogArguments, descriptor_limit};
use regua_evolution::AllowedNetworks;
use regua_secrets::SecretArguments;

use crate::send_budget::{checked_size, default_size};

/// Consumes doorbells and sends the messages of the instances whose lanes it holds.
#[derive(Debug, Parser)]
#[command(name = "regua-worker", version)]
#[expect(missing_docs, reason = "documentation of a flattened field would replace that of its arguments in --help")]
pub struct Config {
    #[command(flatten)]
    pub database: DatabaseArguments,
    #[command(flatten)]
    pub broker: BrokerArguments,
    #[command(flatten)]
    pub log: LogArguments,
    #[command(flatten)]
    pub secrets: SecretArguments,
    /// Address on which /healthz, /readyz and /metrics are served
    #[arg(long, env = "BIND_ADDRESS", default_value = "127.0.0.1")]
    pub bind_address: IpAddr,
    /// Port of /healthz, /readyz and /metrics
    #[arg(long, env = "METRICS_PORT", default_value_t = 9090)]
    pub metrics_port: u16,
    /// Seconds that a lease lasts without a heartbeat
    #[arg(long, env = "WORKER_LEASE_SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(2..=600))]
    pub worker_lease_seconds: u64,
    /// Seconds that sends under way may take when the process is asked to end
    #[arg(long, env = "SHUTDOWN_GRACE_SECONDS", default_value_t = 25)]
    pub shutdown_grace_seconds: u64,
    /// Seconds after which a number that is down is checked again
    #[arg(long, env = "INSTANCE_RECHECK_SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub instance_recheck_seconds: u64,
    /// Seconds that the gateway may take for a send before its outcome counts as unknown
    #[arg(long, env = "EVOLUTION_TIMEOUT_SECONDS", default_value_t = 150, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub evolution_timeout_seconds: u64,
    /// Most requests to gateways under way, a quarter of them for one tenant; absent: half of the file descriptors
    /// (ulimit -n) that the database leaves, at most 8192
    #[arg(long, env = "MAX_SENDS_UNDER_WAY", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub max_sends_under_way: Option<u32>,
    /// Networks and servers (host:port) where gateways may be, in addition to public addresses, such as
    /// 10.0.0.0/8,evolution:8080; any: everywhere
    #[arg(long, env = "GATEWAY_ALLOW_NETWORKS", default_value_t)]
    pub gateway_allow_networks: AllowedNetworks,
}

impl Config {
    /// The settings of a worker with this name ([`unique_name`]).
    ///
    /// # Errors
    /// When `MAX_SENDS_UNDER_WAY` exceeds the file descriptors that this process may open.
    pub fn settings(&self, name: String) -> anyhow::Result<WorkerSettings> {
        let (descriptors, connections) = (descriptor_limit(), self.database.database_max_connections);
        let max_sends_under_way = match self.max_sends_under_way {
            None => default_size(descriptors, connections),
            Some(size) => checked_size(size, descriptors, connections)?,
        };
        Ok(WorkerSettings {
            max_sends_under_way,
            lease: Duration::from_secs(self.worker_lease_seconds),
            recheck_after: Duration::from_secs(self.instance_recheck_seconds),
            shutdown_grace: Duration::from_secs(self.shutdown_grace_seconds),
            ..WorkerSettings::named(name)
        })
    }
}

/// A worker's settings.
#[derive(Clone, Debug)]
pub struct WorkerSettings {
    /// The worker's name in leases and attempts: unique for every start of a process.
    pub name: String,
    /// How long a lease lasts without a heartbeat.
    pub lease: Duration,
    /// How long a lane trusts that its instance is connected, after a check or a sent message.
    pub health_ttl: Duration,
    /// How long after an instance was found down it is checked again.
    pub recheck_after: Duration,
    /// How long sends under way may take when the process is asked to end.
    pub shutdown_grace: Duration,
    /// Most contacts of one claim.
    pub claim_limit: u32,
    /// Most requests to gateways under way; a quarter of them for one tenant.
    pub max_sends_under_way: usize,
}

impl WorkerSettings {
    /// The defaults of the design (`docs/design.md`), for a worker of this name.
    pub fn named(name: String) -> Self {
        Self {
            name,
            lease: Duration::from_secs(30),
            health_ttl: Duration::from_secs(5),
            recheck_after: Duration::from_secs(60),
            shutdown_grace: Duration::from_secs(25),
            claim_limit: 100,
            max_sends_under_way: default_size(descriptor_limit(), 16),
        }
    }
}

/// A name for leases and attempts: host, process id, and random characters, because the system reuses process ids.
pub fn unique_name() -> String {
    let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "worker".to_owned());
    let random = uuid::Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, 0, 0)).as_u64_pair().1;
    format!("{host}-{}-{:06x}", std::process::id(), random & 0xFF_FFFF)
}
