//! Table `api_keys`: who may call the intake API. Only a hash of the secret is kept.

use chrono::{DateTime, Utc};
use ipnetwork::IpNetwork;
use regua_domain::{ApiKeyId, TenantId};
use sqlx::{Error, PgConnection};

/// A key as the API checks it.
#[derive(Clone, Debug)]
pub struct ApiKey {
    /// Whose key it is.
    pub tenant_id: TenantId,
    /// The key's own id.
    pub api_key_id: ApiKeyId,
    /// SHA-256 of the secret part.
    pub secret_hash: Vec<u8>,
    /// Message types it may send.
    pub allowed_types: Vec<String>,
    /// Networks it may be used from; empty: any.
    pub allowed_networks: Vec<IpNetwork>,
    /// Not switched off, and its tenant is not suspended.
    pub active: bool,
    /// Not valid from then on.
    pub expires_at: Option<DateTime<Utc>>,
    /// Requests that it may make: its own rate, else its tenant's.
    pub requests_per_minute: i32,
}

/// A key to be stored.
#[derive(Debug)]
pub struct NewApiKey<'a> {
    /// Whose key it is.
    pub tenant_id: TenantId,
    /// The key's own id.
    pub api_key_id: ApiKeyId,
    /// For people.
    pub name: &'a str,
    /// The part that finds the row; not secret.
    pub lookup_prefix: &'a str,
    /// SHA-256 of the secret part.
    pub secret_hash: &'a [u8],
    /// Message types it may send.
    pub allowed_types: &'a [String],
    /// Networks it may be used from; empty: any.
    pub allowed_networks: &'a [IpNetwork],
    /// Not valid from then on.
    pub expires_at: Option<DateTime<Utc>>,
    /// Requests that it may make; none: as many as its tenant has set for each of its keys.
    pub requests_per_minute: Option<i32>,
}

/// Stores a key.
///
/// # Errors
/// The database's, including a lookup prefix that exists.
pub async fn create(conn: &mut PgConnection, key: &NewApiKey<'_>, now: DateTime<Utc>) -> Result<(), Error> {
    sqlx::query!(
        "insert into api_keys (tenant_id, api_key_id, name, lookup_prefix, secret_hash, allowed_types,
                               allowed_networks, expires_at, requests_per_minute, created_at)
         values ($1, $2, $3, $4, $5, $6, $7::inet[]::cidr[], $8, $9, $10)",
        key.tenant_id.0,
        key.api_key_id.0,
        key.name,
        key.lookup_prefix,
        key.secret_hash,
        key.allowed_types,
        key.allowed_networks,
        key.expires_at,
        key.requests_per_minute,
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The key that a caller's lookup prefix names. Index `api_keys_by_prefix`.
///
/// # Errors
/// The database's.
pub async fn by_prefix(conn: &mut PgConnection, lookup_prefix: &str) -> Result<Option<ApiKey>, Error> {
    let row = sqlx::query!(
        r#"select k.tenant_id, k.api_key_id, k.secret_hash, k.allowed_types,
                  k.allowed_networks::inet[] as "allowed_networks!: Vec<IpNetwork>",
                  k.active and t.status = 'active' as "active!", k.expires_at,
                  coalesce(k.requests_per_minute, c.requests_per_minute) as "requests_per_minute!"
           from api_keys k join tenants t using (tenant_id) join tenant_configs c using (tenant_id)
           where k.lookup_prefix = $1"#,
        lookup_prefix
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| ApiKey {
        tenant_id: TenantId(row.tenant_id),
        api_key_id: ApiKeyId(row.api_key_id),
        secret_hash: row.secret_hash,
        allowed_types: row.allowed_types,
        allowed_networks: row.allowed_networks,
        active: row.active,
        expires_at: row.expires_at,
        requests_per_minute: row.requests_per_minute,
    }))
}

/// Notes that a key was used, at most once a minute, so that busy keys do not churn their row.
///
/// # Errors
/// The database's.
pub async fn used(conn: &mut PgConnection, tenant: TenantId, key: ApiKeyId, now: DateTime<Utc>) -> Result<(), Error> {
    sqlx::query!(
        "update api_keys set last_used_at = $3::timestamptz
         where tenant_id = $1 and api_key_id = $2
           and (last_used_at is null or last_used_at < $3::timestamptz - interval '1 minute')",
        tenant.0,
        key.0,
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A key as its tenant sees it.
#[derive(Clone, Debug)]
pub struct ListedKey {
    /// Its id.
    pub api_key_id: ApiKeyId,
    /// For people.
    pub name: String,
    /// The part that stands in the key itself; not secret.
    pub lookup_prefix: String,
    /// Message types it may send.
    pub allowed_types: Vec<String>,
    /// Networks it may be used from; empty: any.
    pub allowed_networks: Vec<IpNetwork>,
    /// Requests a minute; none: the tenant's.
    pub requests_per_minute: Option<i32>,
    /// Not switched off.
    pub active: bool,
    /// Not valid from then on.
    pub expires_at: Option<DateTime<Utc>>,
    /// Last request, to the minute.
    pub last_used_at: Option<DateTime<Utc>>,
    /// Since when.
    pub created_at: DateTime<Utc>,
}

/// A tenant's keys, newest first; one of them where `key` names it.
///
/// # Errors
/// The database's.
pub async fn list(conn: &mut PgConnection, tenant: TenantId, key: Option<ApiKeyId>) -> Result<Vec<ListedKey>, Error> {
    sqlx::query_as!(
        ListedKey,
        r#"select api_key_id, name, lookup_prefix, allowed_types,
                  allowed_networks::inet[] as "allowed_networks!: Vec<IpNetwork>", requests_per_minute, active, expires_at,
                  last_used_at, created_at
           from api_keys where tenant_id = $1 and ($2::uuid is null or api_key_id = $2) order by api_key_id desc"#,
        tenant.0,
        key.map(|key| key.0)
    )
    .fetch_all(conn)
    .await
}

/// One key, which nobody else changes meanwhile.
///
/// # Errors
/// The database's.
pub async fn lock(conn: &mut PgConnection, tenant: TenantId, key: ApiKeyId) -> Result<Option<ListedKey>, Error> {
    sqlx::query!(
        "select api_key_id from api_keys where tenant_id = $1 and api_key_id = $2 for no key update",
        tenant.0,
        key.0
    )
    .fetch_optional(&mut *conn)
    .await?;
    Ok(list(conn, tenant, Some(key)).await?.pop())
}

/// Sets what may be changed of a key.
///
/// # Errors
/// The database's.
pub async fn update(conn: &mut PgConnection, tenant: TenantId, key: &ListedKey) -> Result<(), Error> {
    sqlx::query!(
        "update api_keys
         set name = $3, allowed_types = $4, allowed_networks = $5::inet[]::cidr[], requests_per_minute = $6, active = $7,
             expires_at = $8
         where tenant_id = $1 and api_key_id = $2",
        tenant.0,
        key.api_key_id.0,
        key.name,
        &key.allowed_types,
        &key.allowed_networks,
        key.requests_per_minute,
        key.active,
        key.expires_at
    )
    .execute(conn)
    .await?;
    Ok(())
}
