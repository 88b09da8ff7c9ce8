//! The gateway of an instance: its address, and the secret of its webhooks.

use chrono::{DateTime, Utc};
use regua_domain::{InstanceId, InstanceName, Sealed, TenantId};
use sqlx::{Error, PgConnection};

/// Sets the address and the token of an instance. An instance that is down is checked again at once. `is_replaced`: one
/// of the two is new, so the instance is no longer verified.
pub async fn set_address(
    conn: &mut PgConnection,
    tenant: TenantId,
    instance: InstanceId,
    base_url: &str,
    token: &Sealed,
    is_replaced: bool,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "update instances
         set base_url = $3, token = $4, next_check_at = case when next_check_at is not null then $5::timestamptz end,
             verified_at = case when $6 then null else verified_at end
         where tenant_id = $1 and instance_id = $2",
        tenant as TenantId,
        instance as InstanceId,
        base_url,
        token.as_str(),
        now,
        is_replaced
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The servers at which other tenants have a verified instance of this name, as their rows write them. The answer holds until
/// the transaction ends: a transaction that asks about the same name waits. For this one statement a transaction of the
/// API sees the rows of these instances.
pub async fn servers_of_other_tenants(
    conn: &mut PgConnection,
    tenant: TenantId,
    name: &InstanceName,
) -> Result<Vec<String>, Error> {
    let name = name.as_str();
    sqlx::query!("select pg_advisory_xact_lock(hashtextextended('instance ' || $1, 0))", name)
        .execute(&mut *conn)
        .await?;
    sqlx::query!("select set_config('regua.instance_name', $1, true)", name).fetch_one(&mut *conn).await?;
    let servers = sqlx::query_scalar!(
        "select base_url from instances where name = $2 and tenant_id <> $1 and verified_at is not null",
        tenant as TenantId,
        name
    )
    .fetch_all(&mut *conn)
    .await?;
    sqlx::query!("select set_config('regua.instance_name', '', true)").fetch_one(conn).await?;
    Ok(servers)
}

/// Sets the SHA-256 of the secret that an instance's webhooks must carry.
pub async fn set_webhook_secret(
    conn: &mut PgConnection,
    tenant: TenantId,
    instance: InstanceId,
    secret_hash: &[u8; 32],
) -> Result<(), Error> {
    sqlx::query!(
        "update instances set webhook_secret_hash = $3 where tenant_id = $1 and instance_id = $2",
        tenant as TenantId,
        instance as InstanceId,
        secret_hash
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What a webhook is checked against.
pub struct WebhookSecret {
    /// SHA-256.
    pub hash: Vec<u8>,
    /// Whether the platform suspended the tenant, so that no webhook is accepted.
    pub is_suspended: bool,
}

/// The hash of that secret; none when there is no such instance, or when it accepts no webhooks.
pub async fn webhook_secret(
    conn: &mut PgConnection,
    tenant: TenantId,
    instance: InstanceId,
) -> Result<Option<WebhookSecret>, Error> {
    sqlx::query_as!(
        WebhookSecret,
        r#"select i.webhook_secret_hash as "hash!", t.status = 'suspended' as "is_suspended!"
           from instances i join tenants t using (tenant_id)
           where i.tenant_id = $1 and i.instance_id = $2 and i.webhook_secret_hash is not null"#,
        tenant as TenantId,
        instance as InstanceId
    )
    .fetch_optional(conn)
    .await
}
