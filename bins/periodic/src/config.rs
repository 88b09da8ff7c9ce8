//! Periodic's arguments and environment, and the settings that follow from them.

use std::net::IpAddr;
use std::time::Duration;

use clap::Parser;
use regua_boot::{BrokerArguments, DatabaseArguments, LogArguments};
use regua_domain::LookSchedule;
use regua_evolution::AllowedNetworks;
use regua_secrets::SecretArguments;

/// Relays doorbells, wakes queues at their hour, finds lanes of dead workers, looks for attempts of unknown outcome.
#[derive(Debug, Parser)]
#[command(name = "regua-periodic", version)]
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
    #[arg(long, env = "METRICS_PORT", default_value_t = 9091)]
    pub metrics_port: u16,
    /// Seconds after which a number that is down is checked again
    #[arg(long, env = "INSTANCE_RECHECK_SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub instance_recheck_seconds: u64,
    /// Seconds after which an attempt of unknown outcome is searched for in the gateway's history, one figure for each
    /// look; after the last one its contact waits for a person, or is sent once more where the tenant allows it
    #[arg(long, env = "UNCONFIRMED_LOOKS_SECONDS", default_value_t = LookSchedule::default())]
    pub unconfirmed_looks_seconds: LookSchedule,
    /// Networks and servers (host:port) where gateways may be, in addition to public addresses, such as
    /// 10.0.0.0/8,evolution:8080; any: everywhere
    #[arg(long, env = "GATEWAY_ALLOW_NETWORKS", default_value_t)]
    pub gateway_allow_networks: AllowedNetworks,
}

impl Config {
    /// Periodic's settings.
    pub fn settings(&self) -> PeriodicSettings {
        let recheck_after = Duration::from_secs(self.instance_recheck_seconds);
        let looks = self.unconfirmed_looks_seconds.clone();
        PeriodicSettings { recheck_after, looks, ..PeriodicSettings::default() }
    }
}

/// Periodic's settings.
#[derive(Clone, Debug)]
pub struct PeriodicSettings {
    /// Time between two passes of the relay and of the most frequent reconcilers.
    pub every: Duration,
    /// How long after an instance was found down it is checked again.
    pub recheck_after: Duration,
    /// When looks for an unknown attempt are due.
    pub looks: LookSchedule,
}

impl Default for PeriodicSettings {
    fn default() -> Self {
        Self { every: Duration::from_secs(1), recheck_after: Duration::from_secs(60), looks: LookSchedule::default() }
    }
}
