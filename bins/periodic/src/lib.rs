//! `regua-periodic`: relays doorbells, wakes queues at their time, and repairs the rows that crashes, lost doorbells
//! and lost answers leave behind. Each reconciler finds its work in the tables, and a repeated pass changes nothing.
//! Any number of replicas may run.

pub mod config;
mod context;
mod metrics;
mod reconcilers;
mod report;
mod webhooks;

#[cfg(feature = "harness")]
#[doc(hidden)]
pub mod harness;

pub use config::PeriodicSettings;
pub use metrics::PeriodicMetrics;

use std::sync::Arc;

use regua_boot::{Clock, Services};
use regua_broker::{Broker, Program};
use regua_evolution::{ClientSettings, EvolutionClient};
use regua_secrets::SecretKeys;
use regua_store::Role;
use sqlx::PgPool;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::context::Context;
use crate::reconcilers::Reconciler;
use crate::report::Reports;

/// What periodic needs.
pub struct Periodic {
    /// PostgreSQL.
    pub pool: PgPool,
    /// Carries doorbells in both directions.
    pub broker: Arc<dyn Broker>,
    /// The business time.
    pub clock: Clock,
    /// The process's metrics.
    pub metrics: PeriodicMetrics,
    /// Searches the gateways' histories.
    pub gateway: EvolutionClient,
    /// Opens the instances' tokens.
    pub secrets: SecretKeys,
    /// Intervals of passes, checks and looks.
    pub settings: PeriodicSettings,
}

/// The whole process: connects to what the configuration names, serves health and metrics, and works until a signal.
///
/// # Errors
/// When an address, a port or a key of the configuration cannot be used.
pub async fn start(config: Config) -> anyhow::Result<()> {
    regua_boot::start_logging(&config.log);
    regua_boot::init_tls();
    let shutdown = regua_boot::on_signal()?;
    let metrics = PeriodicMetrics::new(&regua_boot::Registry::default())?;
    let secrets = config.secrets.keys()?;
    let services = Services::open("regua-periodic", Role::Fleet, &config.database, &config.broker)?;
    let gateway = EvolutionClient::new(ClientSettings::with_networks(config.gateway_allow_networks.clone()))?;
    let listener = TcpListener::bind((config.bind_address, config.metrics_port)).await?;
    let routes = regua_boot::health_routes(metrics.registry().clone(), services.probes());
    let health = tokio::spawn(regua_boot::serve(listener, routes, shutdown.clone()));
    let Services { pool, broker } = services;
    let (clock, settings) = (Clock::system(), config.settings());
    run(Periodic { pool, broker, clock, metrics, gateway, secrets, settings }, shutdown).await?;
    health.await?
}

/// Runs all reconcilers, the relay and the reader of webhook events until `shutdown`.
///
/// # Errors
/// When a task panicked.
pub async fn run(periodic: Periodic, shutdown: CancellationToken) -> anyhow::Result<()> {
    let Periodic { pool, broker, clock, metrics, gateway, secrets, settings } = periodic;
    let relay_wakeup = Arc::new(Notify::new());
    let deliveries = broker.consume(Program::Periodic, shutdown.clone()).await;
    let relay = regua_broker::run_relay(broker, Arc::clone(&relay_wakeup), settings.every, shutdown.clone());
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(relay);
    let context = Context { pool, clock, metrics, gateway, secrets, settings, relay_wakeup };
    tasks.spawn(webhooks::run(context.clone(), deliveries, shutdown.clone()));
    for reconciler in reconcilers::ALL {
        tasks.spawn(repeat(reconciler, context.clone(), shutdown.clone()));
    }
    tracing::info!("periodic is up");
    while let Some(ended) = tasks.join_next().await {
        ended?;
    }
    Ok(())
}

async fn repeat(reconciler: &'static Reconciler, context: Context, shutdown: CancellationToken) {
    let mut ticks = tokio::time::interval(context.settings.every * reconciler.every_ticks);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut reports = Reports::of(reconciler.name);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = shutdown.cancelled() => return,
        }
        reports.record(reconciler.pass(&context).await);
    }
}
