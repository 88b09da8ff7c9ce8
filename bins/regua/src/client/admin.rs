//! The client of the admin API: over HTTP with an access token, or inside this process with a database connection. The
//! same handlers answer both, and write the audit log.

use std::fmt;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode, header};
use clap::Args;
use regua_api::{Api, ApiMetrics, ApiSettings, Cause, CommandLine};
use regua_boot::{Clock, DatabaseArguments, Registry};
use regua_broker::{BrokerSettings, QueueType};
use regua_domain::{Slug, TenantId};
use regua_evolution::AllowedNetworks;
use regua_secrets::SecretKeys;
use regua_store::tenants;
use serde_json::Value;
use sqlx::PgPool;
use tower::ServiceExt;

use super::answers::Problem;
use crate::database;
use crate::output::OutputFormat;

const BASE: &str = "/api/v1/admin";
const TIMEOUT: Duration = Duration::from_secs(60);
/// No answer is as long.
const MAX_ANSWER_BYTES: usize = 64 << 20;

/// A database URL, or the address of the API with an access token.
#[derive(Args)]
pub(crate) struct AdminArguments {
    /// PostgreSQL, as postgres://user:password@host:port/database; not needed with --api-url and --access-token
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, required_unless_present_all = ["api_url", "access_token"])]
    database_url: Option<String>,
    /// Most connections that this process opens
    #[arg(long, env = "DATABASE_MAX_CONNECTIONS", default_value_t = 16, value_parser = clap::value_parser!(u32).range(8..=1000))]
    database_max_connections: u32,
    /// session: connections to PostgreSQL itself, or to a pooler in session mode; transaction: to a pooler in
    /// transaction mode, configured as in docs/scale.md
    #[arg(long, env = "DATABASE_POOL_MODE", default_value = "session", value_parser = ["session", "transaction"])]
    database_pool_mode: String,
    /// Address of the API, to use it instead of the database; with --access-token
    #[arg(long, env = "REGUA_URL", value_name = "URL")]
    api_url: Option<String>,
    /// The access_token that POST /api/v1/auth/login answered
    #[arg(long, env = "REGUA_ACCESS_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    access_token: Option<String>,
}

impl fmt::Debug for AdminArguments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminArguments").field("api_url", &self.api_url).finish_non_exhaustive()
    }
}

/// What the API inside this process needs to reach gateways.
pub(crate) struct GatewayAccess {
    /// Keys that seal and open instance tokens.
    pub(crate) secrets: SecretKeys,
    /// Networks in which gateways may be, in addition to public addresses.
    pub(crate) networks: AllowedNetworks,
}

impl AdminArguments {
    /// For commands that neither seal nor open a secret: the keys are those of development.
    pub(crate) async fn open(&self) -> anyhow::Result<AdminClient> {
        self.open_with(|| {
            Ok(GatewayAccess { secrets: SecretKeys::development(), networks: AllowedNetworks::default() })
        })
        .await
    }

    /// For commands that seal or open secrets. `gateways` is called only for an API inside this process.
    pub(crate) async fn open_with(
        &self,
        gateways: impl FnOnce() -> anyhow::Result<GatewayAccess>,
    ) -> anyhow::Result<AdminClient> {
        if let (Some(url), Some(token)) = (non_empty(&self.api_url), non_empty(&self.access_token)) {
            let http = reqwest::Client::builder().timeout(TIMEOUT).build()?;
            let base = url.trim_end_matches('/').to_owned();
            return Ok(AdminClient {
                transport: Transport::Http { http, base, token: token.to_owned() },
                tenant: None,
            });
        }
        let Some(url) = non_empty(&self.database_url) else {
            bail!("set DATABASE_URL, or both REGUA_URL and REGUA_ACCESS_TOKEN")
        };
        let pool = database::open(&DatabaseArguments {
            database_url: url.to_owned(),
            database_max_connections: self.database_max_connections,
            database_pool_mode: self.database_pool_mode.clone(),
        })?;
        // Fails with the database's error if the database is away or has no tables. The API would answer a problem.
        find_tenant(&pool, "").await?;
        let router = in_process_router(pool.clone(), gateways()?)?;
        let name = ["USER", "LOGNAME", "USERNAME"].iter().find_map(|name| std::env::var(name).ok());
        let caller = CommandLine { name: name.unwrap_or_else(|| "unknown".to_owned()) };
        Ok(AdminClient { transport: Transport::InProcess { router, pool, caller }, tenant: None })
    }
}

/// The arguments of most admin commands.
#[derive(Args, Debug)]
pub(crate) struct TenantArguments {
    #[command(flatten)]
    admin: AdminArguments,
    /// The tenant's slug
    #[arg(long, value_name = "SLUG")]
    pub(crate) tenant: String,
    #[command(flatten)]
    pub(crate) format: OutputFormat,
}

impl TenantArguments {
    pub(crate) async fn open(&self) -> anyhow::Result<AdminClient> {
        self.admin.open().await?.for_tenant(&self.tenant).await
    }

    pub(crate) async fn open_with(
        &self,
        gateways: impl FnOnce() -> anyhow::Result<GatewayAccess>,
    ) -> anyhow::Result<AdminClient> {
        self.admin.open_with(gateways).await?.for_tenant(&self.tenant).await
    }
}

/// An empty variable counts as absent.
fn non_empty(text: &Option<String>) -> Option<&str> {
    text.as_deref().filter(|text| !text.is_empty())
}

fn in_process_router(pool: PgPool, gateways: GatewayAccess) -> anyhow::Result<Router> {
    // No admin call publishes a doorbell. The embedded broker needs no server, and is not connected.
    let broker = BrokerSettings {
        amqp_urls: None,
        namespace: "regua".to_owned(),
        queue_type: QueueType::Classic,
        prefetch: 1,
        connection_name: "regua".to_owned(),
    };
    let broker = regua_broker::connect(&broker, pool.clone());
    let GatewayAccess { secrets, networks } = gateways;
    let settings = ApiSettings { gateway_networks: networks, ..ApiSettings::default() };
    regua_api::in_process_router(&Api {
        pool,
        replica: None,
        broker,
        secrets,
        clock: Clock::system(),
        metrics: ApiMetrics::new(&Registry::default())?,
        settings,
    })
}

async fn find_tenant(pool: &PgPool, slug: &str) -> Result<Option<TenantId>, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let found = tenants::find_by_slug(&mut transaction, slug).await?;
    transaction.commit().await?;
    Ok(found)
}

pub(crate) struct AdminClient {
    transport: Transport,
    /// Id of the tenant that calls are about; none: the caller's own.
    tenant: Option<String>,
}

enum Transport {
    Http { http: reqwest::Client, base: String, token: String },
    InProcess { router: Router, pool: PgPool, caller: CommandLine },
}

impl AdminClient {
    async fn for_tenant(mut self, slug: &str) -> anyhow::Result<Self> {
        let missing = || {
            format!(
                "there is no tenant {slug:?}: check --tenant, or create it with `regua tenant create {slug} --name …`"
            )
        };
        self.tenant = match &self.transport {
            Transport::InProcess { pool, .. } => {
                Some(find_tenant(pool, slug).await?.with_context(missing)?.to_string())
            }
            Transport::Http { .. } => {
                let me = self.call_at(Method::GET, "/api/v1/auth/me", None).await?;
                if me["tenant"] == slug {
                    return Ok(self);
                }
                ensure!(
                    me["role"] == "platform",
                    "this access token belongs to a user of {}: only a platform user acts for another tenant",
                    me["tenant"]
                );
                ensure!(slug.parse::<Slug>().is_ok(), "{}", missing());
                let found = self.get(&format!("/tenants?slug={slug}")).await?;
                Some(found["items"][0]["tenant_id"].as_str().with_context(missing)?.to_owned())
            }
        };
        Ok(self)
    }

    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.call(Method::GET, path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.call(Method::POST, path, Some(body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.call(Method::PUT, path, Some(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> anyhow::Result<Value> {
        self.call(Method::DELETE, path, None).await
    }

    /// The items of a listing without pages.
    pub(crate) async fn items(&self, path: &str) -> anyhow::Result<Vec<Value>> {
        let mut answer = self.get(path).await?;
        let Value::Array(items) = answer["items"].take() else { bail!("the answer has no items") };
        Ok(items)
    }

    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        self.call_at(method, &format!("{BASE}{path}"), body).await
    }

    /// The answer; null if it is empty. An error answer is a [`Problem`].
    async fn call_at(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        let (status, bytes) = match &self.transport {
            Transport::Http { http, base, token } => {
                let mut request = http.request(method, format!("{base}{path}")).bearer_auth(token);
                if let Some(tenant) = &self.tenant {
                    request = request.header("X-Tenant-ID", tenant);
                }
                if let Some(body) = body {
                    request = request.json(body);
                }
                let answer =
                    request.header(header::ACCEPT_LANGUAGE, "en").send().await.map_err(reqwest::Error::without_url);
                let answer = answer
                    .with_context(|| format!("the API at {base} cannot be reached: check --api-url (REGUA_URL)"))?;
                (answer.status(), answer.bytes().await?.to_vec())
            }
            Transport::InProcess { router, caller, .. } => {
                let mut request = Request::builder().method(method).uri(path).extension(caller.clone());
                request = request.header(header::ACCEPT_LANGUAGE, "en");
                if let Some(tenant) = &self.tenant {
                    request = request.header("X-Tenant-ID", tenant);
                }
                let bytes = body.map(serde_json::to_vec).transpose()?;
                if bytes.is_some() {
                    request = request.header(header::CONTENT_TYPE, "application/json");
                }
                let request = request.body(bytes.map_or_else(Body::empty, Body::from))?;
                let answer = Box::pin(router.clone().oneshot(request)).await?;
                if let Some(Cause(cause)) = answer.extensions().get::<Cause>() {
                    bail!("the command failed: {cause}");
                }
                let (parts, body) = answer.into_parts();
                (parts.status, to_bytes(body, MAX_ANSWER_BYTES).await?.to_vec())
            }
        };
        read(status, &bytes)
    }
}

fn read(status: StatusCode, bytes: &[u8]) -> anyhow::Result<Value> {
    if !status.is_success() {
        return Err(Problem::parse(status, bytes).into());
    }
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(bytes).context("the answer is no JSON: is --api-url the API's address?")
}
