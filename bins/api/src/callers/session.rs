//! Authentication by a session: the console's cookie, or an access token.

use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use chrono::{DateTime, TimeDelta, Utc};
use regua_domain::{SessionId, SessionKind, TenantId, UserId};
use regua_store::sessions::{self, Session};
use subtle::ConstantTimeEq;

use super::client::refuse;
use super::csrf;
use crate::context::Context;
use crate::credentials::token::{SESSION_COOKIE, SessionSecret};
use crate::http::{Code, Problem};

/// A console session without a request for this time is no longer valid.
const IDLE: TimeDelta = TimeDelta::hours(12);

/// The user of a session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SessionUser {
    /// The tenant that the user belongs to.
    pub(crate) home: TenantId,
    pub(crate) id: UserId,
}

/// The session of a request and its user.
pub(super) async fn authenticate(parts: &Parts, context: &Context) -> Result<(SessionUser, Session), Problem> {
    let now = context.clock.now();
    let refused = || refuse(context, parts, Code::NotAuthenticated);
    let credential = credential(parts, context, now).ok_or_else(refused)?;
    let (tenant, id) = (credential.tenant, credential.session);
    // A cookie is not signed: a forged one costs a look-up, so it is charged before.
    if credential.is_cookie() {
        context.limits.rates.charge_login(parts)?;
    }
    // A cookie's tenant is known when its secret was compared; a token's when its signature was checked.
    let mut transaction = if credential.is_cookie() {
        context.database.begin_check(tenant).await?
    } else {
        context.database.begin(tenant).await?
    };
    let session = sessions::get(&mut transaction, tenant, id).await?.ok_or_else(refused)?;
    let is_open = session.active
        && now < session.expires_at
        && (session.kind == SessionKind::Api || now < session.last_used_at + IDLE)
        && credential.opens(&session);
    if !is_open {
        return Err(refused());
    }
    if credential.is_cookie() {
        context.limits.rates.refund_login(parts.extensions.get().copied());
        if !csrf::is_same_origin(parts) {
            return Err(Problem::of(Code::CrossSite));
        }
    }
    if session.last_used_at + TimeDelta::minutes(1) < now {
        sessions::record_use(&mut transaction, tenant, id, now).await?;
    }
    transaction.commit().await?;
    Ok((SessionUser { home: tenant, id: session.user_id }, session))
}

/// The credential of a request: a cookie, or an access token whose signature is valid.
struct Credential {
    tenant: TenantId,
    session: SessionId,
    /// The secret of a cookie; none: an access token.
    secret: Option<SessionSecret>,
}

impl Credential {
    fn is_cookie(&self) -> bool {
        self.secret.is_some()
    }

    /// A cookie opens a console session only, an access token an API session only.
    fn opens(&self, session: &Session) -> bool {
        match &self.secret {
            Some(secret) => {
                session.kind == SessionKind::Console && bool::from(secret.hash().ct_eq(&session.secret_hash))
            }
            None => session.kind == SessionKind::Api,
        }
    }
}

fn credential(parts: &Parts, context: &Context, now: DateTime<Utc>) -> Option<Credential> {
    if let Some(authorization) = parts.headers.get(header::AUTHORIZATION) {
        let (scheme, token) = authorization.to_str().ok()?.split_once(' ')?;
        let (tenant, session) =
            context.access_tokens.read(token, now).filter(|_| scheme.eq_ignore_ascii_case("bearer"))?;
        return Some(Credential { tenant, session, secret: None });
    }
    let secret = SessionSecret::parse(session_cookie(&parts.headers)?)?;
    Some(Credential { tenant: secret.tenant, session: secret.session, secret: Some(secret) })
}

pub(crate) fn session_cookie(headers: &HeaderMap) -> Option<&str> {
    let pairs = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    pairs
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(name, value)| (name == SESSION_COOKIE).then_some(value))
}
