//! The whole fleet in the process of the test, with a real PostgreSQL and a real broker.

mod checks;
mod options;
mod programs;

use std::collections::HashMap;
use std::sync::Arc;

use regua_boot::{Clock, ManualClock};
use regua_broker::Broker;
use regua_evolution::{EvolutionClient, InstanceAddress, Token};
use regua_sandbox::{InstanceSettings, Sandbox, Settings};
use regua_store::instances;
use sqlx::{AssertSqlSafe, PgPool};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use self::programs::{connect_broker, open_pool, serve_sandbox};
use crate::{Client, Database, Tenant, TenantOptions, logs};

pub use self::options::{FleetOptions, gateway_settings, monday_ten_o_clock};
pub use self::programs::FleetMetrics;

/// A running fleet. It must be ended with [`Fleet::end`], which asserts that no work is left.
pub struct Fleet {
    /// The fleet's database.
    pub database: Database,
    /// The gateway.
    pub sandbox: Sandbox,
    /// The gateway's address.
    pub gateway: String,
    /// The API's address.
    pub api: String,
    /// Sets the time of `clock`.
    pub manual_clock: ManualClock,
    /// The clock of all programs.
    pub clock: Clock,
    /// The metrics of all programs.
    pub metrics: FleetMetrics,
    /// Exchange and prefix of the queues in RabbitMQ.
    pub namespace: String,
    options: FleetOptions,
    pool: PgPool,
    broker: Arc<dyn Broker>,
    shutdown: CancellationToken,
    programs: Vec<JoinHandle<anyhow::Result<()>>>,
    workers: HashMap<usize, (CancellationToken, JoinHandle<anyhow::Result<()>>)>,
    has_ended: bool,
    logs: logs::Watch,
}

impl Fleet {
    /// A default fleet with a tenant and the tenant's client.
    pub async fn with_tenant(options: TenantOptions) -> (Self, Tenant, Client) {
        Self::with(FleetOptions::default(), options).await
    }

    /// A fleet with a tenant and the tenant's client.
    pub async fn with(options: FleetOptions, tenant: TenantOptions) -> (Self, Tenant, Client) {
        let fleet = Self::start(options).await;
        let tenant = fleet.create_tenant(&tenant).await;
        let client = Client::new(&fleet.api, &tenant.key);
        (fleet, tenant, client)
    }

    /// Starts a fleet without a tenant.
    pub async fn start(options: FleetOptions) -> Self {
        let logs = logs::Watch::begin();
        regua_boot::init_tls();
        let database = match &options.database {
            Some(url) => Database::migrate_existing(url).await,
            None => Database::fresh().await,
        };
        let shutdown = CancellationToken::new();
        let sandbox = Sandbox::new(Settings { api_key: "global".to_owned(), ..Settings::default() }).unwrap();
        let (gateway, gateway_task) = serve_sandbox(&sandbox, &shutdown).await;
        let (manual_clock, clock) = ManualClock::starting_at(options.now);
        let sandbox_clock = clock.clone();
        sandbox.set_clock(move || sandbox_clock.now());
        let namespace = format!("t{}", Uuid::from_u128(crate::database::random()).simple());
        let url = database.url_through(options.proxied_database.as_deref());
        let pool = open_pool(&url, options.pool_mode, "regua-fleet");
        let broker = connect_broker(&options, &namespace, &pool);
        let mut fleet = Self {
            database,
            sandbox,
            gateway,
            api: String::new(),
            manual_clock,
            clock,
            metrics: FleetMetrics::new(),
            namespace,
            pool,
            broker,
            shutdown,
            programs: vec![gateway_task],
            workers: HashMap::new(),
            has_ended: false,
            logs,
            options,
        };
        fleet.api = fleet.start_another_api(fleet.metrics.api.clone()).await;
        if fleet.options.periodic {
            fleet.start_periodic();
        }
        for _ in 0..fleet.options.workers {
            fleet.start_worker();
        }
        fleet
    }

    /// Creates a tenant, and its instances at the sandbox.
    pub async fn create_tenant(&self, options: &TenantOptions) -> Tenant {
        let tenant = Tenant::create(&self.database.pool, &self.gateway, options, self.clock.now()).await;
        for (name, token) in options.instances.iter().zip(&tenant.tokens) {
            assert!(self.sandbox.create_instance(InstanceSettings::connected(name, token.as_str())));
        }
        tenant
    }

    /// Lets the gateway post webhooks of the tenant's first instance to the API; returns their secret.
    pub async fn subscribe_webhook(&self, tenant: &Tenant, name: &str) -> String {
        let (secret, hash) = regua_api::keys::secret_with_hash(&[7; 32]);
        logs::register_secret(&secret);
        let mut conn = self.database.pool.acquire().await.unwrap();
        instances::set_webhook_secret(&mut conn, tenant.id, tenant.instances[0], &hash).await.unwrap();
        let token = Token::parse(&tenant.tokens[0]).unwrap();
        let address = InstanceAddress::parse(&self.gateway, name, token).unwrap();
        let gateway = EvolutionClient::new(gateway_settings()).unwrap();
        let header = ("X-Regua-Webhook-Secret", secret.as_str());
        gateway.set_webhook(&address, &self.webhook_url(tenant), header).await.unwrap();
        secret
    }

    /// The URL for webhooks of the tenant's first instance.
    pub fn webhook_url(&self, tenant: &Tenant) -> String {
        format!("{}/webhooks/evolution/{}/{}", self.api, tenant.id, tenant.instances[0])
    }

    /// Waits until no lane has a lease: a worker that is killed before leaves its lease behind.
    pub async fn wait_for_free_lanes(&self) {
        crate::eventually("every lane to be released", async || {
            self.count("select count(*) from lanes where leased_by is not null").await == 0
        })
        .await;
    }

    /// The number that a query returns.
    pub async fn count(&self, query: &str) -> i64 {
        self.try_count(query).await.expect("the database answers")
    }

    /// The number that a query returns; none while the database is away.
    pub async fn try_count(&self, query: &str) -> Option<i64> {
        #[expect(clippy::disallowed_methods, reason = "a test reads the tables directly")]
        sqlx::query_scalar(AssertSqlSafe(query.to_owned())).fetch_one(&self.database.pool).await.ok()
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        assert!(self.has_ended || std::thread::panicking(), "a fleet was dropped without being ended");
    }
}
