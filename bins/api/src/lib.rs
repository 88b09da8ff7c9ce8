//! `regua-api`: takes batches of contacts from ERPs, and tells and controls what becomes of them. `routes/send` is the
//! one door in; a batch is rows and a doorbell in one transaction before it is answered. Nothing is sent from here.

mod auth;
mod batch;
mod client_address;
mod compose;
pub mod config;
mod error;
mod form;
#[doc(hidden)]
pub mod fuzz;
mod intake;
pub mod keys;
mod limits;
mod listings;
mod new_tenant;
mod openapi;
mod people;
mod posted;
mod remembered;
mod request;
mod routes;
mod rules;
mod serve;
mod workshop;

use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::middleware::from_fn_with_state;
use regua_boot::{Clock, Metrics, SecretKeys, Services};
use regua_broker::Broker;
use regua_domain::{InstanceId, TenantId};
use regua_evolution::{AllowedNetworks, ClientSettings, EvolutionClient};
use regua_store::Role;
use regua_store::api_keys::ApiKey;
use sqlx::PgPool;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::config::Config;
use crate::limits::Limits;
use crate::listings::Listings;
use crate::people::{AccessTokens, Passwords};
use crate::remembered::Remembered;
use crate::serve::Connections;

pub use crate::client_address::{ClientAddress, TrustedProxies};
pub use crate::intake::Intake;
pub use crate::limits::{LimitSettings, RedisAddress};
pub use crate::listings::ReplicaSettings;
pub use crate::new_tenant::{NewTenant, is_slug};
pub use crate::people::CommandLine;
pub use crate::request::Cause;
pub use crate::routes::admin::ERASURE_REASONS;

/// What the API works with.
pub struct Api {
    /// PostgreSQL.
    pub pool: PgPool,
    /// Where listings are read; none: in the same place.
    pub replica: Option<ReplicaSettings>,
    /// Where doorbells go.
    pub broker: Arc<dyn Broker>,
    /// What opens secrets and signs access tokens.
    pub secrets: SecretKeys,
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
    /// Where gateways may be besides public addresses.
    pub gateway_networks: AllowedNetworks,
    /// Between two passes of the relay, which is woken besides by every batch.
    pub relay_every: Duration,
    /// What callers are held to.
    pub limits: LimitSettings,
}

impl Default for ApiSettings {
    fn default() -> Self {
        Self {
            public_url: None,
            max_body_bytes: 32 << 20,
            body_timeout: Duration::from_secs(20),
            request_timeout: Duration::from_secs(30),
            shutdown_grace: Duration::from_secs(25),
            gateway_networks: AllowedNetworks::default(),
            relay_every: Duration::from_secs(1),
            limits: LimitSettings::default(),
        }
    }
}

/// What every handler works with. It is cloned for each request, and more than once.
#[derive(Clone)]
pub(crate) struct Context(Arc<Shared>);

impl Deref for Context {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

/// What there is once in a process.
pub(crate) struct Shared {
    pub(crate) pool: PgPool,
    pub(crate) listings: Listings,
    pub(crate) secrets: SecretKeys,
    pub(crate) access_tokens: AccessTokens,
    pub(crate) passwords: Passwords,
    pub(crate) gateway: EvolutionClient,
    pub(crate) clock: Clock,
    pub(crate) metrics: Metrics,
    pub(crate) settings: ApiSettings,
    pub(crate) limits: Arc<Limits>,
    /// By their lookup prefixes.
    pub(crate) keys: Arc<Remembered<String, ApiKey>>,
    /// Hashes of the secrets that webhooks carry.
    pub(crate) webhook_secrets: Arc<Remembered<(TenantId, InstanceId), Vec<u8>>>,
    /// Wakes the relay after a commit that rang.
    pub(crate) rang: Arc<Notify>,
}

impl Context {
    fn of(api: &Api, listings: Listings, rang: Arc<Notify>) -> anyhow::Result<Self> {
        let Api { pool, secrets, clock, metrics, settings, .. } = api;
        let limits = settings.limits.clone();
        let believed_for = limits.key_believed_for;
        let gateway = EvolutionClient::new(ClientSettings::with_networks(settings.gateway_networks.clone()))?;
        Ok(Self(Arc::new(Shared {
            pool: pool.clone(),
            listings,
            secrets: secrets.clone(),
            access_tokens: AccessTokens::new(secrets),
            passwords: Passwords::new(),
            gateway,
            clock: clock.clone(),
            metrics: metrics.clone(),
            settings: settings.clone(),
            limits: Arc::new(Limits::new(limits, settings.body_timeout / 2, clock.clone(), metrics.clone())?),
            keys: Arc::new(Remembered::new(believed_for)),
            webhook_secrets: Arc::new(Remembered::new(believed_for)),
            rang,
        })))
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
    let secrets = config.secrets.keys()?;
    let Services { pool, broker } = Services::open("regua-api", Role::Relay, &config.database, &config.broker)?;
    let replica = config.replica()?;
    let address = SocketAddr::new(config.bind_address, config.port);
    let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen at {address} (PORT)"))?;
    let (clock, settings) = (Clock::system(), config.settings());
    run(Api { pool, replica, broker, secrets, clock, metrics, settings }, listener, shutdown).await
}

/// Serves, and runs the relay, until `shutdown`; requests under way are finished.
///
/// # Errors
/// When the listener fails.
pub async fn run(api: Api, listener: TcpListener, shutdown: CancellationToken) -> anyhow::Result<()> {
    let rang = Arc::new(Notify::new());
    // The relay outlives the last request, so that a batch accepted during shutdown is rung for.
    let served = CancellationToken::new();
    let (broker, every) = (Arc::clone(&api.broker), api.settings.relay_every);
    let relay = tokio::spawn(regua_broker::run_relay(broker, Arc::clone(&rang), every, served.clone()));
    let (broker, grace) = (api.broker.name(), api.settings.shutdown_grace);
    let listings = Listings::new(api.pool.clone(), api.replica.clone(), api.metrics.clone());
    let watch = tokio::spawn(listings.clone().watch(served.clone()));
    let context = Context::of(&api, listings, rang)?;
    let limits = tokio::spawn(Arc::clone(&context.limits).watch(served.clone()));
    let connections = Connections::of(&api.settings.limits, Arc::clone(&context.limits));
    let routes = router(&api, context)?;
    tracing::info!(address = %listener.local_addr()?, broker, "the API is up");
    let serving = connections.serve(listener, routes, shutdown.clone());
    let overdue = async {
        shutdown.cancelled().await;
        tokio::time::sleep(grace).await;
    };
    tokio::select! {
        () = serving => {}
        () = overdue => {
            tracing::warn!(grace_seconds = grace.as_secs(), "requests did not finish in time and are cut off");
        }
    }
    served.cancel();
    relay.await?;
    watch.await?;
    limits.await?;
    Ok(())
}

/// The API for one program's own calls: without a listener, and nobody rings or is rung. A request that carries a
/// [`CommandLine`] acts for the platform, and its answer carries a [`Cause`] where something failed inside.
///
/// # Errors
/// When the TLS side of the gateway's client cannot be set up.
pub fn inside(api: &Api) -> anyhow::Result<Router> {
    let listings = Listings::new(api.pool.clone(), None, api.metrics.clone());
    let context = Context::of(api, listings, Arc::new(Notify::new()))?;
    router(api, context)
}

/// All routes with what stands around them.
fn router(api: &Api, context: Context) -> anyhow::Result<Router> {
    let probes = Services { pool: api.pool.clone(), broker: Arc::clone(&api.broker) }.probes();
    let (routes, document) = document().split_for_parts();
    let routes = routes
        .merge(openapi::router(&document)?)
        .with_state(context.clone())
        .merge(regua_boot::health_routes(api.metrics.clone(), probes));
    Ok(surrounded(routes, context))
}

/// What stands around every route.
fn surrounded(routes: Router, context: Context) -> Router {
    routes
        .fallback(request::not_found)
        .method_not_allowed_fallback(request::method_not_allowed)
        .layer(CatchPanicLayer::custom(request::panicked))
        .layer(from_fn_with_state(context, request::around))
}

/// The OpenAPI document that is served, as JSON.
///
/// # Errors
/// Never in practice: it is made of the routes' own attributes.
pub fn openapi_json() -> anyhow::Result<String> {
    Ok(document().into_openapi().to_pretty_json()?)
}

/// The contract's routes with their OpenAPI document.
fn document() -> OpenApiRouter<Context> {
    OpenApiRouter::with_openapi(openapi::Frame::openapi()).merge(routes::router())
}

#[cfg(test)]
mod tests;
