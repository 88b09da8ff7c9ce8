//! The principal of a billing route: an API key, or a user.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::Method;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use chrono::{DateTime, Utc};
use regua_domain::{ActorKind, ApiKeyId, Capability, Language, MessageType, Scope, TenantId, Text};
use regua_store::api_keys::ApiKey;
use sqlx::PgConnection;

use super::access::Principal;
use super::api_key;
use super::audit::{Actor, Change, record};
use super::client::Client;
use super::session::session_cookie;
use crate::context::Context;
use crate::credentials::keys::API_KEY_HEADER;
use crate::http::request::language;
use crate::http::{Code, Problem};
use crate::limits::Permit;

/// A valid API key with the scope, or a user with the capability, that the route requires. The extractor reads headers only, so a
/// request is refused before its body is read.
#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) tenant_id: TenantId,
    pub(crate) language: Language,
    credential: Credential,
    client: Client,
    /// The permit among the tenant's requests, held until the request ends.
    _permit: Arc<Permit>,
}

#[derive(Clone)]
enum Credential {
    Key(Arc<ApiKey>),
    User(Box<Principal>),
}

impl Caller {
    /// The name in records: the key's id, or the user's e-mail address.
    pub(crate) fn name(&self) -> String {
        match &self.credential {
            Credential::Key(key) => format!("key {}", key.api_key_id),
            Credential::User(access) => access.name.clone(),
        }
    }

    /// Records a change in the audit log. `conn` is in the transaction of the change.
    pub(crate) async fn record(
        &self,
        conn: &mut PgConnection,
        change: Change,
        now: DateTime<Utc>,
    ) -> Result<(), Problem> {
        match &self.credential {
            Credential::User(access) => access.record(conn, change, now).await,
            Credential::Key(key) => {
                let actor = Actor { kind: ActorKind::ApiKey, id: Some(key.api_key_id.0), name: &self.name() };
                record(conn, self.tenant_id, &actor, &self.client, change, now).await
            }
        }
    }

    /// The id of the key, if it may send the type. A user posts no batches.
    pub(crate) fn may_send(&self, message_type: MessageType) -> Result<ApiKeyId, Problem> {
        let Credential::Key(key) = &self.credential else { return Err(Problem::of(Code::ApiKeyMissing)) };
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
        let (tenant_id, credential) = if has_user_credential(parts) {
            context.limits.rates.admit_user(parts)?;
            let access = Principal::authenticate(parts, context).await?;
            access.require(if parts.method == Method::GET { Capability::Read } else { Capability::Operate })?;
            (access.tenant_id, Credential::User(Box::new(access)))
        } else {
            let key = api_key::authenticate(parts, context).await?;
            context.limits.rates.admit_key(parts, &key).await?;
            require_scope(&key, scope_of(parts))?;
            (key.tenant_id, Credential::Key(key))
        };
        let permit = Arc::new(context.limits.requests.take_for_tenant(tenant_id).await?);
        let (language, client) = (language(&parts.headers), Client::of(parts));
        Ok(Self { tenant_id, language, credential, client, _permit: permit })
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
    !headers.contains_key(API_KEY_HEADER) && (headers.contains_key(AUTHORIZATION) || session_cookie(headers).is_some())
}
