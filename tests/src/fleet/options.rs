//! The options of a fleet.

use std::num::NonZeroU32;
use std::time::Duration;

use chrono::{DateTime, Utc};
use regua_api::{ApiSettings, LimitSettings};
use regua_broker::QueueType;
use regua_domain::{LookSchedule, Rate};
use regua_evolution::{AllowedNetworks, ClientSettings};
use regua_secrets::SecretKeys;
use regua_store::PoolMode;

/// How a fleet differs from the default one.
#[derive(Clone, Debug)]
pub struct FleetOptions {
    /// RabbitMQ; none: the embedded broker. Default: `AMQP_URL`.
    pub amqp_url: Option<String>,
    /// Type of the queues in RabbitMQ.
    pub queue_type: QueueType,
    /// Number of workers.
    pub workers: usize,
    /// Time of the clock at the start.
    pub now: DateTime<Utc>,
    /// URL of a proxy by which the programs reach the PostgreSQL server; the test itself connects directly.
    pub proxied_database: Option<String>,
    /// URL of a proxy by which the first API reaches the PostgreSQL server, with one connection and without its relay.
    pub proxied_api_database: Option<String>,
    /// Whether the programs connect to a pooler in transaction mode.
    pub pool_mode: PoolMode,
    /// URL of a replica for the API's listings, and its maximum lag.
    pub replica: Option<(String, Duration)>,
    /// URL of a database without a schema, on a private server; none: a fresh database on the common server.
    pub database: Option<String>,
    /// Duration of a lease.
    pub lease: Duration,
    /// Timeout of a post, after which its outcome is unknown.
    pub send_timeout: Duration,
    /// Whether periodic runs.
    pub periodic: bool,
    /// Between two passes of periodic's most frequent reconcilers.
    pub periodic_tick: Duration,
    /// When periodic looks for attempts of unknown outcome.
    pub looks: LookSchedule,
    /// The keys of the programs. The tokens of tenants are sealed with the development key.
    pub secrets: SecretKeys,
    /// Networks of gateways for the worker.
    pub networks: AllowedNetworks,
    /// The API's settings. By default no rate limit applies to an address, because all callers of a test have the same.
    pub api: ApiSettings,
}

impl Default for FleetOptions {
    fn default() -> Self {
        Self {
            amqp_url: std::env::var("AMQP_URL").ok().filter(|url| !url.is_empty()),
            queue_type: QueueType::default(),
            workers: 1,
            now: monday_ten_o_clock(),
            proxied_database: None,
            proxied_api_database: None,
            pool_mode: PoolMode::default(),
            replica: None,
            database: None,
            lease: Duration::from_secs(30),
            send_timeout: Duration::from_secs(5),
            periodic: true,
            periodic_tick: Duration::from_millis(100),
            looks: LookSchedule::default(),
            secrets: SecretKeys::development(),
            networks: AllowedNetworks::with_loopback(),
            api: unlimited(),
        }
    }
}

/// Settings for the sandbox, which listens on the loopback address.
pub fn gateway_settings() -> ClientSettings {
    ClientSettings::with_networks(AllowedNetworks::with_loopback())
}

fn unlimited() -> ApiSettings {
    let rate = Rate::per_minute(NonZeroU32::MAX);
    let changes_per_minute = NonZeroU32::MAX;
    let limits =
        LimitSettings { per_address: None, refused_keys: rate, changes_per_minute, ..LimitSettings::default() };
    ApiSettings { limits, gateway_networks: AllowedNetworks::with_loopback(), ..ApiSettings::default() }
}

/// Monday, 23 November 2026, 10:00 in São Paulo.
pub fn monday_ten_o_clock() -> DateTime<Utc> {
    "2026-11-23T13:00:00Z".parse().expect("a date")
}
