//! Sessions after the login: the console's cookie, and refresh tokens that work once.

use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use regua_domain::{SessionEnd, SessionKind};
use regua_store::sessions::{self, Session};
use subtle::ConstantTimeEq;

use super::login::{LoginRequest, Tokens, log_in, session_lifetime};
use crate::callers::{Actor, UnauthenticatedRequest, session_cookie};
use crate::credentials::token::{SESSION_COOKIE, SessionSecret};
use crate::http::error::{LoginProblems, TokenProblems};
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
    let (secret, expires_at) = log_in(&request, body, SessionKind::Console).await?;
    let cookie = cookie(&secret.text(), session_lifetime(SessionKind::Console).num_seconds())?;
    Ok(([(header::SET_COOKIE, cookie)], Json(ConsoleSession { expires_at })).into_response())
}

/// Logs out of the console. Without a session it does nothing.
#[utoipa::path(
    delete, path = "/session", security(("session" = []), ()),
    responses((status = 204, description = "Logged out"), TokenProblems)
)]
pub(super) async fn close_session(request: UnauthenticatedRequest, headers: HeaderMap) -> Result<Response, Problem> {
    if let Some(secret) = session_cookie(&headers).and_then(SessionSecret::parse) {
        end_session(&request, &secret).await?;
    }
    request.context.limits.rates.refund_login(request.client.address);
    Ok((DONE, [(header::SET_COOKIE, cookie("", 0)?)]).into_response())
}

/// Exchanges a refresh token for new tokens. A refresh token works once; a second use means that it was copied, and
/// ends the login.
#[utoipa::path(
    post, path = "/refresh", security(()), request_body = RefreshRequest,
    responses((status = 200, description = "Tokens", body = Tokens), TokenProblems)
)]
pub(super) async fn refresh(request: UnauthenticatedRequest, Valid(body): Valid<RefreshRequest>) -> Answer<Tokens> {
    let context = &request.context;
    let refresh_token = body.secret()?;
    let SessionSecret { tenant, session: session_id, .. } = refresh_token;
    let now = context.clock.now();
    let mut transaction = context.database.begin_check(tenant).await?;
    let conn = &mut *transaction;
    let session = sessions::lock(conn, tenant, session_id).await?;
    let session =
        session.filter(|session| session.kind == SessionKind::Api && session.active && now < session.expires_at);
    let session = session.ok_or_else(|| Problem::of(Code::TokenInvalid))?;
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
    context.limits.rates.refund_login(request.client.address);
    Tokens::new(context, &secret, session.expires_at).map(Json)
}

/// Ends the session of a refresh token, with its access tokens.
#[utoipa::path(
    post, path = "/logout", security(()), request_body = RefreshRequest,
    responses((status = 204, description = "Logged out"), TokenProblems)
)]
pub(super) async fn logout(request: UnauthenticatedRequest, Valid(body): Valid<RefreshRequest>) -> Done {
    end_session(&request, &body.secret()?).await?;
    Ok(DONE)
}

impl RefreshRequest {
    fn secret(&self) -> Result<SessionSecret, Problem> {
        SessionSecret::parse(&self.refresh_token).ok_or_else(|| Problem::of(Code::TokenInvalid))
    }
}

/// Ends the session of a secret, present or used before. Another secret changes nothing.
async fn end_session(request: &UnauthenticatedRequest, secret: &SessionSecret) -> Result<(), Problem> {
    let now = request.context.clock.now();
    let mut transaction = request.context.database.begin_check(secret.tenant).await?;
    let session = sessions::lock(&mut transaction, secret.tenant, secret.session).await?;
    if let Some(session) = session
        && (is_current(secret, &session) || was_used(&mut transaction, secret).await?)
    {
        end(&mut transaction, request, secret, &session, SessionEnd::Logout, now).await?;
    }
    Ok(transaction.commit().await?)
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

fn cookie(value: &str, seconds: i64) -> Result<HeaderValue, Problem> {
    let cookie = format!("{SESSION_COOKIE}={value}; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age={seconds}");
    HeaderValue::try_from(cookie).map_err(Problem::internal)
}
