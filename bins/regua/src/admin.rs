//! The admin API as the commands call it: over HTTP with somebody's access token, or in this process with the database at
//! hand. The same handlers answer both ways, and write the audit log.

use std::fmt;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode, header};
use clap::Args;
use regua_api::{Api, ApiSettings, Cause, CommandLine};
use regua_boot::{Clock, DatabaseArguments, Metrics, SecretKeys};
use regua_broker::{BrokerSettings, QueueType};
use regua_domain::TenantId;
use regua_evolution::AllowedNetworks;
use regua_store::tenants;
use serde_json::Value;
use sqlx::PgPool;
use tower::ServiceExt;

use crate::arguments::Form;
use crate::client::Problem;
use crate::database;

const BASE: &str = "/api/v1/admin";
const TIMEOUT: Duration = Duration::from_secs(60);
/// Longer than any answer.
const MOST_BYTES: usize = 64 << 20;

/// How the API is reached.
#[derive(Args)]
pub(crate) struct AdminArguments {
    /// PostgreSQL, as postgres://user:password@host:port/database; not needed with --api-url and --access-token
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, required_unless_present_all = ["api_url", "access_token"])]
    database_url: Option<String>,
    /// Most connections that this process opens
    #[arg(long, env = "DATABASE_MAX_CONNECTIONS", default_value_t = 16, value_parser = clap::value_parser!(u32).range(8..=1000))]
    database_max_connections: u32,
    /// What stands before PostgreSQL: session (nothing, or a pooler in session mode) or transaction (a pooler in
    /// transaction mode, set up as docs/scale.md says)
    #[arg(long, env = "DATABASE_POOL_MODE", default_value = "session", value_parser = ["session", "transaction"])]
    database_pool_mode: String,
    /// Where the API is, to go by it instead of the database; with --access-token
    #[arg(long, env = "REGUA_URL", value_name = "URL")]
    api_url: Option<String>,
    /// What POST /api/v1/auth/login has answered as access_token
    #[arg(long, env = "REGUA_ACCESS_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    access_token: Option<String>,
}

impl fmt::Debug for AdminArguments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminArguments").field("api_url", &self.api_url).finish_non_exhaustive()
    }
}

/// What the API needs inside of this process for calls that reach a gateway.
pub(crate) struct Gateways {
    /// What seals and opens tokens.
    pub(crate) secrets: SecretKeys,
    /// Where gateways may be besides public addresses.
    pub(crate) networks: AllowedNetworks,
}

impl AdminArguments {
    /// For commands that touch no token of a number: inside of this process nothing is sealed or opened for them.
    pub(crate) async fn open(&self) -> anyhow::Result<Admin> {
        self.open_with(|| Ok(Gateways { secrets: SecretKeys::development(), networks: AllowedNetworks::default() }))
            .await
    }

    /// For commands that do. What they need is asked for only where it is needed.
    pub(crate) async fn open_with(&self, gateways: impl FnOnce() -> anyhow::Result<Gateways>) -> anyhow::Result<Admin> {
        if let (Some(url), Some(token)) = (given(&self.api_url), given(&self.access_token)) {
            let http = reqwest::Client::builder().timeout(TIMEOUT).build()?;
            let base = url.trim_end_matches('/').to_owned();
            return Ok(Admin { way: Way::Http { http, base, token: token.to_owned() }, tenant: None });
        }
        let Some(url) = given(&self.database_url) else {
            bail!("set DATABASE_URL, or both REGUA_URL and REGUA_ACCESS_TOKEN")
        };
        let pool = database::open(&DatabaseArguments {
            database_url: url.to_owned(),
            database_max_connections: self.database_max_connections,
            database_pool_mode: self.database_pool_mode.clone(),
        })?;
        // So that a database that is away, or lacks its tables, is told for what it is.
        tenant(&pool, "").await?;
        let router = inside(pool.clone(), gateways()?)?;
        let name = ["USER", "LOGNAME", "USERNAME"].iter().find_map(|name| std::env::var(name).ok());
        let caller = CommandLine { name: name.unwrap_or_else(|| "unknown".to_owned()) };
        Ok(Admin { way: Way::Inside { router, pool, caller }, tenant: None })
    }
}

/// Which tenant a command is about, and for whom its answer is written.
#[derive(Args, Debug)]
pub(crate) struct Of {
    #[command(flatten)]
    admin: AdminArguments,
    /// The tenant's slug
    #[arg(long, value_name = "SLUG")]
    pub(crate) tenant: String,
    #[command(flatten)]
    pub(crate) form: Form,
}

impl Of {
    /// As [`AdminArguments::open`].
    pub(crate) async fn open(&self) -> anyhow::Result<Admin> {
        self.admin.open().await?.of(&self.tenant).await
    }

    /// As [`AdminArguments::open_with`].
    pub(crate) async fn open_with(&self, gateways: impl FnOnce() -> anyhow::Result<Gateways>) -> anyhow::Result<Admin> {
        self.admin.open_with(gateways).await?.of(&self.tenant).await
    }
}

/// An empty variable counts as absent.
fn given(text: &Option<String>) -> Option<&str> {
    text.as_deref().filter(|text| !text.is_empty())
}

fn inside(pool: PgPool, gateways: Gateways) -> anyhow::Result<Router> {
    // Nobody rings: the embedded broker is not even connected.
    let broker = BrokerSettings {
        amqp_urls: None,
        namespace: "regua".to_owned(),
        queue_type: QueueType::Classic,
        prefetch: 1,
        connection_name: "regua".to_owned(),
    };
    let broker = regua_broker::connect(&broker, pool.clone());
    let Gateways { secrets, networks } = gateways;
    let settings = ApiSettings { gateway_networks: networks, ..ApiSettings::default() };
    regua_api::inside(&Api {
        pool,
        replica: None,
        broker,
        secrets,
        clock: Clock::system(),
        metrics: Metrics::new()?,
        settings,
    })
}

async fn tenant(pool: &PgPool, slug: &str) -> Result<Option<TenantId>, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let found = tenants::by_slug(&mut transaction, slug).await?;
    transaction.commit().await?;
    Ok(found)
}

/// Calls the admin API, for one tenant where one was named.
pub(crate) struct Admin {
    way: Way,
    tenant: Option<String>,
}

enum Way {
    Http { http: reqwest::Client, base: String, token: String },
    Inside { router: Router, pool: PgPool, caller: CommandLine },
}

impl Admin {
    /// The same for the tenant of this slug.
    pub(crate) async fn of(mut self, slug: &str) -> anyhow::Result<Self> {
        let missing = || {
            format!(
                "there is no tenant {slug:?}: check --tenant, or create it with `regua tenant create {slug} --name …`"
            )
        };
        self.tenant = match &self.way {
            Way::Inside { pool, .. } => Some(tenant(pool, slug).await?.with_context(missing)?.to_string()),
            Way::Http { .. } => {
                let me = self.call_at(Method::GET, "/api/v1/auth/me", None).await?;
                if me["tenant"] == slug {
                    return Ok(self);
                }
                ensure!(
                    me["role"] == "platform",
                    "this access token is of a person of {}: only somebody of the platform acts for another tenant",
                    me["tenant"]
                );
                ensure!(regua_api::is_slug(slug), "{}", missing());
                let found = self.get(&format!("/tenants?slug={slug}")).await?;
                Some(found["items"][0]["tenant_id"].as_str().with_context(missing)?.to_owned())
            }
        };
        Ok(self)
    }

    /// Looks.
    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.call(Method::GET, path, None).await
    }

    /// Posts.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.call(Method::POST, path, Some(body)).await
    }

    /// Puts.
    pub(crate) async fn put(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.call(Method::PUT, path, Some(body)).await
    }

    /// Deletes.
    pub(crate) async fn delete(&self, path: &str) -> anyhow::Result<Value> {
        self.call(Method::DELETE, path, None).await
    }

    /// All of a listing that has no pages.
    pub(crate) async fn items(&self, path: &str) -> anyhow::Result<Vec<Value>> {
        let mut answer = self.get(path).await?;
        let Value::Array(items) = answer["items"].take() else { bail!("the answer has no items") };
        Ok(items)
    }

    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        self.call_at(method, &format!("{BASE}{path}"), body).await
    }

    /// The answer, null where it is empty; an error is the API's problem.
    async fn call_at(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        let (status, bytes) = match &self.way {
            Way::Http { http, base, token } => {
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
            Way::Inside { router, caller, .. } => {
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
                    bail!("it failed inside: {cause}");
                }
                let (parts, body) = answer.into_parts();
                (parts.status, to_bytes(body, MOST_BYTES).await?.to_vec())
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
