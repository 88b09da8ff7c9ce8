//! Starts and stops the programs of a fleet.

use std::sync::Arc;
use std::time::Duration;

use regua_api::{Api, ApiMetrics, ReplicaSettings};
use regua_boot::Registry;
use regua_broker::{Broker, BrokerSettings};
use regua_evolution::{ClientSettings, EvolutionClient};
use regua_periodic::harness::ManualPeriodic;
use regua_periodic::{Periodic, PeriodicMetrics, PeriodicSettings};
use regua_sandbox::Sandbox;
use regua_store::{PoolMode, PoolSettings, Role};
use regua_worker::{Worker, WorkerMetrics, WorkerSettings};
use sqlx::PgPool;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Fleet, FleetOptions, gateway_settings};

/// The metrics of a fleet's programs, in one registry.
pub struct FleetMetrics {
    /// Metrics of the first API.
    pub api: ApiMetrics,
    /// Metrics of all workers.
    pub worker: WorkerMetrics,
    /// Metrics of periodic.
    pub periodic: PeriodicMetrics,
}

impl FleetMetrics {
    pub(super) fn new() -> Self {
        let registry = Registry::default();
        Self {
            api: ApiMetrics::new(&registry).unwrap(),
            worker: WorkerMetrics::new(&registry).unwrap(),
            periodic: PeriodicMetrics::new(&registry).unwrap(),
        }
    }
}

impl Fleet {
    /// Starts one more API, with metrics of its own; returns its address.
    pub async fn start_another_api(&mut self, metrics: ApiMetrics) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let replica = self.options.replica.as_ref().map(|(url, max_lag)| ReplicaSettings {
            pool: open_pool(url, self.options.pool_mode, "regua-listings"),
            max_lag: *max_lag,
        });
        let pool = match self.options.proxied_api_database.take() {
            Some(proxied) => {
                let url = self.database.url_through(Some(&proxied));
                open_pool_of(1, &url, self.options.pool_mode, "regua-counted")
            }
            None => self.pool.clone(),
        };
        let api = Api {
            secrets: self.options.secrets.clone(),
            pool,
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
            metrics: self.metrics.periodic.clone(),
            settings: PeriodicSettings {
                every: self.options.periodic_tick,
                looks: self.options.looks.clone(),
                ..PeriodicSettings::default()
            },
        };
        self.programs.push(tokio::spawn(regua_periodic::run(periodic, self.shutdown.clone())));
    }

    /// A periodic step by step, with its database role.
    pub fn manual_periodic(&self) -> ManualPeriodic {
        let pool = open_pool_of(2, &self.database.url, PoolMode::Session, "regua-manual");
        let gateway = EvolutionClient::new(gateway_settings()).unwrap();
        let (metrics, settings) = (self.metrics.periodic.clone(), PeriodicSettings::default());
        ManualPeriodic::new(pool, self.clock.clone(), metrics, gateway, self.options.secrets.clone(), settings)
    }

    /// Starts one more worker; returns its number.
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
            metrics: self.metrics.worker.clone(),
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

    /// Stops a worker and waits until it has ended.
    pub async fn stop_worker(&mut self, number: usize) {
        let (stop, running) = self.workers.remove(&number).expect("a running worker");
        stop.cancel();
        running.await.unwrap().unwrap();
    }
}

/// Serves the sandbox; returns its address.
pub(super) async fn serve_sandbox(
    sandbox: &Sandbox,
    shutdown: &CancellationToken,
) -> (String, JoinHandle<anyhow::Result<()>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (sandbox, shutdown) = (sandbox.clone(), shutdown.clone());
    (address, tokio::spawn(async move { sandbox.serve(listener, shutdown).await }))
}

pub(super) fn connect_broker(options: &FleetOptions, namespace: &str, pool: &PgPool) -> Arc<dyn Broker> {
    let settings = BrokerSettings {
        amqp_urls: options.amqp_url.as_deref().map(|url| url.parse().unwrap()),
        namespace: namespace.to_owned(),
        queue_type: options.queue_type,
        prefetch: 64,
        connection_name: "regua-tests".to_owned(),
    };
    regua_broker::connect(&settings, pool.clone())
}

pub(super) fn open_pool(url: &str, pool_mode: PoolMode, application_name: &'static str) -> PgPool {
    open_pool_of(24, url, pool_mode, application_name)
}

fn open_pool_of(max_connections: u32, url: &str, pool_mode: PoolMode, application_name: &'static str) -> PgPool {
    regua_store::pool(&PoolSettings {
        database_url: url.to_owned(),
        application_name,
        role: Role::Fleet,
        pool_mode,
        max_connections,
        acquire_timeout: Duration::from_secs(3),
    })
    .unwrap()
}
