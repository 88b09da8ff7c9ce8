//! Table `login_failures`: wrong passwords, by account and by the network that they came from.

use chrono::{DateTime, Utc};
use ipnetwork::IpNetwork;
use regua_domain::TenantId;
use sqlx::{Error, PgConnection};

/// How often an account was tried in vain since `since`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Failures {
    /// From this network.
    pub here: i64,
    /// From everywhere.
    pub everywhere: i64,
    /// When the first of those from here was.
    pub first_here: Option<DateTime<Utc>>,
}

async fn count(
    conn: &mut PgConnection,
    tenant: TenantId,
    email: &str,
    network: IpNetwork,
    since: DateTime<Utc>,
) -> Result<Failures, Error> {
    let row = sqlx::query!(
        r#"select coalesce(sum(failures) filter (where network = $3), 0)::bigint as "here!",
                  coalesce(sum(failures), 0)::bigint as "everywhere!", min(since) filter (where network = $3) as first_here
           from login_failures where tenant_id = $1 and email = $2 and since > $4"#,
        tenant.0,
        email,
        network,
        since
    )
    .fetch_one(conn)
    .await?;
    Ok(Failures { here: row.here, everywhere: row.everywhere, first_here: row.first_here })
}

/// Notes one more, and answers all since `since`; of what was before nothing is kept.
///
/// It is noted before the password is looked at, so that many guesses at once are counted as many.
///
/// # Errors
/// The database's.
pub async fn note(
    conn: &mut PgConnection,
    tenant: TenantId,
    email: &str,
    network: IpNetwork,
    since: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Failures, Error> {
    sqlx::query!(
        "insert into login_failures (tenant_id, email, network, failures, since) values ($1, $2, $3, 1, $5)
         on conflict (tenant_id, email, network) do update
         set failures = case when login_failures.since > $4 then login_failures.failures + 1 else 1 end,
             since = case when login_failures.since > $4 then login_failures.since else $5 end",
        tenant.0,
        email,
        network,
        since,
        now
    )
    .execute(&mut *conn)
    .await?;
    count(conn, tenant, email, network, since).await
}

/// Forgets those of one network, because somebody from there knew the password.
///
/// # Errors
/// The database's.
pub async fn forget(conn: &mut PgConnection, tenant: TenantId, email: &str, network: IpNetwork) -> Result<(), Error> {
    sqlx::query!(
        "delete from login_failures where tenant_id = $1 and email = $2 and network = $3",
        tenant.0,
        email,
        network
    )
    .execute(conn)
    .await?;
    Ok(())
}
