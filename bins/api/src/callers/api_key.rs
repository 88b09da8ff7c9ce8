//! Authentication by the API key in the header: the key is looked up, cached for some seconds, and checked.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::http::request::Parts;
use chrono::{DateTime, Utc};
use regua_store::access;
use regua_store::api_keys::{self, ApiKey};
use subtle::ConstantTimeEq;

use super::client::{begin_look_up, refuse};
use crate::context::Context;
use crate::credentials::cache::Cached;
use crate::credentials::keys::{API_KEY_HEADER, ParsedKey};
use crate::http::body::RequestOwner;
use crate::http::{Code, Problem, record_field};
use crate::limits::{ClientAddress, Subject};

/// The key in the header, if it may be used now and from the client's address.
pub(super) async fn authenticate(parts: &Parts, context: &Context) -> Result<Arc<ApiKey>, Problem> {
    let key = identify(parts, context).await?;
    record_field("tenant_id", key.tenant_id);
    check(&key, peer(parts), context.clock.now()).map_err(|code| refuse(context, parts, code))?;
    RequestOwner::record(&parts.extensions, key.tenant_id);
    Ok(key)
}

/// The key in the header, if it exists. A cached key needs no look-up. An unknown key is charged to the client's
/// address as a refused one before it is looked up.
async fn identify(parts: &Parts, context: &Context) -> Result<Arc<ApiKey>, Problem> {
    let sent = parts.headers.get(API_KEY_HEADER).filter(|value| !value.is_empty());
    let sent = sent.ok_or_else(|| refuse(context, parts, Code::ApiKeyMissing))?;
    let parsed = sent.to_str().ok().and_then(ParsedKey::parse);
    let parsed = parsed.ok_or_else(|| refuse(context, parts, Code::ApiKeyInvalid))?;
    let matches = |key: Option<&ApiKey>| parsed.has_hash(key.map(|key| key.secret_hash.as_slice()));
    let prefix = parsed.lookup_prefix.to_owned();
    match context.keys.get(&prefix, Instant::now(), |key| matches(Some(key))) {
        Cached::Fresh(key) => Ok(key),
        Cached::Ageing(key) => {
            tokio::spawn(renew(context.clone(), prefix, Arc::clone(&key), peer(parts)));
            Ok(key)
        }
        Cached::Expired(known) => {
            // The look-ups of a tenant's expired keys have its budget, and serve the callers that waited for them.
            let _permit = context.database.permit(known.tenant_id).await?;
            if let Cached::Fresh(key) = context.keys.get(&prefix, Instant::now(), |key| matches(Some(key))) {
                return Ok(key);
            }
            let found = look_up(context, &prefix, peer(parts), matches).await?;
            found.ok_or_else(|| {
                context.keys.remove(&prefix);
                refuse(context, parts, Code::ApiKeyInvalid)
            })
        }
        Cached::Unknown => {
            let look_up_permit = begin_look_up(context, parts, Subject::BadKeys).await?;
            let found = look_up(context, &prefix, peer(parts), matches).await?;
            let key = found.ok_or_else(|| Problem::of(Code::ApiKeyInvalid))?;
            look_up_permit.end().refund();
            Ok(key)
        }
    }
}

/// Looks a cached key up again while its caller is served. If the database is away, the entry expires and the next request
/// looks the key up.
async fn renew(context: Context, prefix: String, known: Arc<ApiKey>, peer: Option<IpAddr>) {
    let is_same = |key: Option<&ApiKey>| key.is_some_and(|key| bool::from(key.secret_hash.ct_eq(&known.secret_hash)));
    match look_up(&context, &prefix, peer, is_same).await {
        Ok(Some(_)) => {}
        Ok(None) => context.keys.remove(&prefix),
        Err(_) => tracing::debug!("a key could not be looked up again"),
    }
}

/// The stored key with this prefix, if its secret matches; it is then cached. `matches` also runs when no key has the
/// prefix, so the time of an answer does not tell which prefixes exist.
async fn look_up(
    context: &Context,
    prefix: &str,
    peer: Option<IpAddr>,
    matches: impl Fn(Option<&ApiKey>) -> bool,
) -> Result<Option<Arc<ApiKey>>, Problem> {
    let (now, began) = (context.clock.now(), Instant::now());
    context.metrics.key_look_ups.inc();
    let mut transaction = context.database.begin_lookup(prefix).await?;
    let found = api_keys::find_by_prefix(&mut transaction, prefix).await?;
    let is_match = matches(found.as_ref());
    let found = found.filter(|_| is_match);
    if let Some(key) = found.as_ref().filter(|key| check(key, peer, now).is_ok()) {
        access::set_tenant(&mut transaction, key.tenant_id).await?;
        api_keys::record_use(&mut transaction, key.tenant_id, key.api_key_id, now).await?;
    }
    transaction.commit().await?;
    let found = found.map(Arc::new);
    if let Some(key) = &found {
        context.keys.insert(prefix.to_owned(), Arc::clone(key), began);
    }
    Ok(found)
}

fn peer(parts: &Parts) -> Option<IpAddr> {
    parts.extensions.get::<ClientAddress>().map(|address| address.ip())
}

/// Whether a key whose secret matches may be used; the error is the first reason against it.
fn check(key: &ApiKey, peer: Option<IpAddr>, now: DateTime<Utc>) -> Result<(), Code> {
    if !key.active {
        return Err(Code::ApiKeyInactive);
    }
    if key.expires_at.is_some_and(|expires_at| expires_at <= now) {
        return Err(Code::ApiKeyExpired);
    }
    let is_inside = |peer| key.allowed_networks.iter().any(|network| network.contains(peer));
    if key.allowed_networks.is_empty() || peer.is_some_and(is_inside) { Ok(()) } else { Err(Code::IpNotAllowed) }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use regua_domain::{ApiKeyId, MessageType, Scope, TenantId};

    use super::*;

    fn now() -> DateTime<Utc> {
        "2026-11-23T13:00:00Z".parse().unwrap()
    }

    fn key() -> ApiKey {
        ApiKey {
            tenant_id: TenantId::new(now()),
            api_key_id: ApiKeyId::new(now()),
            secret_hash: vec![0; 32],
            scopes: Scope::DEFAULT.to_vec(),
            allowed_types: vec![MessageType::Overdue],
            allowed_networks: Vec::new(),
            active: true,
            expires_at: None,
            requests_per_minute: 1200,
        }
    }

    #[test]
    fn key_is_refused_for_the_first_reason_that_applies() {
        let local = || Some("127.0.0.1".parse().unwrap());
        assert_eq!(check(&key(), local(), now()), Ok(()));
        assert_eq!(check(&ApiKey { active: false, ..key() }, local(), now()), Err(Code::ApiKeyInactive));
        let expires = |after: i64| ApiKey { expires_at: Some(now() + TimeDelta::seconds(after)), ..key() };
        assert_eq!(check(&expires(0), local(), now()), Err(Code::ApiKeyExpired));
        assert_eq!(check(&expires(1), local(), now()), Ok(()));
    }

    #[test]
    fn key_is_refused_outside_its_networks() {
        let bound = ApiKey { allowed_networks: vec!["10.1.0.0/16".parse().unwrap()], ..key() };
        let from = |peer: &str| check(&bound, Some(peer.parse().unwrap()), now());
        assert_eq!(from("10.1.2.3"), Ok(()));
        assert_eq!(from("10.2.2.3"), Err(Code::IpNotAllowed));
        assert_eq!(check(&bound, None, now()), Err(Code::IpNotAllowed));
    }
}
