//! Table `api_keys`: credentials for the intake API. Only the hash of a secret is stored.

use chrono::{DateTime, Utc};
use ipnetwork::IpNetwork;
use regua_domain::{ApiKeyId, MessageType, Scope, TenantId};
use serde::{Deserialize, Serialize};
use sqlx::{Error, PgConnection};

/// A key as the API checks it.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are the table's columns")]
pub struct ApiKey {
    pub tenant_id: TenantId,
    pub api_key_id: ApiKeyId,
    /// SHA-256.
    pub secret_hash: Vec<u8>,
    pub scopes: Vec<Scope>,
    pub allowed_types: Vec<MessageType>,
    /// Networks from which the key is accepted; empty: all.
    pub allowed_networks: Vec<IpNetwork>,
    /// Neither the key is revoked nor its tenant suspended.
    pub active: bool,
    /// The key is refused from then on.
    pub expires_at: Option<DateTime<Utc>>,
    /// The key's own rate limit, or the tenant's; at most the tenant's ceiling.
    pub requests_per_minute: i32,
}

/// Stores a key with the SHA-256 of its secret. It violates a unique index when the lookup prefix exists.
pub async fn create(
    conn: &mut PgConnection,
    tenant: TenantId,
    key: &ListedKey,
    secret_hash: &[u8],
) -> Result<(), Error> {
    sqlx::query!(
        "insert into api_keys (tenant_id, api_key_id, name, lookup_prefix, secret_hash, allowed_types,
                               allowed_networks, expires_at, requests_per_minute, created_at, scopes, active)
         values ($1, $2, $3, $4, $5, $6, $7::inet[]::cidr[], $8, $9, $10, $11, $12)",
        tenant as TenantId,
        key.api_key_id as ApiKeyId,
        key.name,
        key.lookup_prefix,
        secret_hash,
        &key.allowed_types as &[MessageType],
        &key.allowed_networks,
        key.expires_at,
        key.requests_per_minute,
        key.created_at,
        &key.scopes as &[Scope],
        key.active
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The key with this lookup prefix. Index `api_keys_by_prefix`.
pub async fn find_by_prefix(conn: &mut PgConnection, lookup_prefix: &str) -> Result<Option<ApiKey>, Error> {
    sqlx::query_as!(
        ApiKey,
        r#"select k.tenant_id, k.api_key_id, k.secret_hash, k.scopes as "scopes: Vec<Scope>",
                  k.allowed_types as "allowed_types: Vec<MessageType>",
                  k.allowed_networks::inet[] as "allowed_networks!: Vec<IpNetwork>",
                  k.active and t.status = 'active' as "active!", k.expires_at,
                  least(coalesce(k.requests_per_minute, c.requests_per_minute), t.max_requests_per_minute)
                      as "requests_per_minute!"
           from api_keys k join tenants t using (tenant_id) join tenant_configs c using (tenant_id)
           where k.lookup_prefix = $1"#,
        lookup_prefix
    )
    .fetch_optional(conn)
    .await
}

/// Sets `last_used_at` to now, at most once a minute, so that a busy key does not update its row at each request.
pub async fn record_use(
    conn: &mut PgConnection,
    tenant: TenantId,
    key: ApiKeyId,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "update api_keys set last_used_at = $3::timestamptz
         where tenant_id = $1 and api_key_id = $2
           and (last_used_at is null or last_used_at < $3::timestamptz - interval '1 minute')",
        tenant as TenantId,
        key as ApiKeyId,
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

// A key for the users of its tenant.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Key))]
#[expect(missing_docs, reason = "the fields are the table's columns")]
pub struct ListedKey {
    #[serde(rename = "key_id")]
    #[cfg_attr(feature = "openapi", schema(value_type = uuid::Uuid))]
    pub api_key_id: ApiKeyId,
    pub name: String,
    /// The beginning of the key's text after `regua_`; not secret.
    #[serde(rename = "prefix")]
    pub lookup_prefix: String,
    /// What the key may do: `send`, `control`, `read`.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub scopes: Vec<Scope>,
    /// Message types that the key may send.
    #[serde(rename = "types")]
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub allowed_types: Vec<MessageType>,
    /// Networks from which the key is accepted; empty: all.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub allowed_networks: Vec<IpNetwork>,
    /// Null: the tenant's rate limit.
    pub requests_per_minute: Option<i32>,
    pub active: bool,
    pub expires_at: Option<DateTime<Utc>>,
    /// Accurate to a minute.
    pub last_used_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
}

impl ListedKey {
    /// A new key with the default scopes and without limits.
    pub fn new(api_key_id: ApiKeyId, name: &str, lookup_prefix: &str, created_at: DateTime<Utc>) -> Self {
        Self {
            api_key_id,
            name: name.to_owned(),
            lookup_prefix: lookup_prefix.to_owned(),
            scopes: Scope::DEFAULT.to_vec(),
            allowed_types: MessageType::ALL.to_vec(),
            allowed_networks: Vec::new(),
            requests_per_minute: None,
            active: true,
            expires_at: None,
            last_used_at: None,
            created_at,
        }
    }
}

/// A tenant's keys, newest first, or one of them.
pub async fn list(conn: &mut PgConnection, tenant: TenantId, key: Option<ApiKeyId>) -> Result<Vec<ListedKey>, Error> {
    sqlx::query_as!(
        ListedKey,
        r#"select api_key_id, name, lookup_prefix, scopes as "scopes: Vec<Scope>",
                  allowed_types as "allowed_types: Vec<MessageType>",
                  allowed_networks::inet[] as "allowed_networks!: Vec<IpNetwork>", requests_per_minute, active, expires_at,
                  last_used_at, created_at
           from api_keys where tenant_id = $1 and ($2::uuid is null or api_key_id = $2) order by api_key_id desc"#,
        tenant as TenantId,
        key as Option<ApiKeyId>
    )
    .fetch_all(conn)
    .await
}

/// One key, locked until the transaction ends.
pub async fn lock(conn: &mut PgConnection, tenant: TenantId, key: ApiKeyId) -> Result<Option<ListedKey>, Error> {
    sqlx::query!(
        "select api_key_id from api_keys where tenant_id = $1 and api_key_id = $2 for no key update",
        tenant as TenantId,
        key as ApiKeyId
    )
    .fetch_optional(&mut *conn)
    .await?;
    Ok(list(conn, tenant, Some(key)).await?.pop())
}

/// Sets a key's name, permissions, expiry and `active`.
pub async fn update(conn: &mut PgConnection, tenant: TenantId, key: &ListedKey) -> Result<(), Error> {
    sqlx::query!(
        "update api_keys
         set name = $3, allowed_types = $4, allowed_networks = $5::inet[]::cidr[], requests_per_minute = $6, active = $7,
             expires_at = $8, scopes = $9
         where tenant_id = $1 and api_key_id = $2",
        tenant as TenantId,
        key.api_key_id as ApiKeyId,
        key.name,
        &key.allowed_types as &[MessageType],
        &key.allowed_networks,
        key.requests_per_minute,
        key.active,
        key.expires_at,
        &key.scopes as &[Scope]
    )
    .execute(conn)
    .await?;
    Ok(())
}
