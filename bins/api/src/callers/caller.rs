//! The principal of a billing route: an API key, or a user; and the body that it posted.

use std::ops::Deref;
use std::sync::Arc;

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::Method;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use regua_domain::{ActorKind, ApiKeyId, Capability, Language, MessageType, Scope, Text};
use regua_store::api_keys::ApiKey;

use super::access::Principal;
use super::actor::Actor;
use super::api_key;
use super::client::Client;
use super::cookie::cookie;
use crate::context::Context;
use crate::credentials::keys::API_KEY_HEADER;
use crate::credentials::token::SESSION_COOKIE;
use crate::http::body::{RequestOwner, discard, read_json};
use crate::http::request::language;
use crate::http::{Code, Problem};
use crate::limits::Permit;

/// A valid API key with the scope, or a user with the capability, that the route requires. The extractor reads headers
/// only, so a request is refused before its body is read.
#[derive(Clone)]
pub(crate) struct Caller {
    actor: Actor,
    pub(crate) language: Language,
    /// None: a user.
    key: Option<Arc<ApiKey>>,
    /// The permit among the tenant's requests, held until the request and its computations end.
    pub(crate) permit: Arc<Permit>,
}

impl Deref for Caller {
    type Target = Actor;

    fn deref(&self) -> &Actor {
        &self.actor
    }
}

impl Caller {
    /// The id of the key, if it may send the type. A user posts no batches.
    pub(crate) fn may_send(&self, message_type: MessageType) -> Result<ApiKeyId, Problem> {
        let key = self.key.as_ref().ok_or_else(|| Problem::of(Code::ApiKeyMissing))?;
        if key.allowed_types.contains(&message_type) {
            return Ok(key.api_key_id);
        }
        let allowed = key.allowed_types.iter().map(|allowed| allowed.as_str()).collect::<Vec<_>>().join(", ");
        Err(Problem::with_detail(
            Code::TemplateTypeNotAllowed,
            Text::of("key-may-not-send").with("type", message_type).with("allowed", allowed),
        ))
    }
}

impl FromRequestParts<Context> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, context: &Context) -> Result<Self, Problem> {
        if has_user_credential(parts) {
            let principal = Principal::authenticate(parts, context).await?;
            principal.require(if parts.method == Method::GET { Capability::Read } else { Capability::Operate })?;
            let Principal { actor, language, permit, .. } = principal;
            return Ok(Self { actor, language, key: None, permit });
        }
        let key = api_key::authenticate(parts, context).await?;
        context.limits.rates.admit_key(parts, &key).await?;
        require_scope(&key, scope_of(parts))?;
        let (tenant_id, id) = (key.tenant_id, key.api_key_id);
        let permit = Arc::new(context.limits.requests.take_for_tenant(tenant_id).await?);
        let (kind, name, client) = (ActorKind::ApiKey, format!("key {id}"), Client::of(parts));
        let context = context.clone();
        let actor = Actor { context, tenant_id, kind, id: Some(id.0), name, client, is_platform: false };
        Ok(Self { actor, language: language(&parts.headers), key: Some(key), permit })
    }
}

/// A caller and the body that it posted.
pub(crate) struct Posted {
    pub(crate) caller: Caller,
    /// The whole body. Its content type is JSON; it is not parsed.
    pub(crate) body: Vec<u8>,
    /// The permit for the body's memory, held until the request and its computations end.
    pub(crate) memory: Option<Permit>,
}

impl FromRequest<Context> for Posted {
    type Rejection = Problem;

    /// The caller is authenticated before the body is read.
    async fn from_request(request: Request, context: &Context) -> Result<Self, Problem> {
        let limit = context.settings.max_body_bytes;
        let (mut parts, body) = request.into_parts();
        let stream = body.into_data_stream();
        let caller = match Caller::from_request_parts(&mut parts, context).await {
            Ok(caller) => caller,
            Err(problem) => {
                discard(&parts.headers, stream, context, RequestOwner::of(&parts.extensions));
                return Err(problem);
            }
        };
        let body = read_json(&parts.headers, stream, context, caller.tenant_id, limit).await?;
        let too_large = Text::of("batch-body-too-large").with("limit", limit);
        let (body, memory) = body.ok_or_else(|| Problem::with_detail(Code::BodyTooLarge, too_large))?;
        Ok(Self { caller, body, memory: Some(memory) })
    }
}

/// The scope that the route requires.
fn scope_of(parts: &Parts) -> Scope {
    match parts.method {
        Method::GET => Scope::Read,
        _ if parts.uri.path().contains("/send/") => Scope::Send,
        _ => Scope::Control,
    }
}

/// Answers `forbidden` when the key lacks the scope.
fn require_scope(key: &ApiKey, scope: Scope) -> Result<(), Problem> {
    if key.scopes.contains(&scope) {
        return Ok(());
    }
    let scopes = key.scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(", ");
    let text = Text::of("key-lacks-scope").with("scope", scope.as_str()).with("scopes", scopes);
    Err(Problem::with_detail(Code::Forbidden, text))
}

/// An API key has precedence over a token and a cookie.
fn has_user_credential(parts: &Parts) -> bool {
    let headers = &parts.headers;
    !headers.contains_key(API_KEY_HEADER)
        && (headers.contains_key(AUTHORIZATION) || cookie(headers, SESSION_COOKIE).is_some())
}
