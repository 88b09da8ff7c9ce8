//! `regua-periodic`: recovery as a program. Each reconciler is a function without input that looks at the rows and
//! repairs what it finds. Any number of replicas may run: an advisory lock lets one of them do each pass, and a pass done
//! twice changes nothing more.

pub mod config;
mod reconcilers;

#[doc(hidden)]
pub use reconcilers::protocol;

use std::sync::Arc;
use std::time::Duration;

use regua_boot::{Clock, Metrics, SecretKeys, Services};
use regua_broker::Broker;
use regua_domain::LookSchedule;
use regua_evolution::{ClientSettings, EvolutionClient};
use regua_store::Role;
use sqlx::PgPool;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::reconcilers::Reconciler;

/// What periodic works with.
pub struct Periodic {
    /// PostgreSQL.
    pub pool: PgPool,
    /// Where doorbells go.
    pub broker: Arc<dyn Broker>,
    /// The time of the business.
    pub clock: Clock,
    /// The process's metrics.
    pub metrics: Metrics,
    /// The gateway, to look for what may have left.
    pub gateway: EvolutionClient,
    /// What opens the numbers' tokens.
    pub secrets: SecretKeys,
    /// The rest.
    pub settings: PeriodicSettings,
}

/// How often periodic looks.
#[derive(Clone, Debug)]
pub struct PeriodicSettings {
    /// Between two passes of every reconciler, and of the relay.
    pub every: Duration,
    /// How long after a number was found down it is looked at again.
    pub recheck_after: Duration,
    /// When an attempt of unknown outcome is looked for.
    pub looks: LookSchedule,
}

impl Default for PeriodicSettings {
    fn default() -> Self {
        Self { every: Duration::from_secs(1), recheck_after: Duration::from_secs(60), looks: LookSchedule::default() }
    }
}

/// What a reconciler works with.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) pool: PgPool,
    pub(crate) clock: Clock,
    pub(crate) metrics: Metrics,
    pub(crate) gateway: EvolutionClient,
    pub(crate) secrets: SecretKeys,
    pub(crate) settings: PeriodicSettings,
    /// Wakes the relay after a pass that rang.
    pub(crate) rang: Arc<Notify>,
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
    let services = Services::open("regua-periodic", Role::Fleet, &config.database, &config.broker)?;
    let gateway = EvolutionClient::new(ClientSettings::with_networks(config.gateway_allow_networks.clone()))?;
    let listener = TcpListener::bind(("0.0.0.0", config.metrics_port)).await?;
    let routes = regua_boot::health_routes(metrics.clone(), services.probes());
    let health = tokio::spawn(regua_boot::serve(listener, routes, shutdown.clone()));
    let Services { pool, broker } = services;
    let (clock, settings) = (Clock::system(), config.settings());
    run(Periodic { pool, broker, clock, metrics, gateway, secrets, settings }, shutdown).await?;
    health.await?
}

/// Runs all reconcilers and the relay until `shutdown`.
///
/// # Errors
/// When one of them panicked.
pub async fn run(periodic: Periodic, shutdown: CancellationToken) -> anyhow::Result<()> {
    let Periodic { pool, broker, clock, metrics, gateway, secrets, settings } = periodic;
    let rang = Arc::new(Notify::new());
    let relay = regua_broker::run_relay(broker, Arc::clone(&rang), settings.every, shutdown.clone());
    let mut running = tokio::task::JoinSet::new();
    running.spawn(relay);
    let context = Context { pool, clock, metrics, gateway, secrets, settings, rang };
    for reconciler in reconcilers::ALL {
        running.spawn(repeat(reconciler, context.clone(), shutdown.clone()));
    }
    tracing::info!("periodic is up");
    while let Some(ended) = running.join_next().await {
        ended?;
    }
    Ok(())
}

async fn repeat(reconciler: &'static Reconciler, context: Context, shutdown: CancellationToken) {
    let mut ticks = tokio::time::interval(context.settings.every * reconciler.every_passes);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_failing = false;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = shutdown.cancelled() => return,
        }
        match reconciler.pass(&context).await {
            Ok(repaired) => {
                is_failing = false;
                if repaired > 0 {
                    tracing::info!(reconciler = reconciler.name, repaired, "repaired");
                }
            }
            // Said once; the next passes say the same.
            Err(error) if !is_failing => {
                is_failing = true;
                tracing::warn!(reconciler = reconciler.name, error = format!("{error:#}"), "a pass failed");
            }
            Err(error) => tracing::debug!(reconciler = reconciler.name, error = format!("{error:#}"), "a pass failed"),
        }
    }
}
