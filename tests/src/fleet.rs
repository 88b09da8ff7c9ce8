//! The whole fleet in the test's process, each program through its `run`, with real PostgreSQL and a real broker.

mod end;

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use regua_api::{Api, ApiSettings, LimitSettings, ReplicaSettings};
use regua_boot::{Clock, ManualClock, Metrics, SecretKeys};
use regua_broker::{Broker, BrokerSettings, QueueType};
use regua_domain::{LookSchedule, Rate};
use regua_evolution::{AllowedNetworks, ClientSettings, EvolutionClient, InstanceAddress, Token};
use regua_periodic::{Periodic, PeriodicSettings};
use regua_sandbox::{InstanceSettings, Key, Sandbox, Settings};
use regua_store::{PoolMode, PoolSettings, Role, instances};
use regua_worker::{Worker, WorkerSettings};
use sqlx::{AssertSqlSafe, PgPool};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{Client, Database, Tenant, TenantOptions, logs};

/// How a fleet differs from a plain one.
#[derive(Clone, Debug)]
pub struct FleetOptions {
    /// RabbitMQ; none: the embedded broker. `AMQP_URL` unless the test says otherwise.
    pub amqp_url: Option<String>,
    /// How RabbitMQ keeps the queues.
    pub queue_type: QueueType,
    /// Workers in this process.
    pub workers: usize,
    /// What the clock shows at the start.
    pub now: DateTime<Utc>,
    /// Where the programs find PostgreSQL's server, when it is not where the test finds it: the URL of a proxy.
    pub proxied_database: Option<String>,
    /// What stands between the programs and PostgreSQL.
    pub pool_mode: PoolMode,
    /// Where the API reads listings, and by how much that may be behind.
    pub replica: Option<(String, Duration)>,
    /// The URL of a database without a schema, on a server of the test's own; none: a fresh one on the common server.
    pub database: Option<String>,
    /// A lane's lease.
    pub lease: Duration,
    /// After which a send counts as unknown.
    pub send_timeout: Duration,
    /// Whether periodic runs.
    pub periodic: bool,
    /// When periodic looks for attempts of unknown outcome.
    pub looks: LookSchedule,
    /// The keys of worker and periodic; tenants' tokens are sealed with those of development.
    pub secrets: SecretKeys,
    /// Where the worker may reach gateways.
    pub networks: AllowedNetworks,
    /// How the API behaves. By default it limits no address, because all of a test's callers have the same.
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
            pool_mode: PoolMode::default(),
            replica: None,
            database: None,
            lease: Duration::from_secs(30),
            send_timeout: Duration::from_secs(5),
            periodic: true,
            looks: LookSchedule::default(),
            secrets: SecretKeys::development(),
            networks: AllowedNetworks::with_loopback(),
            api: unlimited(),
        }
    }
}

/// The sandbox listens on this machine.
pub fn gateway_settings() -> ClientSettings {
    ClientSettings::with_networks(AllowedNetworks::with_loopback())
}

fn unlimited() -> ApiSettings {
    let often = Rate::per_minute(NonZeroU32::MAX);
    let limits = LimitSettings { per_address: None, refused_keys: often, ..LimitSettings::default() };
    ApiSettings { limits, gateway_networks: AllowedNetworks::with_loopback(), ..ApiSettings::default() }
}

/// Monday, 23 November 2026, 10:00 in São Paulo.
pub fn monday_ten_o_clock() -> DateTime<Utc> {
    "2026-11-23T13:00:00Z".parse().expect("a date")
}

/// A running fleet. It must be ended with [`Fleet::end`], which asserts that nothing was left over.
pub struct Fleet {
    /// Its database.
    pub database: Database,
    /// The gateway.
    pub sandbox: Sandbox,
    /// The gateway's address.
    pub gateway: String,
    /// The API's address.
    pub api: String,
    /// The hands of its clock.
    pub hands: ManualClock,
    /// Its clock.
    pub clock: Clock,
    /// The metrics of all its programs.
    pub metrics: Metrics,
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
    /// A plain fleet and a plain tenant with a client.
    pub async fn with_tenant(options: TenantOptions) -> (Self, Tenant, Client) {
        Self::with(FleetOptions::default(), options).await
    }

    /// A fleet and a tenant with a client.
    pub async fn with(options: FleetOptions, tenant: TenantOptions) -> (Self, Tenant, Client) {
        let fleet = Self::start(options).await;
        let tenant = fleet.tenant(&tenant).await;
        let client = Client::new(&fleet.api, &tenant.key);
        (fleet, tenant, client)
    }

    /// Starts a fleet.
    pub async fn start(options: FleetOptions) -> Self {
        let logs = logs::Watch::begin();
        regua_boot::init_tls();
        let database = match &options.database {
            Some(url) => Database::on(url).await,
            None => Database::fresh().await,
        };
        let shutdown = CancellationToken::new();
        let sandbox = Sandbox::new(Settings { api_key: Key::new("global"), ..Settings::default() }).unwrap();
        let (gateway, gateway_task) = serve_sandbox(&sandbox, &shutdown).await;
        let (hands, clock) = ManualClock::starting_at(options.now);
        let gateways = clock.clone();
        sandbox.set_clock(move || gateways.now());
        let namespace = format!("t{}", Uuid::from_u128(crate::database::random()).simple());
        let url = database.url_through(options.proxied_database.as_deref());
        let pool = open_pool(&url, options.pool_mode, "regua-fleet");
        let broker = broker(&options, &namespace, &pool);
        let mut fleet = Self {
            database,
            sandbox,
            gateway,
            api: String::new(),
            hands,
            clock,
            metrics: Metrics::new().unwrap(),
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
        fleet.start_api().await;
        if fleet.options.periodic {
            fleet.start_periodic();
        }
        for _ in 0..fleet.options.workers {
            fleet.start_worker();
        }
        fleet
    }

    /// Creates a tenant, and its numbers at the sandbox.
    pub async fn tenant(&self, options: &TenantOptions) -> Tenant {
        let tenant = Tenant::create(&self.database.pool, &self.gateway, options, self.clock.now()).await;
        for (name, token) in options.instances.iter().zip(&tenant.tokens) {
            assert!(self.sandbox.create_instance(InstanceSettings::connected(name, token.as_str())));
        }
        tenant
    }

    /// Has the gateway post its webhooks about a tenant's first number to the API; answers the secret that they carry.
    pub async fn subscribe(&self, tenant: &Tenant, name: &str) -> String {
        let (secret, hash) = regua_api::keys::webhook_secret(&[7; 32]);
        logs::keep_secret(&secret);
        let mut conn = self.database.pool.acquire().await.unwrap();
        instances::set_webhook_secret(&mut conn, tenant.id, tenant.instances[0], &hash).await.unwrap();
        let token = Token::parse(&tenant.tokens[0]).unwrap();
        let address = InstanceAddress::parse(&self.gateway, name, token).unwrap();
        let gateway = EvolutionClient::new(gateway_settings()).unwrap();
        let header = ("X-Regua-Webhook-Secret", secret.as_str());
        gateway.set_webhook(&address, &self.webhook_url(tenant), header).await.unwrap();
        secret
    }

    /// Where webhooks about a tenant's first number go.
    pub fn webhook_url(&self, tenant: &Tenant) -> String {
        format!("{}/webhooks/evolution/{}/{}", self.api, tenant.id, tenant.instances[0])
    }

    async fn start_api(&mut self) {
        self.api = self.start_another_api(self.metrics.clone()).await;
    }

    /// Starts one more API, with metrics of its own; its address.
    pub async fn start_another_api(&mut self, metrics: Metrics) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let replica = self.options.replica.as_ref().map(|(url, max_lag)| ReplicaSettings {
            pool: open_pool(url, self.options.pool_mode, "regua-listings"),
            max_lag: *max_lag,
        });
        let api = Api {
            secrets: self.options.secrets.clone(),
            pool: self.pool.clone(),
            replica,
            broker: Arc::clone(&self.broker),
            clock: self.clock.clone(),
            metrics,
            settings: self.options.api.clone(),
        };
        self.programs.push(tokio::spawn(regua_api::run(api, listener, self.shutdown.clone())));
        address
    }

    /// Starts one more periodic.
    pub fn start_periodic(&mut self) {
        let gateway = EvolutionClient::new(gateway_settings()).unwrap();
        let periodic = Periodic {
            gateway,
            secrets: self.options.secrets.clone(),
            pool: self.pool.clone(),
            broker: Arc::clone(&self.broker),
            clock: self.clock.clone(),
            metrics: self.metrics.clone(),
            settings: PeriodicSettings {
                every: Duration::from_millis(100),
                looks: self.options.looks.clone(),
                ..PeriodicSettings::default()
            },
        };
        self.programs.push(tokio::spawn(regua_periodic::run(periodic, self.shutdown.clone())));
    }

    /// Starts one more worker; its number.
    pub fn start_worker(&mut self) -> usize {
        let number = self.workers.len();
        let stop = self.shutdown.child_token();
        let (send_timeout, check_timeout) = (self.options.send_timeout, self.options.send_timeout);
        let networks = self.options.networks.clone();
        let settings = ClientSettings { send_timeout, check_timeout, networks, ..ClientSettings::default() };
        let worker = Worker {
            pool: self.pool.clone(),
            broker: Arc::clone(&self.broker),
            clock: self.clock.clone(),
            metrics: self.metrics.clone(),
            gateway: EvolutionClient::new(settings).unwrap(),
            secrets: self.options.secrets.clone(),
            settings: WorkerSettings {
                lease: self.options.lease,
                health_ttl: Duration::from_millis(50),
                ..WorkerSettings::named(format!("test-worker-{number}"))
            },
        };
        let running = tokio::spawn(regua_worker::run(worker, stop.clone()));
        self.workers.insert(number, (stop, running));
        number
    }

    /// Asks a worker to end, and waits until it has.
    pub async fn stop_worker(&mut self, number: usize) {
        let (stop, running) = self.workers.remove(&number).expect("a running worker");
        stop.cancel();
        running.await.unwrap().unwrap();
    }

    /// Waits until every lane was let go: a worker that is killed before would leave its lease behind.
    pub async fn until_lanes_are_free(&self) {
        crate::eventually("every lane to be let go", async || {
            self.count("select count(*) from lanes where leased_by is not null").await == 0
        })
        .await;
    }

    /// The one number that a query answers.
    pub async fn count(&self, query: &str) -> i64 {
        self.try_count(query).await.expect("the database answers")
    }

    /// The same; none while the database is away.
    pub async fn try_count(&self, query: &str) -> Option<i64> {
        #[expect(clippy::disallowed_methods, reason = "a test looks at the tables directly")]
        sqlx::query_scalar(AssertSqlSafe(query.to_owned())).fetch_one(&self.database.pool).await.ok()
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        assert!(self.has_ended || std::thread::panicking(), "a fleet was dropped without being ended");
    }
}

async fn serve_sandbox(sandbox: &Sandbox, shutdown: &CancellationToken) -> (String, JoinHandle<anyhow::Result<()>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (sandbox, shutdown) = (sandbox.clone(), shutdown.clone());
    (address, tokio::spawn(async move { sandbox.serve(listener, shutdown).await }))
}

fn broker(options: &FleetOptions, namespace: &str, pool: &PgPool) -> Arc<dyn Broker> {
    let settings = BrokerSettings {
        amqp_urls: options.amqp_url.as_deref().map(|url| url.parse().unwrap()),
        namespace: namespace.to_owned(),
        queue_type: options.queue_type,
        prefetch: 64,
        connection_name: "regua-tests".to_owned(),
    };
    regua_broker::connect(&settings, pool.clone())
}

fn open_pool(url: &str, pool_mode: PoolMode, application_name: &'static str) -> PgPool {
    regua_store::pool(&PoolSettings {
        database_url: url.to_owned(),
        application_name,
        role: Role::Fleet,
        pool_mode,
        max_connections: 24,
        acquire_timeout: Duration::from_secs(3),
    })
    .unwrap()
}
