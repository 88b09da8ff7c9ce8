//! The logged-in user, and a change of the user's own password.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use regua_domain::{ActorKind, Email, SessionEnd, Slug, Text, UserRole};
use regua_store::users::{self, Credentials};
use regua_store::{access, login_failures, sessions, tenants};
use serde::Serialize;
use sqlx::PgConnection;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::callers::{Access, Actor, Change, SessionUser, record};
use crate::context::Context;
use crate::credentials::password;
use crate::http::error::{UserChangeProblems, UserReadProblems};
use crate::http::{Code, DONE, Form, JsonBody, Problem};

#[derive(Serialize, ToSchema)]
pub(super) struct Me {
    user_id: Uuid,
    #[schema(value_type = String)]
    email: Email,
    name: String,
    #[schema(value_type = String, example = "operator")]
    role: UserRole,
    /// Whether a login needs a second factor.
    totp: bool,
    tenant_id: Uuid,
    #[schema(value_type = String)]
    tenant: Slug,
    tenant_name: String,
}

/// The logged-in user.
#[utoipa::path(
    get, path = "/me", operation_id = "me", tag = "auth", security(("bearer" = []), ("session" = [])),
    responses((status = 200, description = "The user", body = Me), UserReadProblems)
)]
pub(super) async fn me(State(context): State<Context>, access: Access) -> Result<Json<Me>, Problem> {
    let SessionUser { home, id } = access.logged_in_user()?;
    let mut transaction = access::begin(&context.pool, home).await?;
    let user = users::lock(&mut transaction, home, id).await?.ok_or_else(|| Problem::of(Code::NotAuthenticated))?;
    let tenant = tenants::find(&mut transaction, home).await?.ok_or_else(|| Problem::of(Code::NotAuthenticated))?;
    transaction.commit().await?;
    Ok(Json(Me {
        user_id: id.0,
        email: user.email,
        name: user.name,
        role: user.role,
        totp: user.has_totp,
        tenant_id: home.0,
        tenant: tenant.slug,
        tenant_name: tenant.name,
    }))
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "OpenAPI schema only: `Form` reads the body and reports every fault at once")]
pub(super) struct PasswordRequest {
    #[schema(min_length = 1, max_length = 128)]
    current: String,
    /// The new password: 12 to 128 characters, not easy to guess.
    #[schema(min_length = 12, max_length = 128)]
    password: String,
}

/// Changes the user's own password and ends all of the user's logins, this one included.
#[utoipa::path(
    post, path = "/password", operation_id = "change_password", tag = "auth",
    security(("bearer" = []), ("session" = [])), request_body = PasswordRequest,
    responses((status = 204, description = "Changed"), UserChangeProblems)
)]
pub(super) async fn change_password(
    State(context): State<Context>,
    access: Access,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let user = access.logged_in_user()?;
    let mut form = Form::read(&body, access.language)?;
    let current = form.required_text("current", 128);
    let password = form.required_text("password", 128);
    if let Some((code, text)) = password::fault(&password, &access.name).filter(|_| !password.is_empty()) {
        form.refuse("password", code, &text);
    }
    form.finish()?;
    let credentials = verify_current_password(&context, &access, user, current).await?;
    let hash = context.passwords.hash(password).await.map_err(Problem::internal)?;
    let now = context.clock.now();
    let mut transaction = access::begin(&context.pool, user.home).await?;
    let conn = &mut *transaction;
    if !users::set_password(conn, user.home, &credentials, &hash, now).await? {
        return Err(Problem::of(Code::NotAuthenticated));
    }
    sessions::end(conn, user.home, user.id, None, SessionEnd::Password, now).await?;
    audit(conn, &access, user, "password.changed", now).await?;
    transaction.commit().await?;
    Ok(DONE.into_response())
}

/// A session alone does not change credentials: the user gives the current password again. A wrong one counts as a
/// failed login.
pub(super) async fn verify_current_password(
    context: &Context,
    access: &Access,
    user: SessionUser,
    password: String,
) -> Result<Credentials, Problem> {
    let credentials = super::login::admit_login(context, &access.client, user.home, &access.name).await?;
    let credentials = credentials.ok_or_else(|| Problem::of(Code::NotAuthenticated))?;
    if !context.passwords.verify(password, credentials.password_hash.clone()).await.map_err(Problem::internal)? {
        return Err(Problem::field("current", "wrong_password", &Text::of("password-wrong"), access.language));
    }
    let mut transaction = access::begin(&context.pool, user.home).await?;
    login_failures::clear(&mut transaction, user.home, &access.name, access.client.network()).await?;
    transaction.commit().await?;
    Ok(credentials)
}

/// Audits a change of a user's own credentials, in the log of the user's tenant.
pub(super) async fn audit(
    conn: &mut PgConnection,
    access: &Access,
    user: SessionUser,
    action: &'static str,
    now: chrono::DateTime<chrono::Utc>,
) -> Result<(), Problem> {
    let actor = Actor { kind: ActorKind::User, id: Some(user.id.0), name: &access.name };
    let change = Change { action, object: user.id.to_string(), ..Change::default() };
    record(conn, user.home, &actor, &access.client, change, now).await
}
