//! `regua-api`: takes batches of contacts from ERPs, and tells and controls what becomes of them. `routes/send` is the
//! one door in; a batch is rows and a doorbell in one transaction before it is answered. Nothing is sent from here.

pub mod config;
pub mod keys;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::serve::ListenerExt;
use regua_boot::{Clock, Metrics, Services};
use regua_broker::Broker;
use sqlx::PgPool;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::config::Config;

/// What the API works with.
pub struct Api {
    /// PostgreSQL.
    pub pool: PgPool,
    /// Where doorbells go.
    pub broker: Arc<dyn Broker>,
    /// The time of the business.
    pub clock: Clock,
    /// The process's metrics.
    pub metrics: Metrics,
    /// The rest.
    pub settings: ApiSettings,
}

/// How the API behaves.
#[derive(Clone, Debug)]
pub struct ApiSettings {
    /// What links in answers begin with, without a slash at the end; none: they have no host.
    pub public_url: Option<String>,
    /// Largest request body, in bytes.
    pub max_body_bytes: usize,
    /// How long a caller may take to send its request body.
    pub body_timeout: Duration,
    /// How long a request may take in all; whoever waits longer waits for the database, and is told so.
    pub request_timeout: Duration,
    /// How long requests under way may take when the process is asked to end.
    pub shutdown_grace: Duration,
    /// Between two passes of the relay, which is woken besides by every batch.
    pub relay_every: Duration,
}

impl Default for ApiSettings {
    fn default() -> Self {
        Self {
            public_url: None,
            max_body_bytes: 32 << 20,
            body_timeout: Duration::from_secs(20),
            request_timeout: Duration::from_secs(30),
            shutdown_grace: Duration::from_secs(25),
            relay_every: Duration::from_secs(1),
        }
    }
}

/// The whole process: opens what the configuration names, and serves until a signal.
///
/// # Errors
/// When something that cannot be waited for is wrong: an address, a port, a metric.
pub async fn start(config: Config) -> anyhow::Result<()> {
    regua_boot::start_logging(&config.log);
    regua_boot::init_tls();
    let shutdown = regua_boot::on_signal()?;
    let metrics = Metrics::new()?;
    let Services { pool, broker } = Services::open("regua-api", &config.database, &config.broker)?;
    let address = SocketAddr::new(config.host, config.port);
    let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen at {address} (PORT)"))?;
    run(Api { pool, broker, clock: Clock::system(), metrics, settings: config.settings() }, listener, shutdown).await
}

/// Serves, and runs the relay, until `shutdown`; requests under way are finished.
///
/// # Errors
/// When the listener fails.
pub async fn run(api: Api, listener: TcpListener, shutdown: CancellationToken) -> anyhow::Result<()> {
    let address = listener.local_addr()?;
    let rang = Arc::new(Notify::new());
    // The relay outlives the last request, so that a batch accepted during shutdown is rung for.
    let served = CancellationToken::new();
    let relay = regua_broker::run_relay(
        Arc::clone(&api.broker),
        Arc::clone(&rang),
        api.settings.relay_every,
        served.clone(),
    );
    let relay = tokio::spawn(relay);
    let grace = api.settings.shutdown_grace;
    let routes: Router = Router::new();
    let service = routes.into_make_service_with_connect_info::<SocketAddr>();
    let listener = listener.tap_io(|connection| {
        if let Err(error) = connection.set_nodelay(true) {
            tracing::debug!(%error, "answers on this connection may be delayed");
        }
    });
    let serving = axum::serve(listener, service).with_graceful_shutdown(shutdown.clone().cancelled_owned());
    tracing::info!(%address, broker = api.broker.name(), "the API is up");
    let ended = tokio::select! {
        ended = serving => ended,
        () = async { shutdown.cancelled().await; tokio::time::sleep(grace).await } => {
            tracing::warn!(grace_seconds = grace.as_secs(), "requests did not finish in time and are cut off");
            Ok(())
        }
    };
    served.cancel();
    relay.await?;
    Ok(ended?)
}
