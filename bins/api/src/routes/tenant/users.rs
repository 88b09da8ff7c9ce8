//! The users of a tenant: invite, change, deactivate. An owner cannot set the password of another user; the user sets
//! it with an invitation.

mod shape;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, TimeDelta, Utc};
use regua_domain::{Capability, SessionEnd, Text, UserId, UserRole};
use regua_store::sessions;
use regua_store::users::{self, NewUser, User};
use sqlx::PgConnection;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use self::shape::{InviteRequest, Invited, UserRequest, UserView, Users, read_email, read_role};
use crate::callers::{Access, Change, snapshot};
use crate::context::Context;
use crate::credentials::{keys, random_bytes};
use crate::http::error::{UserActionProblems, UserChangeProblems, UserReadProblems};
use crate::http::{CREATED, Code, DONE, Form, InPath, JsonBody, Problem};

const MAX_USERS: usize = 500;
const INVITATION_LIFETIME: TimeDelta = TimeDelta::days(7);

pub(super) fn router() -> OpenApiRouter<Context> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(replace))
        .routes(routes!(invite))
        .routes(routes!(end_sessions))
}

/// The tenant's users.
#[utoipa::path(
    get, path = "/users", operation_id = "list_users", tag = "admin", security(("bearer" = []), ("session" = [])),
    responses((status = 200, description = "All users", body = Users), UserReadProblems)
)]
async fn list(State(context): State<Context>, access: Access) -> Result<Json<Users>, Problem> {
    access.require(Capability::Administer)?;
    let mut transaction = access.begin(&context).await?;
    let found = users::list(&mut transaction, access.tenant_id).await?;
    transaction.commit().await?;
    Ok(Json(Users { items: found.iter().map(UserView::from).collect() }))
}

/// Invites a user. Only the answer contains the invitation; pass it on to the user.
#[utoipa::path(
    post, path = "/users", operation_id = "invite_user", tag = "admin", security(("bearer" = []), ("session" = [])),
    request_body = InviteRequest, responses((status = 201, description = "Invited", body = Invited), UserChangeProblems)
)]
async fn create(State(context): State<Context>, access: Access, JsonBody(body): JsonBody) -> Result<Response, Problem> {
    access.require(Capability::Administer)?;
    let mut form = Form::read(&body, access.language)?;
    let email = read_email(&mut form);
    let name = form.required_text("name", 200);
    let role = read_role(&mut form, &access);
    form.finish()?;
    let (email, role) = (email.ok_or(Problem::of(Code::ValidationFailed))?, role?);
    let now = context.clock.now();
    let (invitation, hash) = keys::secret_with_hash(&random_bytes()?);
    let user_id = UserId::new(now);
    let new = NewUser {
        tenant_id: access.tenant_id,
        user_id,
        email: &email,
        name: &name,
        role,
        invitation_hash: &hash,
        invitation_expires_at: now + INVITATION_LIFETIME,
    };
    let mut transaction = access.begin(&context).await?;
    users::lock_user_changes(&mut transaction, access.tenant_id).await?;
    if users::list(&mut transaction, access.tenant_id).await?.len() >= MAX_USERS {
        return Err(too_many());
    }
    if !users::create(&mut transaction, &new, now).await? {
        return Err(Problem::with_detail(Code::NameTaken, Text::of("user-email-taken").with("email", email)));
    }
    let user = get(&mut transaction, &access, user_id.0).await?;
    audit(&mut transaction, &access, "user.invited", None, &user, now).await?;
    transaction.commit().await?;
    let user = UserView::from(&user);
    Ok((CREATED, Json(Invited { invitation, invitation_expires_at: now + INVITATION_LIFETIME, user })).into_response())
}

/// Changes a user's name and role, or deactivates the user. A tenant keeps at least one owner.
#[utoipa::path(
    put, path = "/users/{user_id}", operation_id = "replace_user", tag = "admin", security(("bearer" = []), ("session" = [])),
    params(("user_id" = Uuid, Path)), request_body = UserRequest,
    responses((status = 200, description = "The changed user", body = UserView), UserChangeProblems)
)]
async fn replace(
    State(context): State<Context>,
    access: Access,
    InPath(id): InPath<Uuid>,
    JsonBody(body): JsonBody,
) -> Result<Json<UserView>, Problem> {
    access.require(Capability::Administer)?;
    let mut form = Form::read(&body, access.language)?;
    let name = form.required_text("name", 200);
    let role = read_role(&mut form, &access);
    let active = form.boolean("active").unwrap_or(true);
    form.finish()?;
    let role = role?;
    let now = context.clock.now();
    let mut transaction = access.begin(&context).await?;
    let conn = &mut *transaction;
    users::lock_user_changes(conn, access.tenant_id).await?;
    let before = get(conn, &access, id).await?;
    require_authority_over(&access, &before)?;
    let after = User { name, role, active, ..before.clone() };
    let remains_owner = active && role.may(Capability::Administer);
    if !remains_owner
        && before.role.may(Capability::Administer)
        && users::count_other_owners(conn, access.tenant_id, before.user_id).await? == 0
    {
        return Err(last_owner());
    }
    users::update(conn, access.tenant_id, &after, now).await?;
    if !active {
        sessions::end(conn, access.tenant_id, after.user_id, None, SessionEnd::Administrator, now).await?;
    }
    audit(conn, &access, "user.updated", Some(&before), &after, now).await?;
    transaction.commit().await?;
    Ok(Json((&after).into()))
}

/// Invites a user again who has lost the password or the second factor. Both are deleted, and all logins of the user
/// end.
#[utoipa::path(
    post, path = "/users/{user_id}/invitation", operation_id = "invite_user_again", tag = "admin",
    security(("bearer" = []), ("session" = [])), params(("user_id" = Uuid, Path)),
    responses((status = 201, description = "Invited", body = Invited), UserActionProblems)
)]
async fn invite(State(context): State<Context>, access: Access, InPath(id): InPath<Uuid>) -> Result<Response, Problem> {
    access.require(Capability::Administer)?;
    let now = context.clock.now();
    let mut transaction = access.begin(&context).await?;
    let conn = &mut *transaction;
    users::lock_user_changes(conn, access.tenant_id).await?;
    let user = get(conn, &access, id).await?;
    require_authority_over(&access, &user)?;
    if access.user.is_some_and(|caller| caller.id == user.user_id) {
        return Err(own_invitation());
    }
    if user.role.may(Capability::Administer)
        && users::count_other_owners(conn, access.tenant_id, user.user_id).await? == 0
        && access.role != UserRole::Platform
    {
        return Err(last_owner());
    }
    let ((invitation, hash), expires_at) = (keys::secret_with_hash(&random_bytes()?), now + INVITATION_LIFETIME);
    users::invite(conn, access.tenant_id, user.user_id, &hash, expires_at, now).await?;
    sessions::end(conn, access.tenant_id, user.user_id, None, SessionEnd::Administrator, now).await?;
    let after = User { invited: true, has_totp: false, ..user.clone() };
    audit(conn, &access, "user.invited", Some(&user), &after, now).await?;
    transaction.commit().await?;
    let user = UserView::from(&after);
    Ok((CREATED, Json(Invited { invitation, invitation_expires_at: expires_at, user })).into_response())
}

/// Ends all logins of a user.
#[utoipa::path(
    delete, path = "/users/{user_id}/sessions", operation_id = "end_user_sessions", tag = "admin",
    security(("bearer" = []), ("session" = [])), params(("user_id" = Uuid, Path)),
    responses((status = 204, description = "Ended"), UserActionProblems)
)]
async fn end_sessions(
    State(context): State<Context>,
    access: Access,
    InPath(id): InPath<Uuid>,
) -> Result<Response, Problem> {
    access.require(Capability::Administer)?;
    let now = context.clock.now();
    let mut transaction = access.begin(&context).await?;
    let user = get(&mut transaction, &access, id).await?;
    require_authority_over(&access, &user)?;
    sessions::end(&mut transaction, access.tenant_id, user.user_id, None, SessionEnd::Administrator, now).await?;
    let change = Change { action: "user.logged_out", object: id.to_string(), ..Change::default() };
    access.record(&mut transaction, change, now).await?;
    transaction.commit().await?;
    Ok(DONE.into_response())
}

async fn get(conn: &mut PgConnection, access: &Access, id: Uuid) -> Result<User, Problem> {
    users::lock(conn, access.tenant_id, UserId(id)).await?.ok_or_else(|| Problem::of(Code::NotFound))
}

async fn audit(
    conn: &mut PgConnection,
    access: &Access,
    action: &'static str,
    before: Option<&User>,
    after: &User,
    now: DateTime<Utc>,
) -> Result<(), Problem> {
    let object = after.user_id.to_string();
    let before = before.map(|before| snapshot(&UserView::from(before))).transpose()?;
    let after = snapshot(&UserView::from(after))?;
    access.record(conn, Change { action, object, before: before.as_ref(), after: Some(&after) }, now).await
}

/// Refuses to change a user whose role allows more than the caller's.
fn require_authority_over(access: &Access, user: &User) -> Result<(), Problem> {
    if access.role.may_give(user.role) { Ok(()) } else { Err(Problem::of(Code::Forbidden)) }
}

fn last_owner() -> Problem {
    Problem::with_detail(Code::StateConflict, Text::of("user-last-owner"))
}

fn own_invitation() -> Problem {
    Problem::with_detail(Code::StateConflict, Text::of("user-own-invitation"))
}

fn too_many() -> Problem {
    Problem::with_detail(Code::StateConflict, Text::of("user-too-many").with("most", MAX_USERS))
}
