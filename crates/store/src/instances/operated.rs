//! Numbers as operators move them and look at them.

use chrono::{DateTime, Utc};
use regua_domain::{InstanceId, Sealed, TenantId};
use sqlx::{Error, PgConnection};

/// Moves a number to another gateway. One that was down is to be looked at again at once.
///
/// # Errors
/// The database's.
pub async fn set_address(
    conn: &mut PgConnection,
    tenant: TenantId,
    instance: InstanceId,
    base_url: &str,
    token: &Sealed,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "update instances
         set base_url = $3, token = $4, next_check_at = case when next_check_at is not null then $5::timestamptz end
         where tenant_id = $1 and instance_id = $2",
        tenant.0,
        instance.0,
        base_url,
        token.as_str(),
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Whether another tenant has the number of this name at this server. The answer holds until the transaction ends: whoever
/// else asks about the same number waits. Servers are compared as `InstanceAddress::server` writes them, older rows as far
/// as that goes in SQL. For this one statement a transaction of the API sees whoever has that number, and no other row of
/// another tenant's.
///
/// # Errors
/// The database's.
pub async fn is_taken_by_another(
    conn: &mut PgConnection,
    tenant: TenantId,
    server: &str,
    name: &str,
) -> Result<bool, Error> {
    sqlx::query!("select pg_advisory_xact_lock(hashtextextended($1 || ' ' || $2, 0))", server, name)
        .execute(&mut *conn)
        .await?;
    let number = format!("{} {name}", server.to_lowercase());
    sqlx::query!("select set_config('regua.number', $1, true)", number).fetch_one(&mut *conn).await?;
    let row = sqlx::query!(
        r#"select exists (
               select from instances
               where name = $3 and lower(rtrim(base_url, '/')) = lower($2) and tenant_id <> $1
           ) as "is_taken!""#,
        tenant.0,
        server,
        name
    )
    .fetch_one(&mut *conn)
    .await?;
    sqlx::query!("select set_config('regua.number', '', true)").fetch_one(conn).await?;
    Ok(row.is_taken)
}

/// A number that cannot send, as people see it.
#[derive(Clone, Debug)]
pub struct Down {
    /// Whose it is.
    pub tenant: String,
    /// Its name.
    pub name: String,
    /// As last seen.
    pub state: String,
    /// Why.
    pub reason: Option<String>,
}

/// All tenants' numbers that were found down when last looked at.
///
/// # Errors
/// The database's.
pub async fn down(conn: &mut PgConnection) -> Result<Vec<Down>, Error> {
    sqlx::query_as!(
        Down,
        "select t.slug as tenant, i.name, i.state, i.state_reason as reason
         from instances i join tenants t using (tenant_id)
         where i.state not in ('unknown', 'open')
         order by t.slug, i.name"
    )
    .fetch_all(conn)
    .await
}

/// Sets the secret that the gateway's webhooks about a number must carry, as its SHA-256.
///
/// # Errors
/// The database's.
pub async fn set_webhook_secret(
    conn: &mut PgConnection,
    tenant: TenantId,
    instance: InstanceId,
    secret_hash: &[u8; 32],
) -> Result<(), Error> {
    sqlx::query!(
        "update instances set webhook_secret_hash = $3 where tenant_id = $1 and instance_id = $2",
        tenant.0,
        instance.0,
        secret_hash
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The hash of the secret that webhooks about a number must carry; none where there is no such number, or where it takes
/// no webhooks.
///
/// # Errors
/// The database's.
pub async fn webhook_secret(
    conn: &mut PgConnection,
    tenant: TenantId,
    instance: InstanceId,
) -> Result<Option<Vec<u8>>, Error> {
    let row = sqlx::query!(
        "select webhook_secret_hash from instances where tenant_id = $1 and instance_id = $2",
        tenant.0,
        instance.0
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.and_then(|row| row.webhook_secret_hash))
}
