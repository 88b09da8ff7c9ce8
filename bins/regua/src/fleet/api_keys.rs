//! API keys of the example tenant, stored in the database directly.

use chrono::TimeDelta;
use regua_api::keys::{self, RANDOM_BYTES};
use regua_boot::Clock;
use regua_domain::{ApiKeyId, MessageType, TenantId};
use regua_store::api_keys::{self, ListedKey};
use sha2::{Digest, Sha256};
use sqlx::PgConnection;

/// The key of `regua dev`, published in the README. Its lookup prefix has letters that no generated key has, so that no
/// other key has the same prefix.
pub(crate) const DEVELOPMENT_KEY: &str = "regua_devlocal_UmVndWEtZGV2ZWxvcG1lbnQta2V5LW5vdC1hLXNlY3I";
const DEVELOPMENT_PREFIX: &str = "devlocal";

/// Generates a key for overdue messages, which is valid for a day, stores its hash and returns the key.
pub(crate) async fn create_demo_key(conn: &mut PgConnection, tenant: TenantId) -> anyhow::Result<String> {
    let mut random = [0; RANDOM_BYTES];
    let source = rustls::crypto::ring::default_provider().secure_random;
    source.fill(&mut random).map_err(|_| anyhow::anyhow!("the system has no random numbers"))?;
    let key = keys::generate(&random);
    let now = Clock::system().now();
    let new = ListedKey {
        allowed_types: vec![MessageType::Overdue],
        expires_at: Some(now + TimeDelta::days(1)),
        ..ListedKey::new(ApiKeyId::new(now), "demo", &key.lookup_prefix, now)
    };
    api_keys::create(conn, tenant, &new, &key.secret_hash).await?;
    Ok(key.text)
}

/// Stores the development key for the tenant, unless it is stored already.
pub(crate) async fn ensure_development_key(conn: &mut PgConnection, tenant: TenantId) -> anyhow::Result<()> {
    match api_keys::find_by_prefix(conn, DEVELOPMENT_PREFIX).await? {
        Some(key) if key.tenant_id == tenant => Ok(()),
        Some(_) => anyhow::bail!("the development key belongs to another tenant in this database: use a fresh one"),
        None => {
            let now = Clock::system().now();
            let new = ListedKey::new(ApiKeyId::new(now), "dev", DEVELOPMENT_PREFIX, now);
            Ok(api_keys::create(conn, tenant, &new, &development_hash()).await?)
        }
    }
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
