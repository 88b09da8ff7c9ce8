//! How API keys are made and stored, for `regua key`, `regua dev` and `regua demo`.

use chrono::{DateTime, Utc};
use ipnetwork::IpNetwork;
use regua_api::keys::{self, RANDOM_BYTES};
use regua_boot::Clock;
use regua_domain::{ApiKeyId, MessageType, TenantId};
use regua_store::api_keys::{self, NewApiKey};
use sha2::{Digest, Sha256};
use sqlx::PgConnection;

/// The key of `regua dev`, known to everybody and printed in the README. Its lookup prefix holds letters that generated
/// keys never have, so no other key can stand in its way.
pub(crate) const DEVELOPMENT_KEY: &str = "regua_devlocal_UmVndWEtZGV2ZWxvcG1lbnQta2V5LW5vdC1hLXNlY3I";
const DEVELOPMENT_PREFIX: &str = "devlocal";

/// What a key may do.
pub(crate) struct Grant<'a> {
    /// Whose key it is.
    pub(crate) tenant: TenantId,
    /// For people.
    pub(crate) name: &'a str,
    /// Message types it may send.
    pub(crate) types: &'a [MessageType],
    /// Networks it may be used from; empty: any.
    pub(crate) networks: &'a [IpNetwork],
    /// Not valid from then on.
    pub(crate) expires_at: Option<DateTime<Utc>>,
    /// Requests that it may make; none: as many as its tenant has set.
    pub(crate) requests_per_minute: Option<i32>,
}

/// Makes a key and stores its hash; the text is nowhere but in the answer.
pub(crate) async fn create(conn: &mut PgConnection, grant: &Grant<'_>) -> anyhow::Result<String> {
    let mut random = [0; RANDOM_BYTES];
    let source = rustls::crypto::ring::default_provider().secure_random;
    source.fill(&mut random).map_err(|_| anyhow::anyhow!("the system has no random numbers"))?;
    let key = keys::generate(&random);
    store(conn, grant, &key.lookup_prefix, &key.secret_hash).await?;
    Ok(key.text)
}

/// Makes sure that the development key is this tenant's.
pub(crate) async fn ensure_development_key(conn: &mut PgConnection, tenant: TenantId) -> anyhow::Result<()> {
    match api_keys::by_prefix(conn, DEVELOPMENT_PREFIX).await? {
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
    let types: Vec<_> = grant.types.iter().map(ToString::to_string).collect();
    let key = NewApiKey {
        tenant_id: grant.tenant,
        api_key_id: ApiKeyId::new(now),
        name: grant.name,
        lookup_prefix: prefix,
        secret_hash: hash,
        allowed_types: &types,
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
    fn the_development_key_has_the_form_and_the_hash_of_a_key() {
        let key = ParsedKey::parse(DEVELOPMENT_KEY).unwrap();
        assert_eq!(key.lookup_prefix, DEVELOPMENT_PREFIX);
        assert!(key.has_hash(Some(&development_hash())));
    }

    #[test]
    fn the_development_key_stands_in_the_readme() {
        assert!(include_str!("../../../README.md").contains(DEVELOPMENT_KEY));
    }
}
