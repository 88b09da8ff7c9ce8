//! Table `login_failures`: failed logins, by e-mail address and by the client's network. The address is the one that
//! the client sent; there may be no such user.

use chrono::{DateTime, Utc};
use ipnetwork::IpNetwork;
use regua_domain::TenantId;
use sqlx::{Error, PgConnection};

/// The failed logins with one e-mail address since a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Failures {
    /// From this network.
    pub here: i64,
    /// From all networks.
    pub everywhere: i64,
    /// The time of the first one from this network.
    pub first_here: Option<DateTime<Utc>>,
}

async fn count(
    conn: &mut PgConnection,
    tenant: TenantId,
    email: &str,
    network: IpNetwork,
    since: DateTime<Utc>,
) -> Result<Failures, Error> {
    sqlx::query_as!(
        Failures,
        r#"select coalesce(sum(failures) filter (where network = $3), 0)::bigint as "here!",
                  coalesce(sum(failures), 0)::bigint as "everywhere!", min(since) filter (where network = $3) as first_here
           from login_failures where tenant_id = $1 and email = $2 and since > $4"#,
        tenant as TenantId,
        email,
        network,
        since
    )
    .fetch_one(conn)
    .await
}

/// Records a failed login and returns all failed ones after `since`; older ones are forgotten.
///
/// It is recorded before the password is checked, so that guesses at the same time are all counted.
pub async fn record(
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
        tenant as TenantId,
        email,
        network,
        since,
        now
    )
    .execute(&mut *conn)
    .await?;
    count(conn, tenant, email, network, since).await
}

/// Deletes the failed logins of one network, after a successful one.
pub async fn clear(conn: &mut PgConnection, tenant: TenantId, email: &str, network: IpNetwork) -> Result<(), Error> {
    sqlx::query!(
        "delete from login_failures where tenant_id = $1 and email = $2 and network = $3",
        tenant as TenantId,
        email,
        network
    )
    .execute(conn)
    .await?;
    Ok(())
}
