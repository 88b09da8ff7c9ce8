//! Sessions after the login: the console's cookie, and refresh tokens, of which each is good for once.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use regua_domain::UserId;
use regua_store::access;
use regua_store::sessions::{self, Session};
use serde::Serialize;
use sqlx::PgConnection;
use subtle::ConstantTimeEq;
use utoipa::ToSchema;

use super::login::{Kind, LoginRequest, Tokens, come_in};
use crate::Context;
use crate::error::{Code, DONE, LoginProblems, Problem, TokenProblems};
use crate::form::Form;
use crate::people::{Actor, Change, JsonBody, SESSION_COOKIE, SessionSecret, Visitor, cookie, record};

/// A refresh token.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes the body; a form reads it, so that all that is wrong is answered at once")]
pub(super) struct RefreshRequest {
    #[schema(min_length = 1, max_length = 200)]
    refresh_token: String,
}

/// A session of the console.
#[derive(Serialize, ToSchema)]
pub(super) struct ConsoleSession {
    /// When it ends at the latest; twelve hours without a request end it before.
    expires_at: DateTime<Utc>,
}

/// Logs in to the console: the answer sets a cookie that no script can read.
#[utoipa::path(
    post, path = "/session", operation_id = "open_session", tag = "auth", security(()), request_body = LoginRequest,
    responses((status = 200, description = "Come in", body = ConsoleSession), LoginProblems)
)]
pub(super) async fn open(
    State(context): State<Context>,
    visitor: Visitor,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let (secret, expires_at) = come_in(&context, &visitor, &body, Kind::Console).await?;
    let set = set_cookie(&secret.text(), Kind::Console.life().num_seconds())?;
    Ok(([(header::SET_COOKIE, set)], Json(ConsoleSession { expires_at })).into_response())
}

/// Leaves the console. Without a session it does nothing.
#[utoipa::path(
    delete, path = "/session", operation_id = "close_session", tag = "auth", security(("session" = []), ()),
    responses((status = 204, description = "Left"), TokenProblems)
)]
pub(super) async fn close(
    State(context): State<Context>,
    visitor: Visitor,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if let Some(shown) = cookie(&headers).and_then(SessionSecret::parse) {
        leave(&context, &visitor, &shown).await?;
    }
    context.limits.welcome(visitor.client.address);
    Ok((DONE, [(header::SET_COOKIE, set_cookie("", 0)?)]).into_response())
}

/// Answers new tokens for a refresh token, which is used up by it. One that was used before has been copied: its whole login ends.
#[utoipa::path(
    post, path = "/refresh", operation_id = "refresh", tag = "auth", security(()), request_body = RefreshRequest,
    responses((status = 200, description = "Tokens", body = Tokens), TokenProblems)
)]
pub(super) async fn refresh(
    State(context): State<Context>,
    visitor: Visitor,
    JsonBody(body): JsonBody,
) -> Result<Json<Tokens>, Problem> {
    let shown = read(&body, &visitor)?;
    let now = context.clock.now();
    let mut transaction = access::begin(&context.pool, shown.tenant).await?;
    let conn = &mut *transaction;
    let session = sessions::lock(conn, shown.tenant, shown.session).await?;
    let session = session.filter(|session| session.kind == "api" && session.active && now < session.expires_at);
    let session = session.ok_or_else(|| Problem::of(Code::TokenInvalid))?;
    if !is_current(&shown, &session) {
        if is_spent(conn, &shown).await? {
            tracing::warn!(session_id = %shown.session, "a refresh token was used twice; its login ends");
            end(conn, &visitor, &shown, (session.user_id, &session.email), "reuse", now).await?;
            transaction.commit().await?;
        }
        return Err(Problem::of(Code::TokenInvalid));
    }
    let secret = SessionSecret::generate(shown.tenant, shown.session);
    let secret = secret.ok_or_else(|| Problem::internal(anyhow::anyhow!("no random numbers")))?;
    sessions::rotate(conn, shown.tenant, shown.session, &secret.hash(), now).await?;
    transaction.commit().await?;
    context.limits.welcome(visitor.client.address);
    Tokens::of(&context, &secret, session.expires_at, now).map(Json)
}

/// Ends the login that a refresh token belongs to. Its access tokens end with it.
#[utoipa::path(
    post, path = "/logout", operation_id = "logout", tag = "auth", security(()), request_body = RefreshRequest,
    responses((status = 204, description = "Left"), TokenProblems)
)]
pub(super) async fn logout(
    State(context): State<Context>,
    visitor: Visitor,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    leave(&context, &visitor, &read(&body, &visitor)?).await?;
    Ok(DONE.into_response())
}

fn read(body: &[u8], visitor: &Visitor) -> Result<SessionSecret, Problem> {
    let mut form = Form::read(body, visitor.language)?;
    let token = form.required_text("refresh_token", 200);
    form.finish()?;
    SessionSecret::parse(&token).ok_or_else(|| Problem::of(Code::TokenInvalid))
}

/// Ends a session whose secret is shown; whatever else is shown does nothing.
async fn leave(context: &Context, visitor: &Visitor, shown: &SessionSecret) -> Result<(), Problem> {
    let now = context.clock.now();
    let mut transaction = access::begin(&context.pool, shown.tenant).await?;
    let session = sessions::lock(&mut transaction, shown.tenant, shown.session).await?;
    let session = match session {
        Some(session) if is_current(shown, &session) || is_spent(&mut transaction, shown).await? => Some(session),
        _ => None,
    };
    if let Some(session) = session {
        end(&mut transaction, visitor, shown, (session.user_id, &session.email), "logout", now).await?;
    }
    Ok(transaction.commit().await?)
}

async fn end(
    conn: &mut PgConnection,
    visitor: &Visitor,
    shown: &SessionSecret,
    (user, email): (UserId, &str),
    why: &'static str,
    now: DateTime<Utc>,
) -> Result<(), Problem> {
    if sessions::end(conn, shown.tenant, user, Some(shown.session), why, now).await? == 0 {
        return Ok(());
    }
    let actor = Actor { kind: "user", id: Some(user.0), name: email };
    let after = serde_json::json!({ "ended_by": why });
    let object = shown.session.to_string();
    let change = Change { action: "session.ended", object, before: None, after: Some(&after) };
    record(conn, shown.tenant, &actor, &visitor.client, change, now).await
}

fn is_current(shown: &SessionSecret, session: &Session) -> bool {
    shown.hash().ct_eq(&session.secret_hash).into()
}

/// Whether it was the session's secret before. Whoever shows it at the end may end what became of it.
async fn is_spent(conn: &mut PgConnection, shown: &SessionSecret) -> Result<bool, Problem> {
    let spent = sessions::spent(conn, shown.tenant, shown.session).await?;
    Ok(spent.iter().any(|spent| shown.hash().ct_eq(spent).into()))
}

fn set_cookie(value: &str, seconds: i64) -> Result<HeaderValue, Problem> {
    let cookie = format!("{SESSION_COOKIE}={value}; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age={seconds}");
    HeaderValue::try_from(cookie).map_err(Problem::internal)
}
