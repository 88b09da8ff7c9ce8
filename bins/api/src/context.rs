//! The state that every handler shares.

mod listings;
mod settings;

use std::sync::Arc;

use regua_boot::{Clock, CountedLog};
use regua_broker::Broker;
use regua_domain::{InstanceId, TenantId};
use regua_evolution::{ClientSettings, EvolutionClient};
use regua_secrets::SecretKeys;
use regua_store::api_keys::ApiKey;
use regua_store::instances::WebhookSecret;
use sqlx::PgPool;
use tokio::sync::Notify;

use crate::credentials::cache::Cache;
use crate::credentials::device::DeviceProofs;
use crate::credentials::good_sessions::GoodSessions;
use crate::credentials::password::Passwords;
use crate::credentials::token::AccessTokens;
use crate::limits::{Database, Limits};
use crate::metrics::ApiMetrics;

pub(crate) use self::listings::Listings;
pub use self::listings::ReplicaSettings;
pub use self::settings::ApiSettings;
pub(crate) use self::settings::is_url;

/// The connections and settings that an API process starts with.
#[expect(missing_docs, reason = "the types say it")]
pub struct Api {
    pub pool: PgPool,
    /// The replica that listings are read from; none: they are read from `pool`.
    pub replica: Option<ReplicaSettings>,
    pub broker: Arc<dyn Broker>,
    /// Keys that seal secrets and sign access tokens.
    pub secrets: SecretKeys,
    pub clock: Clock,
    pub metrics: ApiMetrics,
    pub settings: ApiSettings,
}

/// The state that every handler shares.
pub(crate) type Context = Arc<State>;

pub(crate) struct State {
    pub(crate) database: Database,
    pub(crate) listings: Listings,
    pub(crate) secrets: SecretKeys,
    pub(crate) access_tokens: AccessTokens,
    pub(crate) devices: DeviceProofs,
    pub(crate) passwords: Passwords,
    pub(crate) gateway: EvolutionClient,
    pub(crate) clock: Clock,
    pub(crate) metrics: ApiMetrics,
    pub(crate) settings: ApiSettings,
    pub(crate) limits: Limits,
    /// API keys by lookup prefix.
    pub(crate) keys: Cache<String, ApiKey>,
    pub(crate) good_sessions: GoodSessions,
    /// Hashes of the secrets that webhooks carry.
    pub(crate) webhook_secrets: Cache<(TenantId, InstanceId), WebhookSecret>,
    pub(crate) stranger_logs: StrangerLogs,
    /// Notified after each commit that wrote a doorbell.
    pub(crate) relay_wakeup: Arc<Notify>,
    /// Notified after each commit of a webhook event.
    pub(crate) webhook_stored: Arc<Notify>,
}

/// Log lines that callers without a valid credential cause: each at most one a second, with a count.
#[derive(Default)]
pub(crate) struct StrangerLogs {
    /// Requests that were answered.
    pub(crate) answered: CountedLog,
    /// Requests at which the API failed.
    pub(crate) failed: CountedLog,
    /// Logins that were refused after too many failures.
    pub(crate) refused_logins: CountedLog,
}

impl State {
    pub(crate) fn new(api: &Api, relay_wakeup: Arc<Notify>) -> anyhow::Result<Context> {
        let Api { pool, replica, secrets, clock, metrics, settings, .. } = api;
        let cached_for = settings.limits.key_cached_for;
        let patience = settings.body_timeout / 2;
        let gateway = EvolutionClient::new(ClientSettings::with_networks(settings.gateway_networks.clone()))?;
        Ok(Arc::new(Self {
            database: Database::new(pool.clone(), metrics.clone()),
            listings: Listings::new(pool.clone(), replica.clone(), metrics.clone()),
            secrets: secrets.clone(),
            access_tokens: AccessTokens::new(secrets),
            devices: DeviceProofs::new(secrets),
            passwords: Passwords::new(),
            gateway,
            clock: clock.clone(),
            metrics: metrics.clone(),
            settings: settings.clone(),
            limits: Limits::new(&settings.limits, patience, clock.clone(), metrics.clone()),
            keys: Cache::new(cached_for),
            good_sessions: GoodSessions::new(),
            webhook_secrets: Cache::new(cached_for),
            stranger_logs: StrangerLogs::default(),
            relay_wakeup,
            webhook_stored: Arc::default(),
        }))
    }
}
