//! The logged-in user, and a change of the user's own password.

use regua_domain::{Email, SessionEnd, Slug, UserRole};
use regua_store::users::{self, Credentials};
use regua_store::{login_failures, sessions, tenants};

use super::login::admit_login;
use crate::credentials::password;
use crate::limits::Permit;
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
    let (id, access) = access.own_account()?;
    let work = async |conn: &mut PgConnection| {
        let user = users::lock(conn, access.tenant_id, id).await?;
        tenants::find(conn, access.tenant_id).await.map(|tenant| user.zip(tenant))
    };
    let (user, tenant) = access.read(work).await?.ok_or_else(|| Problem::of(Code::NotAuthenticated))?;
    Ok(Json(Me {
        user_id: id.0,
        email: user.email,
        name: user.name,
        role: user.role,
        totp: user.has_totp,
        tenant_id: access.tenant_id.0,
        tenant: tenant.slug,
        tenant_name: tenant.name,
    }))
}

body! {
    pub(super) struct PasswordRequest {
        current: Password<1>,
        /// The new password: 12 to 128 characters, not easy to guess.
        password: Password<12>,
    }
}

/// Changes the user's own password and ends all of the user's logins, this one included.
#[utoipa::path(
    post, path = "/password", request_body = PasswordRequest, responses((status = 204, description = "Changed"))
)]
pub(super) async fn change_password(access: Access<Read>, mut body: Draft<PasswordRequest>) -> Done {
    let (id, access) = access.own_account()?;
    if let Some((code, text)) = body.password.as_ref().and_then(|password| password::fault(password, &access.name)) {
        body.refuse("password", code, &text);
    }
    let PasswordRequest { current, password } = body.finish()?;
    let permit = password_permit(&access)?;
    let credentials = verify_current_password(&access, &permit, current).await?;
    forget_failures(&access).await?;
    let hash = access.context.passwords.hash(&permit, password).await?;
    let work = async |conn: &mut PgConnection, now| {
        if !users::set_password(conn, access.tenant_id, &credentials, &hash, now).await? {
            return Err(Problem::of(Code::NotAuthenticated));
        }
        sessions::end(conn, access.tenant_id, id, None, SessionEnd::Password, now).await?;
        Ok(((), ()))
    };
    access.change("password.changed", id, work).await?;
    Ok(DONE)
}

/// A permit for the password checks of a user's request, taken before any other work. A user with a session is known.
pub(super) fn password_permit(access: &Principal) -> Result<Permit, Problem> {
    Ok(access.context.limits.password_checks.take(access.client.address, true)?)
}

/// A session alone does not change credentials: the user gives the current password again. A wrong one counts as a
/// failed login, and so does every call until [`forget_failures`]. The principal acts for the user's own tenant.
pub(super) async fn verify_current_password(
    access: &Principal,
    permit: &Permit,
    password: String,
) -> Result<Credentials, Problem> {
    let (context, tenant) = (&access.context, access.tenant_id);
    let credentials = admit_login(context, &access.client, tenant, &access.name, None).await?;
    let credentials = credentials.ok_or_else(|| Problem::of(Code::NotAuthenticated))?;
    if !context.passwords.verify(permit, password, credentials.password_hash.clone()).await? {
        return Err(Problem::field("current", "wrong_password", &Text::of("password-wrong"), access.language));
    }
    Ok(credentials)
}

/// Deletes the failed logins of the user's network, because the user gave everything that the change requires.
pub(super) async fn forget_failures(access: &Principal) -> Result<(), Problem> {
    let (tenant, network) = (access.tenant_id, access.client.network());
    let clear =
        async |conn: &mut PgConnection, _| Ok(login_failures::clear(conn, tenant, &access.name, network).await?);
    access.transact(clear).await
}
