//! An invitation: whoever holds its secret chooses the password, once.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use regua_store::users;
use regua_store::{access, tenants};
use utoipa::ToSchema;

use crate::Context;
use crate::error::{Code, DONE, Problem, TokenProblems};
use crate::form::Form;
use crate::keys;
use crate::people::{Actor, Change, JsonBody, Visitor, password_fault, record};

/// An invitation and the password that is chosen with it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes the body; a form reads it, so that all that is wrong is answered at once")]
pub(super) struct InvitationRequest {
    /// The tenant's slug.
    #[schema(example = "acme", min_length = 1, max_length = 63)]
    tenant: String,
    #[schema(example = "maria@acme.example", min_length = 3, max_length = 254)]
    email: String,
    /// As it was given out.
    #[schema(min_length = 1, max_length = 100)]
    invitation: String,
    /// 12 to 128 characters, and not easy to guess.
    #[schema(min_length = 12, max_length = 128)]
    password: String,
}

/// Chooses a password with an invitation, which is used up by it. Then log in.
#[utoipa::path(
    post, path = "/invitation", operation_id = "accept_invitation", tag = "auth", security(()), request_body = InvitationRequest,
    responses((status = 204, description = "The password is set"), TokenProblems)
)]
pub(super) async fn accept(
    State(context): State<Context>,
    visitor: Visitor,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let mut form = Form::read(&body, visitor.language)?;
    let slug = form.required_text("tenant", 63);
    let email = form.required_text("email", 254).trim().to_lowercase();
    let invitation = form.required_text("invitation", 100);
    let password = form.required_text("password", 128);
    if let Some((code, portuguese, english)) = password_fault(&password, &email).filter(|_| !password.is_empty()) {
        let message = form.language.pick(portuguese, english);
        form.refuse("password", code, message);
    }
    form.finish()?;

    let refused = || Problem::of(Code::TokenInvalid);
    let now = context.clock.now();
    let mut transaction = access::begin_slug(&context.pool, &slug).await?;
    let tenant = tenants::by_slug(&mut transaction, &slug).await?.ok_or_else(refused)?;
    access::enter(&mut transaction, tenant).await?;
    let found = users::credentials(&mut transaction, tenant, &email).await?;
    transaction.commit().await?;
    let is_right = keys::has_hash(&invitation, found.as_ref().and_then(|found| found.invitation_hash.as_deref()));
    let found =
        found.filter(|found| is_right && found.active && found.invitation_expires_at.is_some_and(|end| now < end));
    let found = found.ok_or_else(refused)?;
    let hash = context.passwords.hash(password).await?;

    let mut transaction = access::begin(&context.pool, tenant).await?;
    let conn = &mut *transaction;
    if !users::accept(conn, tenant, found.user_id, found.invitation_hash.as_deref(), &hash, now).await? {
        return Err(refused());
    }
    let actor = Actor { kind: "user", id: Some(found.user_id.0), name: &found.email };
    let change = Change { action: "invitation.accepted", object: found.user_id.to_string(), ..Change::default() };
    record(conn, tenant, &actor, &visitor.client, change, now).await?;
    transaction.commit().await?;
    context.limits.welcome(visitor.client.address);
    Ok(DONE.into_response())
}
