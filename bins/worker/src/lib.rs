//! `regua-worker`: hears doorbells, holds lanes, and sends. `consume` takes a lane, `lane` claims, decides, marks, sends
//! and finishes, `ledger` commits the marks and outcomes of all lanes together, and `sharing` divides the lanes among the
//! workers.

mod clerk;
pub mod config;
mod consume;
mod health;
mod lane;
mod lanes;
mod ledger;
mod rules;
mod sharing;
mod verdict;

#[doc(hidden)]
pub use lane::protocol;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use regua_boot::{Clock, Metrics, SecretKeys, Services};
use regua_broker::Broker;
use regua_evolution::{ClientSettings, EvolutionClient};
use regua_store::Role;
use sqlx::PgPool;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clerk::Clerk;
use crate::config::Config;
use crate::health::Checks;
use crate::lanes::Lanes;
use crate::ledger::Ledger;
use crate::rules::Rulebook;

/// What a worker works with.
pub struct Worker {
    /// PostgreSQL.
    pub pool: PgPool,
    /// Where doorbells come from.
    pub broker: Arc<dyn Broker>,
    /// The time of the business.
    pub clock: Clock,
    /// The process's metrics.
    pub metrics: Metrics,
    /// The gateway.
    pub gateway: EvolutionClient,
    /// What opens the numbers' tokens.
    pub secrets: SecretKeys,
    /// The rest.
    pub settings: WorkerSettings,
}

/// How a worker behaves.
#[derive(Clone, Debug)]
pub struct WorkerSettings {
    /// Who this is, in leases and attempts: unique for every start of a process.
    pub name: String,
    /// How long a lane stays ours without a heartbeat.
    pub lease: Duration,
    /// How long an answer of the gateway that a number is connected counts.
    pub health_ttl: Duration,
    /// How long after a number was found down it is looked at again.
    pub recheck_after: Duration,
    /// How long sends under way may take when the process is asked to end.
    pub shutdown_grace: Duration,
    /// Most contacts claimed at once.
    pub batch: u32,
}

impl WorkerSettings {
    /// The seed's and the design's figures, for a worker of this name.
    pub fn named(name: String) -> Self {
        Self {
            name,
            lease: Duration::from_secs(30),
            health_ttl: Duration::from_secs(5),
            recheck_after: Duration::from_secs(60),
            shutdown_grace: Duration::from_secs(25),
            batch: 100,
        }
    }
}

/// The whole process: opens what the configuration names, serves its health, and works until a signal.
///
/// # Errors
/// When something that cannot be waited for is wrong: an address, a port, a metric.
pub async fn start(config: Config) -> anyhow::Result<()> {
    regua_boot::start_logging(&config.log);
    regua_boot::init_tls();
    let shutdown = regua_boot::on_signal()?;
    let metrics = Metrics::new()?;
    let secrets = config.secrets.keys()?;
    let services = Services::open("regua-worker", Role::Fleet, &config.database, &config.broker)?;
    let send_timeout = Duration::from_secs(config.evolution_timeout_seconds);
    let networks = config.gateway_allow_networks.clone();
    let gateway = EvolutionClient::new(ClientSettings { send_timeout, ..ClientSettings::with_networks(networks) })?;
    let listener = TcpListener::bind(("0.0.0.0", config.metrics_port)).await?;
    let routes = regua_boot::health_routes(metrics.clone(), services.probes());
    let health = tokio::spawn(regua_boot::serve(listener, routes, shutdown.clone()));
    let settings = config.settings(config::unique_name());
    let Services { pool, broker } = services;
    run(Worker { pool, broker, clock: Clock::system(), metrics, gateway, secrets, settings }, shutdown).await?;
    health.await?
}

/// Works until `shutdown`, then stops taking, lets sends under way finish, and gives its leases back.
///
/// # Errors
/// When a part of it fails for good.
pub async fn run(worker: Worker, shutdown: CancellationToken) -> anyhow::Result<()> {
    let Worker { pool, broker, clock, metrics, gateway, secrets, settings } = worker;
    let tasks = TaskTracker::new();
    let (ledger, mut writers) = Ledger::start(&pool, &clock, &settings.name);
    let grace = settings.shutdown_grace;
    let clerk = Clerk::start(&pool, &clock);
    let rulebook = Rulebook::open(pool.clone(), secrets.clone());
    let lanes = Lanes::new(lane::Context {
        pool: pool.clone(),
        clock,
        metrics,
        gateway,
        secrets,
        checks: Checks::default(),
        ledger,
        rulebook,
        clerk,
        settings: settings.clone(),
        shutdown: shutdown.clone(),
        tasks: tasks.clone(),
    });
    let heartbeat = tokio::spawn(Arc::clone(&lanes).heartbeat());
    tasks.spawn(sharing::run(Arc::clone(&lanes)));
    tracing::info!(worker = settings.name, broker = broker.name(), "worker is up");

    consume::run(broker.as_ref(), &pool, &lanes, &tasks, &shutdown).await;

    tasks.close();
    if tokio::time::timeout(grace, tasks.wait()).await.is_err() {
        tracing::warn!(grace_seconds = grace.as_secs(), "sends did not finish in time; their lanes will be taken over");
    }
    heartbeat.abort();
    drop(lanes);
    // The ledger ends when the last lane has let go of it, with everything it was told written down.
    let ending = async {
        while let Some(ended) = writers.join_next().await {
            ended.context("the ledger failed")?;
        }
        Ok(())
    };
    tokio::time::timeout(Duration::from_secs(5), ending).await.unwrap_or_else(|_| {
        tracing::warn!("outcomes were left unwritten; their lanes will be taken over");
        Ok(())
    })
}
