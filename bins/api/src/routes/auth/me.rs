//! The logged-in user, and a change of the user's own password.

use regua_domain::{ActorKind, Email, SessionEnd, Slug, UserRole};
use regua_store::users::{self, Credentials};
use regua_store::{access, login_failures, sessions, tenants};

use crate::callers::{Actor, SessionUser, record};
use crate::credentials::password;
use crate::routes::kit::*;

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
#[utoipa::path(get, path = "/me", responses((status = 200, description = "The user", body = Me)))]
pub(super) async fn me(access: Access<Read>) -> Answer<Me> {
    let SessionUser { home, id } = access.logged_in_user()?;
    let mut transaction = access::begin(&access.context.pool, home).await?;
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

body! {
    pub(super) struct PasswordRequest {
        current: Line<1, 128>,
        /// The new password: 12 to 128 characters, not easy to guess.
        password: Line<12, 128>,
    }
}

/// Changes the user's own password and ends all of the user's logins, this one included.
#[utoipa::path(
    post, path = "/password", request_body = PasswordRequest, responses((status = 204, description = "Changed"))
)]
pub(super) async fn change_password(access: Access<Read>, mut body: Draft<PasswordRequest>) -> Done {
    let (user, context) = (access.logged_in_user()?, &access.context);
    if let Some((code, text)) = body.password.as_ref().and_then(|password| password::fault(password, &access.name)) {
        body.refuse("password", code, &text);
    }
    let PasswordRequest { current, password } = body.finish()?;
    let credentials = verify_current_password(&access, user, current).await?;
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
    Ok(DONE)
}

/// A session alone does not change credentials: the user gives the current password again. A wrong one counts as a
/// failed login.
pub(super) async fn verify_current_password(
    access: &Principal,
    user: SessionUser,
    password: String,
) -> Result<Credentials, Problem> {
    let context = &access.context;
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
    access: &Principal,
    user: SessionUser,
    action: &'static str,
    now: DateTime<Utc>,
) -> Result<(), Problem> {
    let actor = Actor { kind: ActorKind::User, id: Some(user.id.0), name: &access.name };
    record(conn, user.home, &actor, &access.client, Change::new(action, user.id, &(), &())?, now).await
}
