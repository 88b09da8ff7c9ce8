//! Acceptance of an invitation: its secret sets the user's password, once.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use regua_domain::ActorKind;
use regua_store::users::{self, Credentials};
use regua_store::{access, tenants};
use utoipa::ToSchema;

use crate::callers::{Actor, Change, UnauthenticatedRequest, record};
use crate::context::Context;
use crate::credentials::{keys, password};
use crate::http::error::TokenProblems;
use crate::http::{Code, DONE, Form, JsonBody, Problem};

#[derive(ToSchema)]
#[expect(dead_code, reason = "OpenAPI schema only: `Form` reads the body and reports every fault at once")]
pub(super) struct InvitationRequest {
    #[schema(example = "acme", min_length = 1, max_length = 63)]
    tenant: String,
    #[schema(example = "maria@acme.example", min_length = 3, max_length = 254)]
    email: String,
    /// The secret of the invitation.
    #[schema(min_length = 1, max_length = 100)]
    invitation: String,
    /// 12 to 128 characters, not easy to guess.
    #[schema(min_length = 12, max_length = 128)]
    password: String,
}

/// Sets the password of an invited user. An invitation works once; the user logs in afterwards.
#[utoipa::path(
    post, path = "/invitation", operation_id = "accept_invitation", tag = "auth", security(()), request_body = InvitationRequest,
    responses((status = 204, description = "The password is set"), TokenProblems)
)]
pub(super) async fn accept(
    State(context): State<Context>,
    request: UnauthenticatedRequest,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let mut form = Form::read(&body, request.language)?;
    let slug = form.required_text("tenant", 63);
    let email = form.required_text("email", 254).trim().to_lowercase();
    let invitation = form.required_text("invitation", 100);
    let password = form.required_text("password", 128);
    if let Some((code, text)) = password::fault(&password, &email).filter(|_| !password.is_empty()) {
        form.refuse("password", code, &text);
    }
    form.finish()?;

    let refused = || Problem::of(Code::TokenInvalid);
    let now = context.clock.now();
    let mut transaction = access::begin_slug(&context.pool, &slug).await?;
    let tenant = tenants::find_by_slug(&mut transaction, &slug).await?.ok_or_else(refused)?;
    access::set_tenant(&mut transaction, tenant).await?;
    let credentials = users::credentials(&mut transaction, tenant, &email).await?;
    transaction.commit().await?;
    let hash = credentials.as_ref().and_then(|user| user.invitation_hash.as_deref());
    let is_match = keys::has_hash(&invitation, hash);
    let is_valid = |user: &Credentials| user.active && user.invitation_expires_at.is_some_and(|end| now < end);
    let user = credentials.filter(|user| is_match && is_valid(user)).ok_or_else(refused)?;
    let hash = context.passwords.hash(password).await.map_err(Problem::internal)?;

    let mut transaction = access::begin(&context.pool, tenant).await?;
    let conn = &mut *transaction;
    if !users::accept_invitation(conn, tenant, user.user_id, user.invitation_hash.as_deref(), &hash, now).await? {
        return Err(refused());
    }
    let actor = Actor { kind: ActorKind::User, id: Some(user.user_id.0), name: user.email.as_str() };
    let change = Change { action: "invitation.accepted", object: user.user_id.to_string(), ..Change::default() };
    record(conn, tenant, &actor, &request.client, change, now).await?;
    transaction.commit().await?;
    context.limits.rates.refund_login(request.client.address);
    Ok(DONE.into_response())
}
