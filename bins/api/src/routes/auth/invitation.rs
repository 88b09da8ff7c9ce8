//! Acceptance of an invitation: its secret sets the user's password, once.

use regua_store::users::{self, Credentials};

use super::login::find_tenant;
use crate::callers::{Actor, UnauthenticatedRequest};
use crate::credentials::{keys, password};
use crate::http::error::TokenProblems;
use crate::routes::kit::*;

body! {
    pub(super) struct InvitationRequest {
        #[example = "acme"]
        tenant: Line<1, 63>,
        #[example = "maria@acme.example"]
        email: Line<3, 254>,
        /// The secret of the invitation.
        invitation: Line<1, 100>,
        /// 12 to 128 characters, not easy to guess.
        password: Password<12>,
    }
}

/// Sets the password of an invited user. An invitation works once; the user logs in afterwards.
#[utoipa::path(
    post, path = "/invitation", security(()), request_body = InvitationRequest,
    responses((status = 204, description = "The password is set"), TokenProblems)
)]
pub(super) async fn accept_invitation(request: UnauthenticatedRequest, mut body: Draft<InvitationRequest>) -> Done {
    let context = &request.context;
    let email = body.email.as_deref().unwrap_or_default().trim().to_lowercase();
    if let Some((code, text)) = body.password.as_ref().and_then(|password| password::fault(password, &email)) {
        body.refuse("password", code, &text);
    }
    let InvitationRequest { tenant: slug, email: _, invitation, password } = body.finish()?;

    let refused = || Problem::of(Code::TokenInvalid);
    let now = context.clock.now();
    let permit = request.password_permit()?;
    let look_up = request.begin_look_up().await?;
    let tenant = find_tenant(context, &slug).await?;
    let mut transaction = context.database.begin_check(tenant).await?;
    let credentials = users::credentials(&mut transaction, tenant, &email).await?;
    transaction.commit().await?;
    let charge = look_up.end();
    let hash = credentials.as_ref().and_then(|user| user.invitation_hash.as_deref());
    let is_match = keys::has_hash(&invitation, hash);
    let is_valid = |user: &Credentials| user.active && user.invitation_expires_at.is_some_and(|end| now < end);
    let user = credentials.filter(|user| is_match && is_valid(user)).ok_or_else(refused)?;
    let hash = context.passwords.hash(&permit, password).await?;
    let work = async |conn: &mut PgConnection, now| {
        let invitation = user.invitation_hash.as_deref();
        let is_accepted = users::accept_invitation(conn, tenant, user.user_id, invitation, &hash, now).await?;
        if is_accepted { Ok(((), ())) } else { Err(refused()) }
    };
    Actor::user(&request, tenant, user.user_id, &user.email).change("invitation.accepted", user.user_id, work).await?;
    request.accept(tenant, Some(charge));
    Ok(DONE)
}
