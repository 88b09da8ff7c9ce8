//! Sessions after the login: the console's cookie, and refresh tokens that work once.

use axum::http::{HeaderMap, header};
use axum::response::{AppendHeaders, IntoResponse, Response};
use chrono::TimeDelta;
use regua_domain::{SessionEnd, SessionKind};
use regua_store::sessions::{self, Session};
use subtle::ConstantTimeEq;

use super::login::{LoginRequest, Tokens, cookie, log_in, session_lifetime};
use crate::callers::{self, Actor, UnauthenticatedRequest};
use crate::credentials::token::{SESSION_COOKIE, SessionSecret};
use crate::http::error::{LoginProblems, TokenProblems};
use crate::limits::LookUp;
use crate::routes::kit::*;

body! {
    pub(super) struct RefreshRequest {
        refresh_token: Line<1, 200>,
    }
}

#[derive(Serialize, ToSchema)]
pub(super) struct ConsoleSession {
    /// When the session ends; twelve hours without a request end it earlier.
    expires_at: DateTime<Utc>,
}

/// Logs in to the console. The answer sets a cookie that scripts cannot read.
#[utoipa::path(
    post, path = "/session", security(()), request_body = LoginRequest,
    responses((status = 200, description = "Logged in", body = ConsoleSession), LoginProblems)
)]
pub(super) async fn open_session(
    request: UnauthenticatedRequest,
    Valid(body): Valid<LoginRequest>,
) -> Result<Response, Problem> {
    let opened = log_in(&request, body, SessionKind::Console).await?;
    let session = cookie(SESSION_COOKIE, &opened.secret.text(), session_lifetime(SessionKind::Console))?;
    let cookies = [session, opened.device_cookie].map(|cookie| (header::SET_COOKIE, cookie));
    Ok((AppendHeaders(cookies), Json(ConsoleSession { expires_at: opened.expires_at })).into_response())
}

/// Logs out of the console. Without a session it does nothing.
#[utoipa::path(
    delete, path = "/session", security(("session" = []), ()),
    responses((status = 204, description = "Logged out"), TokenProblems)
)]
pub(super) async fn close_session(request: UnauthenticatedRequest, headers: HeaderMap) -> Result<Response, Problem> {
    if let Some(secret) = callers::cookie(&headers, SESSION_COOKIE) {
        end_session(&request, SessionSecret::parse(secret)).await?;
    }
    Ok((DONE, [(header::SET_COOKIE, cookie(SESSION_COOKIE, "", TimeDelta::zero())?)]).into_response())
}

/// Exchanges a refresh token for new tokens. A refresh token works once; a second use means that it was copied, and
/// ends the login.
#[utoipa::path(
    post, path = "/refresh", security(()), request_body = RefreshRequest,
    responses((status = 200, description = "Tokens", body = Tokens), TokenProblems)
)]
pub(super) async fn refresh(request: UnauthenticatedRequest, Valid(body): Valid<RefreshRequest>) -> Answer<Tokens> {
    let context = &request.context;
    let refresh_token = SessionSecret::parse(&body.refresh_token);
    let look_up = begin_look_up(&request, refresh_token.as_ref()).await?;
    let refresh_token = refresh_token.ok_or_else(|| Problem::of(Code::TokenInvalid))?;
    let SessionSecret { tenant, session: session_id, .. } = refresh_token;
    let now = context.clock.now();
    let mut transaction = context.database.begin_check(tenant).await?;
    let conn = &mut *transaction;
    let session = sessions::lock(conn, tenant, session_id).await?;
    let session =
        session.filter(|session| session.kind == SessionKind::Api && session.active && now < session.expires_at);
    let Some(session) = session else {
        context.good_sessions.remove(&refresh_token);
        return Err(Problem::of(Code::TokenInvalid));
    };
    if !is_current(&refresh_token, &session) {
        if was_used(conn, &refresh_token).await? {
            tracing::warn!(%session_id, "a refresh token was used twice; its session ends");
            end(conn, &request, &refresh_token, &session, SessionEnd::Reuse, now).await?;
            transaction.commit().await?;
        }
        return Err(Problem::of(Code::TokenInvalid));
    }
    let secret = SessionSecret::generate(tenant, session_id)?;
    sessions::rotate(conn, tenant, session_id, &secret.hash(), now).await?;
    transaction.commit().await?;
    request.accept(tenant, look_up.map(LookUp::end));
    context.good_sessions.record_secret(&secret);
    Tokens::new(context, &secret, session.expires_at).map(Json)
}

/// Ends the session of a refresh token, with its access tokens.
#[utoipa::path(
    post, path = "/logout", security(()), request_body = RefreshRequest,
    responses((status = 204, description = "Logged out"), TokenProblems)
)]
pub(super) async fn logout(request: UnauthenticatedRequest, Valid(body): Valid<RefreshRequest>) -> Done {
    let secret = SessionSecret::parse(&body.refresh_token);
    let is_parsed = secret.is_some();
    end_session(&request, secret).await?;
    if is_parsed { Ok(DONE) } else { Err(Problem::of(Code::TokenInvalid)) }
}

/// Begins the look-up of a session. One that was valid lately is looked up whatever else its address sends; another one
/// is charged as a failure.
async fn begin_look_up<'a>(
    request: &'a UnauthenticatedRequest,
    secret: Option<&SessionSecret>,
) -> Result<Option<LookUp<'a>>, Problem> {
    if secret.is_some_and(|secret| request.context.good_sessions.has_secret(secret)) {
        return Ok(None);
    }
    Ok(Some(request.begin_look_up().await?))
}

/// Ends the session of a secret, present or used before. Another secret changes nothing, and is a failure.
async fn end_session(request: &UnauthenticatedRequest, secret: Option<SessionSecret>) -> Result<(), Problem> {
    let look_up = begin_look_up(request, secret.as_ref()).await?;
    let Some(secret) = secret else { return Ok(()) };
    let now = request.context.clock.now();
    let mut transaction = request.context.database.begin_check(secret.tenant).await?;
    let session = sessions::lock(&mut transaction, secret.tenant, secret.session).await?;
    if let Some(session) = session
        && (is_current(&secret, &session) || was_used(&mut transaction, &secret).await?)
    {
        end(&mut transaction, request, &secret, &session, SessionEnd::Logout, now).await?;
        transaction.commit().await?;
        request.accept(secret.tenant, look_up.map(LookUp::end));
    }
    request.context.good_sessions.remove(&secret);
    Ok(())
}

async fn end(
    conn: &mut PgConnection,
    request: &UnauthenticatedRequest,
    secret: &SessionSecret,
    session: &Session,
    ended_by: SessionEnd,
    now: DateTime<Utc>,
) -> Result<(), Problem> {
    if sessions::end(conn, secret.tenant, session.user_id, Some(secret.session), ended_by, now).await? == 0 {
        return Ok(());
    }
    let actor = Actor::user(request, secret.tenant, session.user_id, &session.email);
    actor.record_always(conn, "session.ended", secret.session, (&(), &json!({ "ended_by": ended_by })), now).await
}

fn is_current(secret: &SessionSecret, session: &Session) -> bool {
    secret.hash().ct_eq(&session.secret_hash).into()
}

/// Whether the secret is an earlier one of the session.
async fn was_used(conn: &mut PgConnection, secret: &SessionSecret) -> Result<bool, Problem> {
    let used = sessions::spent_hashes(conn, secret.tenant, secret.session).await?;
    Ok(used.iter().any(|hash| secret.hash().ct_eq(hash).into()))
}
