//! Which rows and columns a program may touch (migrations/0006, docs/adr/0011): the role that its sessions take, and the tenant
//! that a transaction of the API is for.

use regua_domain::TenantId;
use sqlx::{AssertSqlSafe, Error, PgConnection, PgPool, Postgres, Transaction};

/// What a pool's sessions are, whoever logged in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The API between its requests: doorbells are published, and nothing else can be seen.
    Relay,
    /// Worker and periodic.
    Fleet,
    /// Whoever runs the platform, at the command line.
    Platform,
    /// The login itself: migrations, and tests.
    Login,
}

impl Role {
    /// The role in PostgreSQL.
    pub(crate) const fn name(self) -> Option<&'static str> {
        match self {
            Self::Relay => Some("regua_relay"),
            Self::Fleet => Some("regua_fleet"),
            Self::Platform => Some("regua_platform"),
            Self::Login => None,
        }
    }
}

/// Begins a transaction of the API that sees one tenant's rows, and none else's whatever its statements ask for.
///
/// # Errors
/// The database's, also where the login may not take the role.
pub async fn begin(pool: &PgPool, tenant: TenantId) -> Result<Transaction<'static, Postgres>, Error> {
    // One round trip. The id is a UUID's own text.
    let statement = format!("begin; set local role regua_api; set local regua.tenant_id = '{tenant}'");
    pool.begin_with(AssertSqlSafe(statement)).await
}

/// Begins a transaction of the API for a caller of whom nobody knows yet whose it is. It sees nothing but what bears
/// `lookup`: the prefix of an API key.
///
/// # Errors
/// The database's.
pub async fn begin_lookup(pool: &PgPool, lookup: &str) -> Result<Transaction<'static, Postgres>, Error> {
    let mut transaction = pool.begin_with("begin; set local role regua_api").await?;
    sqlx::query!("select set_config('regua.lookup', $1, true)", lookup).fetch_one(&mut *transaction).await?;
    Ok(transaction)
}

/// Begins a transaction of the API for somebody who names a tenant by its slug. It sees nothing but that tenant's row.
///
/// # Errors
/// The database's.
pub async fn begin_slug(pool: &PgPool, slug: &str) -> Result<Transaction<'static, Postgres>, Error> {
    let mut transaction = pool.begin_with("begin; set local role regua_api").await?;
    sqlx::query!("select set_config('regua.slug', $1, true)", slug).fetch_one(&mut *transaction).await?;
    Ok(transaction)
}

/// Lets a transaction see which tenants there are, and make people of the platform, because somebody of the platform asked.
///
/// # Errors
/// The database's.
pub async fn for_the_platform(conn: &mut PgConnection) -> Result<(), Error> {
    sqlx::query!("select set_config('regua.platform', 'on', true)").fetch_one(conn).await?;
    Ok(())
}

/// Goes on in such a transaction for the tenant that was found.
///
/// # Errors
/// The database's.
pub async fn enter(conn: &mut PgConnection, tenant: TenantId) -> Result<(), Error> {
    sqlx::query!("select set_config('regua.tenant_id', $1, true)", tenant.to_string()).fetch_one(conn).await?;
    Ok(())
}
