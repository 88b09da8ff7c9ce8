//! Arguments that say how the API is called.

use std::ops::Deref;

use anyhow::{Context, bail, ensure};
use axum::Router;
use clap::Args;
use regua_api::{Api, ApiMetrics, ApiSettings, CommandLine};
use regua_boot::{Clock, DatabaseArguments, Registry};
use regua_broker::{BrokerSettings, QueueType};
use regua_domain::{Slug, TenantId, UserRole};
use regua_evolution::AllowedNetworks;
use regua_secrets::{SecretArguments, SecretKeys};
use regua_store::tenants::{self, Tenant};
use serde::Deserialize;
use sqlx::PgPool;

use super::Client;
use crate::database;
use crate::output::OutputFormat;
use crate::secret::Secret;

/// An API key with the address of the API.
#[derive(Args, Clone, Debug)]
pub(crate) struct ApiArguments {
    /// The API key
    #[arg(long, env = "REGUA_API_KEY", hide_env_values = true)]
    key: Secret,
    /// Address of the API
    #[arg(long, env = "REGUA_URL", default_value = "http://127.0.0.1:8080")]
    url: String,
}

impl ApiArguments {
    pub(crate) fn client(&self) -> anyhow::Result<Client> {
        Client::with_api_key(&self.url, &self.key)
    }
}

/// A database URL, or the address of the API with an access token.
#[derive(Args, Debug)]
pub(crate) struct AdminArguments {
    /// PostgreSQL, as postgres://user:password@host:port/database; not needed with --api-url and --access-token
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, required_unless_present_all = ["api_url", "access_token"])]
    database_url: Option<Secret>,
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
    access_token: Option<Secret>,
}

impl AdminArguments {
    /// A client that acts for the caller's own tenant, for commands that neither seal nor open a secret.
    pub(crate) async fn client(&self) -> anyhow::Result<Client> {
        self.open(None, None, AllowedNetworks::default()).await
    }

    /// A client that acts for the tenant with this slug; `secrets` and `networks` are those of an API inside this
    /// process. Without `secrets` its keys are those of development.
    async fn open(
        &self,
        slug: Option<&str>,
        secrets: Option<&SecretArguments>,
        networks: AllowedNetworks,
    ) -> anyhow::Result<Client> {
        if let (Some(url), Some(token)) = (non_empty(&self.api_url), non_empty(&self.access_token)) {
            let client = Client::with_access_token(url, token)?;
            let Some(slug) = slug else { return Ok(client) };
            let tenant = tenant_of_user(&client, slug).await?;
            return client.for_tenant(tenant);
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
        let tenant = find_tenant(&pool, slug.unwrap_or_default()).await?;
        let secrets = secrets.map_or_else(|| Ok(SecretKeys::development()), SecretArguments::keys)?;
        let router = in_process_router(pool, secrets, networks)?;
        let name = ["USER", "LOGNAME", "USERNAME"].iter().find_map(|name| std::env::var(name).ok());
        let caller = CommandLine { name: name.unwrap_or_else(|| "unknown".to_owned()) };
        if let (None, Some(slug)) = (tenant, slug) {
            bail!(no_tenant(slug));
        }
        Client::in_process(router, caller).for_tenant(tenant)
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
    /// For commands that neither seal nor open a secret.
    pub(crate) async fn client(&self) -> anyhow::Result<Client> {
        self.client_with(None, AllowedNetworks::default()).await
    }

    /// With the secret keys and the networks of gateways for an API inside this process.
    pub(crate) async fn client_with(
        &self,
        secrets: Option<&SecretArguments>,
        networks: AllowedNetworks,
    ) -> anyhow::Result<Client> {
        self.admin.open(Some(&self.tenant), secrets, networks).await
    }
}

/// An empty variable counts as absent.
fn non_empty(text: &Option<impl Deref<Target = str>>) -> Option<&str> {
    text.as_deref().filter(|text| !text.is_empty())
}

fn in_process_router(pool: PgPool, secrets: SecretKeys, networks: AllowedNetworks) -> anyhow::Result<Router> {
    // No admin call publishes a doorbell. The embedded broker needs no server, and is not connected.
    let broker = BrokerSettings {
        amqp_urls: None,
        namespace: "regua".to_owned(),
        queue_type: QueueType::Classic,
        prefetch: 1,
        connection_name: "regua".to_owned(),
    };
    let broker = regua_broker::connect(&broker, pool.clone());
    let settings = ApiSettings { gateway_networks: networks, ..ApiSettings::default() };
    let (clock, metrics) = (Clock::system(), ApiMetrics::new(&Registry::default())?);
    regua_api::in_process_router(&Api { pool, replica: None, broker, secrets, clock, metrics, settings })
}

async fn find_tenant(pool: &PgPool, slug: &str) -> Result<Option<TenantId>, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let found = tenants::find_by_slug(&mut transaction, slug).await?;
    transaction.commit().await?;
    Ok(found)
}

/// The tenant for which a user acts; none: the user's own.
async fn tenant_of_user(client: &Client, slug: &str) -> anyhow::Result<Option<TenantId>> {
    #[derive(Deserialize)]
    struct Me {
        tenant: String,
        role: UserRole,
    }
    let me: Me = client.get("/auth/me").await?;
    if me.tenant == slug {
        return Ok(None);
    }
    ensure!(
        me.role == UserRole::Platform,
        "this access token belongs to a user of {:?}: only a platform user acts for another tenant",
        me.tenant
    );
    ensure!(slug.parse::<Slug>().is_ok(), no_tenant(slug));
    let found: Option<Tenant> = client.find(&format!("/admin/tenants?slug={slug}"), |_| true).await?;
    found.map(|tenant| Some(tenant.tenant_id)).with_context(|| no_tenant(slug))
}

fn no_tenant(slug: &str) -> String {
    format!("there is no tenant {slug:?}: check --tenant, or create it with `regua tenant create {slug} --name …`")
}
