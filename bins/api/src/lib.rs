//! `regua-api`: stores the batches that ERPs post, and shows and controls their queues. A batch is answered once its
//! rows and its doorbell are committed in one transaction. This process sends no message.
//!
//! A module uses only the modules after it in this list: `routes`, `intake`, `callers`, `http`, `context`,
//! `credentials`, `limits`, `texts`.

mod callers;
pub mod config;
mod context;
mod credentials;
#[cfg(feature = "harness")]
pub mod harness;
mod http;
mod intake;
mod limits;
mod metrics;
mod routes;
mod texts;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::middleware::from_fn_with_state;
use regua_boot::{Clock, Services};
use regua_store::Role;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::normalize_path::NormalizePath;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::config::Config;
use crate::context::{Context, State};
use crate::http::{Connections, openapi, request};

pub use crate::context::{Api, ApiSettings, ReplicaSettings};
pub use crate::credentials::keys;
pub use crate::http::{Cause, CommandLine};
pub use crate::limits::{ClientAddress, EventAmount, LimitSettings, RedisAddress, TrustedProxies};
pub use crate::metrics::ApiMetrics;
pub use crate::routes::platform::new_tenant::NewTenant;
pub use crate::texts::render_text;

/// Between two wake-ups of the relay for webhook events.
const WEBHOOK_RELAY_PAUSE: Duration = Duration::from_millis(100);

/// The whole process: connects to what the configuration names, and serves until a signal. It starts while the database
/// or the broker is away; it fails when the configuration is invalid or the port is in use.
pub async fn start(config: Config) -> anyhow::Result<()> {
    regua_boot::start_logging(&config.log);
    regua_boot::init_tls();
    let shutdown = regua_boot::on_signal()?;
    let metrics = ApiMetrics::new(&regua_boot::Registry::default())?;
    let secrets = config.secrets.keys()?;
    let Services { pool, broker } = Services::open("regua-api", Role::Relay, &config.database, &config.broker)?;
    let replica = config.replica()?;
    let address = SocketAddr::new(config.bind_address, config.port);
    let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen at {address} (PORT)"))?;
    let (clock, settings) = (Clock::system(), config.settings()?);
    run(Api { pool, replica, broker, secrets, clock, metrics, settings }, listener, shutdown).await
}

/// Serves, and runs the relay, until `shutdown`; requests under way may finish within the grace time.
pub async fn run(api: Api, listener: TcpListener, shutdown: CancellationToken) -> anyhow::Result<()> {
    let relay_wakeup = Arc::new(Notify::new());
    let context = State::new(&api, Arc::clone(&relay_wakeup))?;
    // The background tasks outlive the last request: the doorbell of a batch accepted during shutdown is published.
    let served = CancellationToken::new();
    let (broker, every) = (Arc::clone(&api.broker), api.settings.relay_every);
    let tasks = [
        tokio::spawn(regua_broker::run_relay(broker, Arc::clone(&relay_wakeup), every, served.clone())),
        tokio::spawn(relay_webhooks(Arc::clone(&context.webhook_stored), relay_wakeup, served.clone())),
        tokio::spawn(context.listings.clone().watch(served.clone())),
        tokio::spawn(Arc::clone(&context.limits.rates).watch(served.clone())),
    ];
    let connections = Connections::new(&api.settings.limits, Arc::clone(&context.limits.connections));
    let routes = router(&api, context)?;
    tracing::info!(address = %listener.local_addr()?, broker = api.broker.name(), "the API is up");
    let grace = api.settings.shutdown_grace;
    let grace_ended = async {
        shutdown.cancelled().await;
        tokio::time::sleep(grace).await;
    };
    tokio::select! {
        () = connections.serve(listener, routes, shutdown.clone()) => {}
        () = grace_ended => {
            tracing::warn!(grace_seconds = grace.as_secs(), "requests did not finish in time and are aborted");
        }
    }
    served.cancel();
    for task in tasks {
        task.await?;
    }
    Ok(())
}

/// Wakes the relay for stored webhook events, and after a pause again: the events of a flood ring one doorbell together.
async fn relay_webhooks(stored: Arc<Notify>, relay_wakeup: Arc<Notify>, stop: CancellationToken) {
    let relaying = async {
        loop {
            stored.notified().await;
            relay_wakeup.notify_one();
            tokio::time::sleep(WEBHOOK_RELAY_PAUSE).await;
        }
    };
    stop.run_until_cancelled(relaying).await;
}

/// The API for calls inside one process, without a listener or background tasks. A request with a [`CommandLine`] in
/// its extensions acts for the platform; the answer has a [`Cause`] in its extensions when something failed inside.
pub fn in_process_router(api: &Api) -> anyhow::Result<Router> {
    router(api, State::new(api, Arc::default())?)
}

/// All routes within the layers. A slash at the end of a path does not count.
fn router(api: &Api, context: Context) -> anyhow::Result<Router> {
    let probes = Services { pool: api.pool.clone(), broker: Arc::clone(&api.broker) }.probes();
    let (routes, document) = document().split_for_parts();
    let routes = routes
        .merge(openapi::router(&document)?)
        .with_state(context.clone())
        .merge(regua_boot::health_routes(api.metrics.registry().clone(), probes));
    Ok(Router::new().fallback_service(NormalizePath::trim_trailing_slash(with_layers(routes, context))))
}

fn with_layers(routes: Router, context: Context) -> Router {
    let of_fallback = Arc::clone(&context);
    let method_not_allowed = move |request| request::method_not_allowed(Arc::clone(&of_fallback), request);
    routes
        .fallback(request::not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(CatchPanicLayer::custom(request::panicked))
        .layer(from_fn_with_state(context, request::handle))
}

/// The OpenAPI document, as JSON.
pub fn openapi_json() -> anyhow::Result<String> {
    Ok(document().into_openapi().to_pretty_json()?)
}

/// The routes of the contract with their OpenAPI document.
fn document() -> OpenApiRouter<Context> {
    OpenApiRouter::with_openapi(openapi::BaseDocument::openapi()).merge(routes::router())
}

#[cfg(test)]
mod tests;
