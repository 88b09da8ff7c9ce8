//! `regua-worker`: consumes doorbells, leases lanes, and sends. `consume` acquires a lane for each doorbell, `lane`
//! sends through one instance, and `rebalance` divides the lanes among the workers. `claims`, `lane_configs` and
//! `attempt` do the database work of many lanes in one transaction (`group`).

mod attempt;
mod claims;
pub mod config;
mod consume;
mod context;
mod group;
mod health;
mod lane;
mod lane_configs;
mod lanes;
mod lease;
mod metrics;
mod next_state;
mod rebalance;
mod recovery;
mod send_budget;

#[cfg(feature = "harness")]
#[doc(hidden)]
pub mod harness;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use regua_boot::{Clock, Services};
use regua_broker::Broker;
use regua_evolution::{ClientSettings, EvolutionClient};
use regua_secrets::SecretKeys;
use regua_store::Role;
use sqlx::PgPool;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use crate::config::WorkerSettings;
pub use crate::metrics::WorkerMetrics;

use crate::attempt::AttemptWriter;
use crate::claims::Claims;
use crate::config::Config;
use crate::context::Context;
use crate::health::HealthChecks;
use crate::lane_configs::LaneConfigs;
use crate::lanes::Lanes;
use crate::send_budget::SendBudget;

/// What a worker needs.
pub struct Worker {
    /// PostgreSQL.
    pub pool: PgPool,
    /// Delivers doorbells.
    pub broker: Arc<dyn Broker>,
    /// The business time.
    pub clock: Clock,
    /// The process's metrics.
    pub metrics: WorkerMetrics,
    /// Sends messages.
    pub gateway: EvolutionClient,
    /// Opens the instances' tokens.
    pub secrets: SecretKeys,
    /// Lease length, time limits, claim size.
    pub settings: WorkerSettings,
}

/// The whole process: connects to what the configuration names, serves health and metrics, and works until a signal.
///
/// # Errors
/// When an address, a port or a key of the configuration cannot be used.
pub async fn start(config: Config) -> anyhow::Result<()> {
    regua_boot::start_logging(&config.log);
    regua_boot::init_tls();
    let shutdown = regua_boot::on_signal()?;
    let metrics = WorkerMetrics::new(&regua_boot::Registry::default())?;
    let secrets = config.secrets.keys()?;
    let services = Services::open("regua-worker", Role::Fleet, &config.database, &config.broker)?;
    let send_timeout = Duration::from_secs(config.evolution_timeout_seconds);
    let networks = config.gateway_allow_networks.clone();
    let gateway = EvolutionClient::new(ClientSettings { send_timeout, ..ClientSettings::with_networks(networks) })?;
    let settings = config.settings(config::unique_name())?;
    let listener = TcpListener::bind((config.bind_address, config.metrics_port)).await?;
    let routes = regua_boot::health_routes(metrics.registry().clone(), services.probes());
    let health = tokio::spawn(regua_boot::serve(listener, routes, shutdown.clone()));
    let Services { pool, broker } = services;
    run(Worker { pool, broker, clock: Clock::system(), metrics, gateway, secrets, settings }, shutdown).await?;
    health.await?
}

/// Works until `shutdown`. Then it consumes no more, lets sends under way finish, and releases its lanes.
///
/// # Errors
/// When a task panicked.
pub async fn run(worker: Worker, shutdown: CancellationToken) -> anyhow::Result<()> {
    let Worker { pool, broker, clock, metrics, gateway, secrets, settings } = worker;
    let tasks = TaskTracker::new();
    let (attempt_writer, writer_tasks) = AttemptWriter::start(&pool, &clock, &settings.name);
    let claims = Claims::start(&pool, &clock);
    let lane_configs = LaneConfigs::start(&pool, &secrets);
    let send_budget = SendBudget::new(settings.max_sends_under_way, &metrics);
    let lanes = Lanes::new(Context {
        pool: pool.clone(),
        clock,
        metrics,
        gateway,
        secrets,
        health_checks: HealthChecks::default(),
        send_budget,
        attempt_writer,
        lane_configs,
        claims,
        settings: settings.clone(),
        shutdown: shutdown.clone(),
        tasks: tasks.clone(),
    });
    let heartbeat = tokio::spawn(Arc::clone(&lanes).heartbeat());
    tasks.spawn(rebalance::run(Arc::clone(&lanes)));
    tracing::info!(worker = settings.name, broker = broker.name(), "worker is up");

    consume::run(broker.as_ref(), &pool, &lanes, &tasks, &shutdown).await;

    tasks.close();
    let grace = settings.shutdown_grace;
    if tokio::time::timeout(grace, tasks.wait()).await.is_err() {
        tracing::warn!(
            grace_seconds = grace.as_secs(),
            "sends did not finish within the grace period; other workers take their lanes over"
        );
    }
    heartbeat.abort();
    drop(lanes);
    // The attempt writer's tasks end with the last lane, when all outcomes are written.
    let ending = async {
        for task in writer_tasks {
            task.await.context("the attempt writer failed")?;
        }
        Ok(())
    };
    tokio::time::timeout(Duration::from_secs(5), ending).await.unwrap_or_else(|_| {
        tracing::warn!("the attempt writer did not write all outcomes in time; other workers take their lanes over");
        Ok(())
    })
}
