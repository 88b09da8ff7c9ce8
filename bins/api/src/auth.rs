//! Who calls: the API key in the header, and what it may do.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use chrono::{DateTime, Utc};
use ipnetwork::IpNetwork;
use regua_domain::{ApiKeyId, Language, MessageType, TenantId};
use regua_store::access;
use regua_store::api_keys::{self, ApiKey};

use crate::Context;
use crate::error::{Code, Problem};
use crate::keys::ParsedKey;
use crate::request::{language, note};

/// The header that carries the key.
pub(crate) const API_KEY_HEADER: &str = "X-Billing-API-Key";

/// Somebody with a valid key. As an extractor it looks at the headers alone, before any body is read.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// Whose key it is.
    pub(crate) tenant_id: TenantId,
    /// The key.
    pub(crate) api_key_id: ApiKeyId,
    /// In which language to answer.
    pub(crate) language: Language,
    allowed_types: Vec<String>,
}

impl Caller {
    /// Refuses a type that the key may not send.
    pub(crate) fn may_send(&self, message_type: MessageType) -> Result<(), Problem> {
        if self.allowed_types.iter().any(|allowed| allowed == message_type.as_str()) {
            return Ok(());
        }
        let allowed = self.allowed_types.join(", ");
        let detail = self.language.pick(
            format!("Esta chave não pode enviar mensagens do tipo {message_type}; ela pode enviar: {allowed}."),
            format!("This key may not send messages of type {message_type}; it may send: {allowed}."),
        );
        Err(Problem::with_detail(Code::TemplateTypeNotAllowed, detail))
    }
}

impl FromRequestParts<Context> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, context: &Context) -> Result<Self, Problem> {
        let sent = parts.headers.get(API_KEY_HEADER).filter(|value| !value.is_empty());
        let sent = sent.ok_or_else(|| Problem::of(Code::ApiKeyMissing))?;
        let parsed = sent.to_str().ok().and_then(ParsedKey::parse).ok_or_else(|| Problem::of(Code::ApiKeyInvalid))?;
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip());

        let now = context.clock.now();
        let mut transaction = access::begin_lookup(&context.pool, parsed.lookup_prefix).await?;
        let found = api_keys::by_prefix(&mut transaction, parsed.lookup_prefix).await?;
        let is_right = parsed.has_hash(found.as_ref().map(|key| key.secret_hash.as_slice()));
        let key = found.filter(|_| is_right).ok_or_else(|| Problem::of(Code::ApiKeyInvalid))?;
        note("tenant_id", key.tenant_id);
        check(&key, peer, now).map_err(Problem::of)?;
        access::enter(&mut transaction, key.tenant_id).await?;
        api_keys::used(&mut transaction, key.tenant_id, key.api_key_id, now).await?;
        transaction.commit().await?;

        let ApiKey { tenant_id, api_key_id, allowed_types, .. } = key;
        Ok(Self { tenant_id, api_key_id, language: language(&parts.headers), allowed_types })
    }
}

/// What else may be wrong with a key whose secret was right.
fn check(key: &ApiKey, peer: Option<IpAddr>, now: DateTime<Utc>) -> Result<(), Code> {
    if !key.active {
        return Err(Code::ApiKeyInactive);
    }
    if key.expires_at.is_some_and(|expires_at| expires_at <= now) {
        return Err(Code::ApiKeyExpired);
    }
    if key.allowed_networks.is_empty() || peer.is_some_and(|peer| is_within(peer, &key.allowed_networks)) {
        return Ok(());
    }
    Err(Code::IpNotAllowed)
}

/// A socket that listens for both versions of IP shows `::ffff:10.0.0.1` for 10.0.0.1.
fn is_within(peer: IpAddr, networks: &[IpNetwork]) -> bool {
    let peer = peer.to_canonical();
    networks.iter().any(|network| network.contains(peer))
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn now() -> DateTime<Utc> {
        "2026-11-23T13:00:00Z".parse().unwrap()
    }

    fn key() -> ApiKey {
        ApiKey {
            tenant_id: TenantId::new(now()),
            api_key_id: ApiKeyId::new(now()),
            secret_hash: vec![0; 32],
            allowed_types: vec!["overdue".to_owned()],
            allowed_networks: Vec::new(),
            active: true,
            expires_at: None,
        }
    }

    #[test]
    fn a_key_is_refused_for_the_first_reason_that_applies() {
        let local = || Some("127.0.0.1".parse().unwrap());
        assert_eq!(check(&key(), local(), now()), Ok(()));
        assert_eq!(check(&ApiKey { active: false, ..key() }, local(), now()), Err(Code::ApiKeyInactive));
        let expires = |after: i64| ApiKey { expires_at: Some(now() + TimeDelta::seconds(after)), ..key() };
        assert_eq!(check(&expires(0), local(), now()), Err(Code::ApiKeyExpired));
        assert_eq!(check(&expires(1), local(), now()), Ok(()));
    }

    #[test]
    fn a_key_bound_to_networks_is_refused_from_elsewhere() {
        let bound = ApiKey { allowed_networks: vec!["10.1.0.0/16".parse().unwrap()], ..key() };
        let from = |peer: &str| check(&bound, Some(peer.parse().unwrap()), now());
        assert_eq!(from("10.1.2.3"), Ok(()));
        assert_eq!(from("::ffff:10.1.2.3"), Ok(()));
        assert_eq!(from("10.2.2.3"), Err(Code::IpNotAllowed));
        assert_eq!(check(&bound, None, now()), Err(Code::IpNotAllowed));
    }
}
