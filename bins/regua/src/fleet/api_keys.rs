//! API keys of the example tenant, stored in the database directly.

use chrono::{DateTime, Utc};
use ipnetwork::IpNetwork;
use regua_api::keys::{self, RANDOM_BYTES};
use regua_boot::Clock;
use regua_domain::{ApiKeyId, MessageType, Scope, TenantId};
use regua_store::api_keys::{self, NewApiKey};
use sha2::{Digest, Sha256};
use sqlx::PgConnection;

/// The key of `regua dev`, published in the README. Its lookup prefix has letters that no generated key has, so that no
/// other key has the same prefix.
pub(crate) const DEVELOPMENT_KEY: &str = "regua_devlocal_UmVndWEtZGV2ZWxvcG1lbnQta2V5LW5vdC1hLXNlY3I";
const DEVELOPMENT_PREFIX: &str = "devlocal";

pub(crate) struct Grant<'a> {
    pub(crate) tenant: TenantId,
    pub(crate) name: &'a str,
    pub(crate) types: &'a [MessageType],
    /// Networks from which the key may be used; empty: any.
    pub(crate) networks: &'a [IpNetwork],
    pub(crate) expires_at: Option<DateTime<Utc>>,
    /// Rate limit; none: the tenant's.
    pub(crate) requests_per_minute: Option<i32>,
}

/// Generates a key, stores its hash and returns the key.
pub(crate) async fn create(conn: &mut PgConnection, grant: &Grant<'_>) -> anyhow::Result<String> {
    let mut random = [0; RANDOM_BYTES];
    let source = rustls::crypto::ring::default_provider().secure_random;
    source.fill(&mut random).map_err(|_| anyhow::anyhow!("the system has no random numbers"))?;
    let key = keys::generate(&random);
    store(conn, grant, &key.lookup_prefix, &key.secret_hash).await?;
    Ok(key.text)
}

/// Stores the development key for the tenant, unless it is stored already.
pub(crate) async fn ensure_development_key(conn: &mut PgConnection, tenant: TenantId) -> anyhow::Result<()> {
    match api_keys::find_by_prefix(conn, DEVELOPMENT_PREFIX).await? {
        Some(key) if key.tenant_id == tenant => Ok(()),
        Some(_) => anyhow::bail!("the development key belongs to another tenant in this database: use a fresh one"),
        None => {
            let grant = Grant {
                tenant,
                name: "dev",
                types: &MessageType::ALL,
                networks: &[],
                expires_at: None,
                requests_per_minute: None,
            };
            store(conn, &grant, DEVELOPMENT_PREFIX, &development_hash()).await
        }
    }
}

async fn store(conn: &mut PgConnection, grant: &Grant<'_>, prefix: &str, hash: &[u8]) -> anyhow::Result<()> {
    let now = Clock::system().now();
    let key = NewApiKey {
        tenant_id: grant.tenant,
        api_key_id: ApiKeyId::new(now),
        name: grant.name,
        lookup_prefix: prefix,
        secret_hash: hash,
        scopes: &Scope::DEFAULT,
        allowed_types: grant.types,
        allowed_networks: grant.networks,
        expires_at: grant.expires_at,
        requests_per_minute: grant.requests_per_minute,
    };
    Ok(api_keys::create(conn, &key, now).await?)
}

fn development_hash() -> [u8; 32] {
    let secret = DEVELOPMENT_KEY.rsplit('_').next().unwrap_or_default();
    Sha256::digest(secret.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use regua_api::keys::ParsedKey;

    use super::*;

    #[test]
    fn development_key_is_parsed_and_matches_its_hash() {
        let key = ParsedKey::parse(DEVELOPMENT_KEY).unwrap();
        assert_eq!(key.lookup_prefix, DEVELOPMENT_PREFIX);
        assert!(key.has_hash(Some(&development_hash())));
    }

    #[test]
    fn readme_contains_the_development_key() {
        assert!(include_str!("../../../../README.md").contains(DEVELOPMENT_KEY));
    }
}
