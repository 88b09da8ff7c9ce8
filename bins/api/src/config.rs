//! The arguments and environment variables of `regua-api`.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use clap::{Args, Parser};
use regua_boot::{BrokerArguments, DatabaseArguments, LogArguments, descriptor_limit, ensure_descriptors};
use regua_domain::Rate;
use regua_evolution::AllowedNetworks;
use regua_secrets::SecretArguments;
use regua_store::Role;

use crate::context::{ApiSettings, ReplicaSettings, is_url};
use crate::limits::{CLOSING, LimitSettings, RedisAddress, TrustedProxies};

/// Descriptors of the process beside those of callers and database: connections that are closing, broker, Redis,
/// checks of gateways, name servers, logs.
const OTHER_DESCRIPTORS: u64 = 64 + CLOSING as u64;

/// Accepts batches of contacts, and shows and controls their queues
#[derive(Debug, Parser)]
#[command(name = "regua-api", version)]
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
    #[command(flatten)]
    pub replica: ReplicaArguments,
    #[command(flatten)]
    pub limits: LimitArguments,
    /// Address to listen at
    #[arg(long, env = "BIND_ADDRESS", default_value = "0.0.0.0")]
    pub bind_address: IpAddr,
    /// Port to listen at
    #[arg(long, env = "PORT", default_value_t = 8080)]
    pub port: u16,
    /// Where callers reach the API, such as https://regua.example; when absent, links in answers have no host
    #[arg(long, env = "REGUA_PUBLIC_URL", value_parser = public_url)]
    pub public_url: Option<String>,
    /// Largest request body, in bytes
    #[arg(long, env = "MAX_BODY_BYTES", default_value_t = ApiSettings::default().max_body_bytes)]
    pub max_body_bytes: usize,
    /// Networks and servers (host:port) where a gateway may be, in addition to public addresses, such as
    /// 10.0.0.0/8,evolution:8080; "any" for all
    #[arg(long, env = "GATEWAY_ALLOW_NETWORKS", default_value_t)]
    pub gateway_allow_networks: AllowedNetworks,
    /// Seconds that requests under way may take after a signal to end
    #[arg(long, env = "SHUTDOWN_GRACE_SECONDS", default_value_t = 25)]
    pub shutdown_grace_seconds: u64,
}

/// The replica that listings are read from.
#[derive(Args)]
pub struct ReplicaArguments {
    /// A replica of the database for listings; when absent, they are read from the primary
    #[arg(long, env = "DATABASE_REPLICA_URL", hide_env_values = true)]
    pub database_replica_url: Option<String>,
    /// Seconds by which the replica may lag before listings are read from the primary
    #[arg(long, env = "DATABASE_REPLICA_MAX_LAG_SECONDS", default_value_t = 10)]
    pub database_replica_max_lag_seconds: u64,
}

/// The limits of callers.
#[derive(Args, Debug)]
pub struct LimitArguments {
    /// Redis, in which all processes count requests together, as redis://:password@host:port/0; when absent, each
    /// process counts its own
    #[arg(long, env = "REDIS_URL", hide_env_values = true)]
    pub redis_url: Option<RedisUrl>,
    /// Proxies whose X-Forwarded-For is trusted, as comma-separated networks such as 10.0.0.0/8; when absent, none
    #[arg(long, env = "TRUSTED_PROXIES", default_value = "")]
    pub trusted_proxies: TrustedProxies,
    /// Requests a minute that one client address may make with valid keys; 0 for no limit
    #[arg(long, env = "RATE_LIMIT_IP_PER_MINUTE", default_value_t = 6000)]
    pub rate_limit_ip_per_minute: u32,
    /// Requests a minute with a refused key, above which an address is answered 429; half as many may arrive at once
    #[arg(long, env = "RATE_LIMIT_REFUSED_PER_MINUTE", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    pub rate_limit_refused_per_minute: u32,
    /// Changes a minute that one user or API key may make (each is an entry of the audit log), above which the answer is
    /// 429; half as many may arrive at once, and all of a tenant may make twice as many
    #[arg(long, env = "RATE_LIMIT_CHANGES_PER_MINUTE", default_value_t = LimitSettings::default().changes_per_minute)]
    pub rate_limit_changes_per_minute: NonZeroU32,
    /// Connections at once, above which idle ones are closed for new ones; one address may have a quarter of them,
    /// unless it is a trusted proxy; absent: 4096, or as many as the file descriptors (ulimit -n) allow
    #[arg(long, env = "MAX_CONNECTIONS", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub max_connections: Option<u32>,
    /// Requests under way at once, above which the answer is 503; one tenant may have a quarter of them; as many
    /// more are for all callers without a valid credential together
    #[arg(long, env = "MAX_CONCURRENT_REQUESTS", default_value_t = LimitSettings::default().concurrent_requests)]
    pub max_concurrent_requests: usize,
    /// Bytes of request bodies in memory at once; one tenant may have a quarter of them
    #[arg(long, env = "MAX_BODY_BYTES_IN_FLIGHT", default_value_t = LimitSettings::default().body_bytes)]
    pub max_body_bytes_in_flight: usize,
}

/// An address of Redis, or an empty text, which counts as absent: hosting panels set empty variables.
#[derive(Clone, Debug)]
pub struct RedisUrl(Option<RedisAddress>);

impl std::str::FromStr for RedisUrl {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() { Ok(Self(None)) } else { text.parse().map(|address| Self(Some(address))) }
    }
}

impl LimitArguments {
    fn settings(&self) -> LimitSettings {
        let refused = NonZeroU32::new(self.rate_limit_refused_per_minute).unwrap_or(NonZeroU32::MIN);
        let burst = NonZeroU32::new(refused.get() / 2).unwrap_or(NonZeroU32::MIN);
        LimitSettings {
            trusted_proxies: self.trusted_proxies.clone(),
            redis: self.redis_url.as_ref().and_then(|url| url.0.clone()),
            per_address: NonZeroU32::new(self.rate_limit_ip_per_minute).map(Rate::per_minute),
            refused_keys: Rate::with_burst(refused, burst),
            changes_per_minute: self.rate_limit_changes_per_minute,
            concurrent_requests: self.max_concurrent_requests,
            body_bytes: self.max_body_bytes_in_flight,
            ..LimitSettings::default()
        }
    }
}

impl std::fmt::Debug for ReplicaArguments {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReplicaArguments")
            .field("is_set", &self.database_replica_url.is_some())
            .field("database_replica_max_lag_seconds", &self.database_replica_max_lag_seconds)
            .finish_non_exhaustive()
    }
}

impl Config {
    /// The replica, when one is configured. Fails when its URL is invalid.
    pub fn replica(&self) -> anyhow::Result<Option<ReplicaSettings>> {
        let url = self.replica.database_replica_url.as_deref().filter(|url| !url.is_empty());
        let max_lag = Duration::from_secs(self.replica.database_replica_max_lag_seconds);
        url.map(|url| {
            let pool = regua_boot::open_pool("regua-api", Role::Relay, "DATABASE_REPLICA_URL", url, &self.database)?;
            Ok(ReplicaSettings { pool, max_lag })
        })
        .transpose()
    }

    /// The API's settings.
    ///
    /// # Errors
    /// When `MAX_CONNECTIONS` exceeds the file descriptors that this process may open.
    pub fn settings(&self) -> anyhow::Result<ApiSettings> {
        let has_replica = self.replica.database_replica_url.as_deref().is_some_and(|url| !url.is_empty());
        let pools = if has_replica { 2 } else { 1 };
        let taken = u64::from(self.database.database_max_connections) * pools;
        let connections = connections(self.limits.max_connections, descriptor_limit(), taken)?;
        Ok(ApiSettings {
            public_url: self.public_url.clone().filter(|url| !url.is_empty()),
            max_body_bytes: self.max_body_bytes,
            gateway_networks: self.gateway_allow_networks.clone(),
            shutdown_grace: Duration::from_secs(self.shutdown_grace_seconds),
            limits: LimitSettings { connections, ..self.limits.settings() },
            ..ApiSettings::default()
        })
    }
}

/// The budget of connections in a process with this many file descriptors. The database takes some of them.
fn connections(chosen: Option<u32>, descriptors: u64, of_database: u64) -> anyhow::Result<usize> {
    let free = descriptors.saturating_sub(OTHER_DESCRIPTORS + of_database).max(1);
    let size = chosen.map_or(free.min(LimitSettings::default().connections as u64), u64::from);
    ensure_descriptors("MAX_CONNECTIONS", size, descriptors, free, "connections")?;
    Ok(usize::try_from(size)?)
}

fn public_url(text: &str) -> Result<String, String> {
    if text.is_empty() || is_url(text) {
        return Ok(text.trim_end_matches('/').to_owned());
    }
    Err("a URL needs its scheme, such as https://regua.example".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::{Config, connections};

    #[test]
    fn arguments_are_consistent() {
        Config::command().debug_assert();
    }

    #[test]
    fn public_url_needs_a_scheme_and_loses_its_trailing_slash() {
        let parse = |url: &str| Config::try_parse_from(["regua-api", "--database-url", "x", "--public-url", url]);
        let public_url = |url| parse(url).unwrap().settings().unwrap().public_url;
        assert_eq!(public_url("https://r.example/").as_deref(), Some("https://r.example"));
        assert_eq!(public_url(""), None);
        assert!(parse("r.example").is_err());
    }

    #[test]
    fn connections_stay_below_the_descriptors_of_the_process() {
        for (descriptors, of_database, default) in [(1024, 16, 880), (1024, 32, 864), (u64::MAX, 16, 4096), (10, 16, 1)]
        {
            assert_eq!(connections(None, descriptors, of_database).unwrap(), default, "{descriptors}");
        }
        assert_eq!(connections(Some(880), 1024, 16).unwrap(), 880);
        let refused = connections(Some(881), 1024, 16).unwrap_err().to_string();
        assert!(["MAX_CONNECTIONS", "881", "1024", "880"].iter().all(|part| refused.contains(part)), "{refused}");
    }
}
