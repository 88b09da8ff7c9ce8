//! Which rows and columns a session may touch: its role (migrations/0001_roles.sql, docs/adr/0011), and the tenant that
//! a transaction of the API is for. The policies and grants are beside each table in `migrations/`.

use std::time::Duration;

use regua_domain::TenantId;
use sqlx::{AssertSqlSafe, Error, PgConnection, PgPool, Postgres, Transaction};

/// Longest time of one statement of a request, below the time of the request. `BOUND` sets it.
pub const STATEMENT_TIMEOUT: Duration = Duration::from_secs(15);
const BOUND: &str = "set local statement_timeout = '15s'";

/// The role of a pool's sessions, whatever the login is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The API between its requests: it publishes doorbells and sees no other row.
    Relay,
    /// Worker and periodic.
    Fleet,
    /// The command line.
    Platform,
    /// The login itself: migrations and tests.
    Login,
}

impl Role {
    /// The name in PostgreSQL; none: the login's own role.
    pub(crate) const fn name(self) -> Option<&'static str> {
        match self {
            Self::Relay => Some("regua_relay"),
            Self::Fleet => Some("regua_fleet"),
            Self::Platform => Some("regua_platform"),
            Self::Login => None,
        }
    }
}

/// Begins a transaction of the API that sees only one tenant's rows, whatever its statements select. It fails when the
/// login is not a member of the API's role.
pub async fn begin(pool: &PgPool, tenant: TenantId) -> Result<Transaction<'static, Postgres>, Error> {
    pool.begin_with(AssertSqlSafe(begin_for(tenant))).await
}

/// Commits a transaction of the API and begins the next one of the same tenant, in one round trip.
pub async fn begin_next(transaction: &mut PgConnection, tenant: TenantId) -> Result<(), Error> {
    // sqlx counts this as the same transaction, so that a drop rolls the second one back.
    let statement = format!("commit; {}", begin_for(tenant));
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(transaction).await?;
    Ok(())
}

/// One round trip. The id is a UUID's own text.
fn begin_for(tenant: TenantId) -> String {
    format!("begin; {BOUND}; set local role regua_api; set local regua.tenant_id = '{tenant}'")
}

/// Begins a transaction that stores a webhook event of a tenant. It can insert events and ring their doorbell, and reads
/// nothing.
pub async fn begin_webhook(pool: &PgPool, tenant: TenantId) -> Result<Transaction<'static, Postgres>, Error> {
    let statement = format!("begin; {BOUND}; set local role regua_webhooks; set local regua.tenant_id = '{tenant}'");
    pool.begin_with(AssertSqlSafe(statement)).await
}

/// Begins a transaction of the API for a caller whose tenant is unknown. It sees only the rows of the API key with the
/// prefix `lookup`.
pub async fn begin_lookup(pool: &PgPool, lookup: &str) -> Result<Transaction<'static, Postgres>, Error> {
    begin_search(pool, "regua.lookup", lookup).await
}

/// Begins a transaction of the API for a caller that names its tenant by the slug. It sees only that tenant's row.
pub async fn begin_slug(pool: &PgPool, slug: &str) -> Result<Transaction<'static, Postgres>, Error> {
    begin_search(pool, "regua.slug", slug).await
}

async fn begin_search(pool: &PgPool, setting: &str, value: &str) -> Result<Transaction<'static, Postgres>, Error> {
    let mut transaction = pool.begin_with(AssertSqlSafe(format!("begin; {BOUND}; set local role regua_api"))).await?;
    set(&mut transaction, setting, value).await?;
    Ok(transaction)
}

async fn set(conn: &mut PgConnection, setting: &str, value: &str) -> Result<(), Error> {
    sqlx::query!("select set_config($1, $2, true)", setting, value).fetch_one(conn).await?;
    Ok(())
}

/// Lets a transaction of the API see the rows of all tenants in `tenants`, and give the role `platform`. The caller has
/// checked that the principal has the capability `Platform`.
pub async fn allow_platform(conn: &mut PgConnection) -> Result<(), Error> {
    set(conn, "regua.platform", "on").await
}

/// Lets a transaction that began with a lookup or a slug see the rows of the tenant that was found.
pub async fn set_tenant(conn: &mut PgConnection, tenant: TenantId) -> Result<(), Error> {
    set(conn, "regua.tenant_id", &tenant.to_string()).await
}
