//! Who calls: the API key in the header, and what it may do.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::FromRequestParts;
use axum::http::Method;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use chrono::{DateTime, Utc};
use ipnetwork::IpNetwork;
use regua_domain::{ApiKeyId, Language, MessageType, Right, TenantId};
use regua_store::access;
use regua_store::api_keys::{self, ApiKey};
use sqlx::PgConnection;
use subtle::ConstantTimeEq;

use crate::Context;
use crate::client_address::ClientAddress;
use crate::error::{Code, Problem};
use crate::keys::ParsedKey;
use crate::limits::{BAD_KEYS, Part};
use crate::people::{Access, Actor, Change, Client, cookie, record};
use crate::remembered::Recalled;
use crate::request::{language, note};

/// The header that carries the key.
pub(crate) const API_KEY_HEADER: &str = "X-Billing-API-Key";

/// A program with a valid key, or somebody who came in and may do what is asked. As an extractor it looks at the headers
/// alone, before any body is read.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// The tenant that is acted for.
    pub(crate) tenant_id: TenantId,
    /// In which language to answer.
    pub(crate) language: Language,
    holder: Holder,
    client: Client,
    /// A place among the tenant's requests, held as long as the request.
    _place: Arc<Part>,
}

/// Who calls.
#[derive(Clone, Debug)]
enum Holder {
    Key(Arc<ApiKey>),
    Person(Box<Access>),
}

impl Caller {
    /// For the record: the key's id, or the person's address.
    pub(crate) fn name(&self) -> String {
        match &self.holder {
            Holder::Key(key) => format!("key {}", key.api_key_id),
            Holder::Person(access) => access.name.clone(),
        }
    }

    /// Writes down what is done, in its own transaction.
    pub(crate) async fn record(
        &self,
        conn: &mut PgConnection,
        change: Change<'_>,
        now: DateTime<Utc>,
    ) -> Result<(), Problem> {
        match &self.holder {
            Holder::Person(access) => access.record(conn, change, now).await,
            Holder::Key(key) => {
                let actor = Actor { kind: "api_key", id: Some(key.api_key_id.0), name: &self.name() };
                record(conn, self.tenant_id, &actor, &self.client, change, now).await
            }
        }
    }

    /// The key, where it may send the type. Batches come from programs alone, each of which has a key of its own.
    pub(crate) fn may_send(&self, message_type: MessageType) -> Result<ApiKeyId, Problem> {
        let Holder::Key(key) = &self.holder else { return Err(Problem::of(Code::ApiKeyMissing)) };
        if key.allowed_types.iter().any(|allowed| allowed == message_type.as_str()) {
            return Ok(key.api_key_id);
        }
        let allowed = key.allowed_types.join(", ");
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
        let (tenant_id, holder) = if shows_a_person(parts) {
            context.limits.admit_person(parts)?;
            let access = Access::from_request_parts(parts, context).await?;
            access.require(if parts.method == Method::GET { Right::Look } else { Right::Operate })?;
            (access.tenant_id, Holder::Person(Box::new(access)))
        } else {
            let key = identify(parts, context).await?;
            note("tenant_id", key.tenant_id);
            check(&key, peer(parts), context.clock.now()).map_err(|code| context.limits.refuse(parts, code))?;
            context.limits.admit(parts, &key).await?;
            (key.tenant_id, Holder::Key(key))
        };
        let place = Arc::new(context.limits.tenants_place(tenant_id).await?);
        let (language, client) = (language(&parts.headers), Client::of(parts));
        Ok(Self { tenant_id, language, holder, client, _place: place })
    }
}

/// A key goes before whatever a browser adds.
fn shows_a_person(parts: &Parts) -> bool {
    let shows = |name: &str| parts.headers.contains_key(name);
    !shows(API_KEY_HEADER) && (shows(AUTHORIZATION.as_str()) || cookie(&parts.headers).is_some())
}

/// The key in the header, where it is somebody's. Good callers of a moment ago wait for nobody; a key that nobody has shown
/// before must be looked up, and an address that shows too many such is not answered any more.
async fn identify(parts: &Parts, context: &Context) -> Result<Arc<ApiKey>, Problem> {
    let limits = &context.limits;
    let sent = parts.headers.get(API_KEY_HEADER).filter(|value| !value.is_empty());
    let sent = sent.ok_or_else(|| limits.refuse(parts, Code::ApiKeyMissing))?;
    let parsed = sent.to_str().ok().and_then(ParsedKey::parse);
    let parsed = parsed.ok_or_else(|| limits.refuse(parts, Code::ApiKeyInvalid))?;
    let is_right = |key: &ApiKey| parsed.has_hash(Some(&key.secret_hash));
    let prefix = parsed.lookup_prefix.to_owned();
    match context.keys.recall(&prefix, Instant::now(), is_right) {
        Recalled::Right(key) => Ok(key),
        Recalled::RightButAgeing(key) => {
            tokio::spawn(renew(context.clone(), prefix, Arc::clone(&key), peer(parts)));
            Ok(key)
        }
        Recalled::WasRight => {
            let found = look_up(context, &prefix, peer(parts), |key| parsed.has_hash(key.map(hash))).await?;
            found.ok_or_else(|| {
                context.keys.forget(&prefix);
                limits.refuse(parts, Code::ApiKeyInvalid)
            })
        }
        Recalled::Unknown => {
            let right = limits.may_look_up(parts, BAD_KEYS).await?;
            let found = look_up(context, &prefix, peer(parts), |key| parsed.has_hash(key.map(hash))).await?;
            let key = found.ok_or_else(|| Problem::of(Code::ApiKeyInvalid))?;
            right.was_good();
            Ok(key)
        }
    }
}

/// Looks a key up again while its caller is served. What changed counts from then on; a database that is away is asked
/// again by whoever comes when the key is not believed any more.
async fn renew(context: Context, prefix: String, known: Arc<ApiKey>, peer: Option<IpAddr>) {
    let is_same = |key: Option<&ApiKey>| key.is_some_and(|key| bool::from(key.secret_hash.ct_eq(&known.secret_hash)));
    match look_up(&context, &prefix, peer, is_same).await {
        Ok(Some(_)) => {}
        Ok(None) => context.keys.forget(&prefix),
        Err(_) => tracing::debug!("a key could not be looked up again"),
    }
}

/// The key of this prefix in the database, where its secret is right; then it is remembered. `is_right` is asked
/// where there is none, too, so that time does not tell which prefixes exist. This is the one place that looks keys up.
async fn look_up(
    context: &Context,
    prefix: &str,
    peer: Option<IpAddr>,
    is_right: impl Fn(Option<&ApiKey>) -> bool,
) -> Result<Option<Arc<ApiKey>>, Problem> {
    let (now, began) = (context.clock.now(), Instant::now());
    context.metrics.key_look_ups.inc();
    let mut transaction = access::begin_lookup(&context.pool, prefix).await?;
    let found = api_keys::by_prefix(&mut transaction, prefix).await?;
    let is_right = is_right(found.as_ref());
    let found = found.filter(|_| is_right);
    if let Some(key) = found.as_ref().filter(|key| check(key, peer, now).is_ok()) {
        access::enter(&mut transaction, key.tenant_id).await?;
        api_keys::used(&mut transaction, key.tenant_id, key.api_key_id, now).await?;
    }
    transaction.commit().await?;
    let found = found.map(Arc::new);
    if let Some(key) = &found {
        context.keys.remember(prefix.to_owned(), Arc::clone(key), began);
    }
    Ok(found)
}

fn hash(key: &ApiKey) -> &[u8] {
    &key.secret_hash
}

fn peer(parts: &Parts) -> Option<IpAddr> {
    parts.extensions.get::<ClientAddress>().map(|address| address.ip())
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

fn is_within(peer: IpAddr, networks: &[IpNetwork]) -> bool {
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
            requests_per_minute: 1200,
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
        assert_eq!(from("10.2.2.3"), Err(Code::IpNotAllowed));
        assert_eq!(check(&bound, None, now()), Err(Code::IpNotAllowed));
    }
}
