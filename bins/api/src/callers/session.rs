//! Authentication by a session: the console's cookie, or an access token.

use axum::http::header;
use axum::http::request::Parts;
use chrono::{DateTime, TimeDelta, Utc};
use regua_domain::{SessionId, SessionKind, TenantId, UserId};
use regua_store::sessions::{self, Session};
use subtle::ConstantTimeEq;

use super::client::{begin_look_up, refuse};
use super::cookie::cookie;
use super::csrf;
use crate::context::Context;
use crate::credentials::token::{SESSION_COOKIE, SessionSecret};
use crate::http::{Code, Problem};
use crate::limits::{LookUp, Subject};

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
    let look_up = admit(parts, context, &credential).await?;
    // A cookie's tenant is known when its secret was compared; a token's when its signature was checked.
    let mut transaction = if look_up.is_some() {
        context.database.begin_check(tenant).await?
    } else {
        context.database.begin(tenant).await?
    };
    let session = sessions::get(&mut transaction, tenant, id).await?;
    let Some(session) = session.filter(|session| credential.opens(session, now)) else {
        if let Some(secret) = &credential.secret {
            context.good_sessions.remove(secret);
        }
        // A look-up was charged before.
        return Err(if look_up.is_some() { Problem::of(Code::NotAuthenticated) } else { refused() });
    };
    if let Some(look_up) = look_up {
        look_up.end().refund();
    }
    context.good_sessions.record_address(parts.extensions.get().copied());
    if let Some(secret) = &credential.secret {
        context.good_sessions.record_secret(secret);
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

/// Checks the rate of a request with a session. A cookie is not signed: one that was not valid lately may be forged, so
/// it is charged and waits for the permit of a look-up.
async fn admit<'a>(
    parts: &Parts,
    context: &'a Context,
    credential: &Credential,
) -> Result<Option<LookUp<'a>>, Problem> {
    let rates = &context.limits.rates;
    if credential.secret.as_ref().is_none_or(|secret| context.good_sessions.has_secret(secret)) {
        rates.admit_session(parts).await?;
        return Ok(None);
    }
    rates.admit_stranger(parts)?;
    Ok(Some(begin_look_up(context, parts, Subject::BadLogins).await?))
}

/// The credential of a request: a cookie, or an access token whose signature is valid.
struct Credential {
    tenant: TenantId,
    session: SessionId,
    /// The secret of a cookie; none: an access token.
    secret: Option<SessionSecret>,
}

impl Credential {
    /// Whether the session is open, and opened by this credential: a console session by a cookie only, an API session by
    /// an access token only.
    fn opens(&self, session: &Session, now: DateTime<Utc>) -> bool {
        let is_of_kind = match &self.secret {
            Some(secret) => {
                session.kind == SessionKind::Console
                    && now < session.last_used_at + IDLE
                    && bool::from(secret.hash().ct_eq(&session.secret_hash))
            }
            None => session.kind == SessionKind::Api,
        };
        is_of_kind && session.active && now < session.expires_at
    }
}

fn credential(parts: &Parts, context: &Context, now: DateTime<Utc>) -> Option<Credential> {
    if let Some(authorization) = parts.headers.get(header::AUTHORIZATION) {
        let (scheme, token) = authorization.to_str().ok()?.split_once(' ')?;
        let (tenant, session) =
            context.access_tokens.read(token, now).filter(|_| scheme.eq_ignore_ascii_case("bearer"))?;
        return Some(Credential { tenant, session, secret: None });
    }
    let secret = SessionSecret::parse(cookie(&parts.headers, SESSION_COOKIE)?)?;
    Some(Credential { tenant: secret.tenant, session: secret.session, secret: Some(secret) })
}
