//! What somebody sees and changes of themselves.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use regua_domain::TenantId;
use regua_store::users::{self, Credentials};
use regua_store::{access, sessions, tenants};
use serde::Serialize;
use sqlx::PgConnection;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::Context;
use crate::error::{Code, DONE, PersonChangeProblems, PersonProblems, Problem};
use crate::form::Form;
use crate::people::{Access, Actor, Change, JsonBody, Person, password_fault, record};

/// Whoever asks.
#[derive(Serialize, ToSchema)]
pub(super) struct Me {
    user_id: Uuid,
    email: String,
    name: String,
    #[schema(example = "operator")]
    role: String,
    /// Whether a second factor is asked for.
    totp: bool,
    /// Where they are a user.
    tenant_id: Uuid,
    tenant: String,
    tenant_name: String,
}

/// Who is logged in.
#[utoipa::path(
    get, path = "/me", operation_id = "me", tag = "auth", security(("bearer" = []), ("session" = [])),
    responses((status = 200, description = "Whoever asks", body = Me), PersonProblems)
)]
pub(super) async fn me(State(context): State<Context>, access: Access) -> Result<Json<Me>, Problem> {
    let Person { home, user, .. } = access.somebody()?;
    let mut transaction = access::begin(&context.pool, home).await?;
    let person = users::lock(&mut transaction, home, user).await?.ok_or_else(|| Problem::of(Code::NotAuthenticated))?;
    let tenant = tenants::find(&mut transaction, home).await?.ok_or_else(|| Problem::of(Code::NotAuthenticated))?;
    transaction.commit().await?;
    Ok(Json(Me {
        user_id: user.0,
        email: person.email,
        name: person.name,
        role: person.role,
        totp: person.has_totp,
        tenant_id: home.0,
        tenant: tenant.slug,
        tenant_name: tenant.name,
    }))
}

/// Two passwords.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes the body; a form reads it, so that all that is wrong is answered at once")]
pub(super) struct PasswordRequest {
    #[schema(min_length = 1, max_length = 128)]
    current: String,
    /// 12 to 128 characters, and not easy to guess.
    #[schema(min_length = 12, max_length = 128)]
    password: String,
}

/// Changes one's own password. All logins end, this one too.
#[utoipa::path(
    post, path = "/password", operation_id = "change_password", tag = "auth",
    security(("bearer" = []), ("session" = [])), request_body = PasswordRequest,
    responses((status = 204, description = "Changed"), PersonChangeProblems)
)]
pub(super) async fn change_password(
    State(context): State<Context>,
    access: Access,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let person = access.somebody()?;
    let mut form = Form::read(&body, access.language)?;
    let current = form.required_text("current", 128);
    let password = form.required_text("password", 128);
    if let Some((code, portuguese, english)) = password_fault(&password, &access.name).filter(|_| !password.is_empty())
    {
        let message = form.language.pick(portuguese, english);
        form.refuse("password", code, message);
    }
    form.finish()?;
    let checked = prove(&context, &access, person, current).await?;
    let hash = context.passwords.hash(password).await?;
    let now = context.clock.now();
    let mut transaction = access::begin(&context.pool, person.home).await?;
    let conn = &mut *transaction;
    if !users::set_password(conn, person.home, &checked, &hash, now).await? {
        return Err(Problem::of(Code::NotAuthenticated));
    }
    sessions::end(conn, person.home, person.user, None, "password", now).await?;
    note(conn, &access, person, "password.changed", now).await?;
    transaction.commit().await?;
    Ok(DONE.into_response())
}

/// Somebody at an open console is not yet its owner: what decides who comes in is changed with the password in hand. Wrong ones
/// count as at a login.
pub(super) async fn prove(
    context: &Context,
    access: &Access,
    person: Person,
    password: String,
) -> Result<Credentials, Problem> {
    let found = super::login::counted(context, &access.client, person.home, &access.name).await?;
    let found = found.ok_or_else(|| Problem::of(Code::NotAuthenticated))?;
    if !context.passwords.fits(password, found.password_hash.clone()).await? {
        let message = access.language.pick("A senha atual não confere.", "The current password is not right.");
        return Err(Problem::field("current", "wrong_password", message.to_owned()));
    }
    forgive(context, access, person.home).await?;
    Ok(found)
}

async fn forgive(context: &Context, access: &Access, tenant: TenantId) -> Result<(), Problem> {
    let mut transaction = access::begin(&context.pool, tenant).await?;
    regua_store::login_failures::forget(&mut transaction, tenant, &access.name, access.client.network()).await?;
    Ok(transaction.commit().await?)
}

/// Writes down what somebody changed of themselves, where they are a user.
pub(super) async fn note(
    conn: &mut PgConnection,
    access: &Access,
    person: Person,
    action: &'static str,
    now: chrono::DateTime<chrono::Utc>,
) -> Result<(), Problem> {
    let actor = Actor { kind: "user", id: Some(person.user.0), name: &access.name };
    let change = Change { action, object: person.user.to_string(), ..Change::default() };
    record(conn, person.home, &actor, &access.client, change, now).await
}
