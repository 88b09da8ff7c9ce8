//! The people of a tenant: invited, given a role, switched off. Nobody sets another's password: an invitation is passed on, and
//! whoever has it chooses one.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, TimeDelta, Utc};
use regua_domain::{Right, UserId, UserRole};
use regua_store::sessions;
use regua_store::users::{self, NewUser, User};
use serde::Serialize;
use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::{InPath, noted};
use crate::Context;
use crate::error::{CREATED, Code, DONE, PersonActionProblems, PersonChangeProblems, PersonProblems, Problem};
use crate::form::Form;
use crate::people::{Access, Change, JsonBody, random_secret};

/// More people than look after any tenant.
const MOST_USERS: usize = 500;
/// How long an invitation is good.
const INVITED_FOR: TimeDelta = TimeDelta::days(7);

pub(super) fn router() -> OpenApiRouter<Context> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(replace))
        .routes(routes!(invite))
        .routes(routes!(end_sessions))
}

/// A person.
#[derive(Serialize, ToSchema)]
#[schema(as = User)]
struct UserView {
    user_id: Uuid,
    email: String,
    name: String,
    #[schema(schema_with = role_schema)]
    role: String,
    active: bool,
    /// Has not chosen a password yet.
    invited: bool,
    /// Is asked for a second factor.
    totp: bool,
    last_login_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
}

impl From<&User> for UserView {
    fn from(user: &User) -> Self {
        Self {
            user_id: user.user_id.0,
            email: user.email.clone(),
            name: user.name.clone(),
            role: user.role.clone(),
            active: user.active,
            invited: user.invited,
            totp: user.has_totp,
            last_login_at: user.last_login_at,
            created_at: user.created_at,
        }
    }
}

/// All people.
#[derive(Serialize, ToSchema)]
struct Users {
    items: Vec<UserView>,
}

/// Somebody to be invited.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes the body; a form reads it, so that all that is wrong is answered at once")]
struct InviteRequest {
    #[schema(example = "maria@acme.example", min_length = 3, max_length = 254)]
    email: String,
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    #[schema(schema_with = role_schema)]
    role: String,
}

/// What is changed of somebody.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes the body; a form reads it, so that all that is wrong is answered at once")]
struct UserRequest {
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    #[schema(schema_with = role_schema)]
    role: String,
    /// True unless given; false ends all logins.
    active: Option<bool>,
}

/// Somebody with their invitation, which is answered this once.
#[derive(Serialize, ToSchema)]
struct Invited {
    /// To be passed on; it is used at `POST /api/v1/auth/invitation`.
    invitation: String,
    invitation_expires_at: DateTime<Utc>,
    user: UserView,
}

/// The tenant's people.
#[utoipa::path(
    get, path = "/users", operation_id = "list_users", tag = "admin", security(("bearer" = []), ("session" = [])),
    responses((status = 200, description = "All people", body = Users), PersonProblems)
)]
async fn list(State(context): State<Context>, access: Access) -> Result<Json<Users>, Problem> {
    access.require(Right::Own)?;
    let mut transaction = access.begin(&context).await?;
    let found = users::list(&mut transaction, access.tenant_id).await?;
    transaction.commit().await?;
    Ok(Json(Users { items: found.iter().map(UserView::from).collect() }))
}

/// Invites somebody. The invitation is in the answer, to be passed on, and nowhere else.
#[utoipa::path(
    post, path = "/users", operation_id = "invite_user", tag = "admin", security(("bearer" = []), ("session" = [])),
    request_body = InviteRequest, responses((status = 201, description = "Invited", body = Invited), PersonChangeProblems)
)]
async fn create(State(context): State<Context>, access: Access, JsonBody(body): JsonBody) -> Result<Response, Problem> {
    access.require(Right::Own)?;
    let mut form = Form::read(&body, access.language)?;
    let email = form.required_text("email", 254).trim().to_lowercase();
    if !email.is_empty() && (!is_email(&email) || email.chars().count() > 254) {
        let message = form
            .language
            .pick("Escreva um endereço como maria@acme.example.", "Write an address as maria@acme.example.");
        form.refuse("email", "invalid_email", message);
    }
    let name = form.required_text("name", 200);
    let role = role(&mut form, &access);
    form.finish()?;
    let role = role?;
    let now = context.clock.now();
    let invitation = invitation()?;
    let user_id = UserId::new(now);
    let new = NewUser {
        tenant_id: access.tenant_id,
        user_id,
        email: &email,
        name: &name,
        role: role.as_str(),
        invitation_hash: &hash(&invitation),
        invitation_expires_at: now + INVITED_FOR,
    };
    let mut transaction = access.begin(&context).await?;
    users::in_turn(&mut transaction, access.tenant_id).await?;
    if users::list(&mut transaction, access.tenant_id).await?.len() >= MOST_USERS {
        return Err(too_many(&access));
    }
    if !users::create(&mut transaction, &new, now).await? {
        let detail = access.language.pick(
            format!("Já há uma pessoa com o endereço {email}."),
            format!("There is somebody with the address {email} already."),
        );
        return Err(Problem::with_detail(Code::NameTaken, detail));
    }
    let user = get(&mut transaction, &access, user_id.0).await?;
    note(&mut transaction, &access, "user.invited", None, &user, now).await?;
    transaction.commit().await?;
    let user = UserView::from(&user);
    Ok((CREATED, Json(Invited { invitation, invitation_expires_at: now + INVITED_FOR, user })).into_response())
}

/// Changes somebody's name and role, or switches them off. A tenant keeps an owner.
#[utoipa::path(
    put, path = "/users/{user_id}", operation_id = "replace_user", tag = "admin", security(("bearer" = []), ("session" = [])),
    params(("user_id" = Uuid, Path)), request_body = UserRequest,
    responses((status = 200, description = "As they are now", body = UserView), PersonChangeProblems)
)]
async fn replace(
    State(context): State<Context>,
    access: Access,
    InPath(id): InPath,
    JsonBody(body): JsonBody,
) -> Result<Json<UserView>, Problem> {
    access.require(Right::Own)?;
    let mut form = Form::read(&body, access.language)?;
    let name = form.required_text("name", 200);
    let role = role(&mut form, &access);
    let active = form.choice("active").unwrap_or(true);
    form.finish()?;
    let role = role?;
    let now = context.clock.now();
    let mut transaction = access.begin(&context).await?;
    let conn = &mut *transaction;
    users::in_turn(conn, access.tenant_id).await?;
    let before = get(conn, &access, id).await?;
    above(&access, &before)?;
    let after = User { name, role: role.to_string(), active, ..before.clone() };
    let stays = active && role.may(Right::Own);
    if !stays && is_owner(&before)? && users::other_owners(conn, access.tenant_id, before.user_id).await? == 0 {
        return Err(last_owner(&access));
    }
    users::update(conn, access.tenant_id, &after, now).await?;
    if !active {
        sessions::end(conn, access.tenant_id, after.user_id, None, "administrator", now).await?;
    }
    note(conn, &access, "user.updated", Some(&before), &after, now).await?;
    transaction.commit().await?;
    Ok(Json((&after).into()))
}

/// Invites somebody anew, who has lost password or second factor: both are gone, and all their logins end.
#[utoipa::path(
    post, path = "/users/{user_id}/invitation", operation_id = "invite_user_again", tag = "admin",
    security(("bearer" = []), ("session" = [])), params(("user_id" = Uuid, Path)),
    responses((status = 201, description = "Invited", body = Invited), PersonActionProblems)
)]
async fn invite(State(context): State<Context>, access: Access, InPath(id): InPath) -> Result<Response, Problem> {
    access.require(Right::Own)?;
    let now = context.clock.now();
    let mut transaction = access.begin(&context).await?;
    let conn = &mut *transaction;
    users::in_turn(conn, access.tenant_id).await?;
    let user = get(conn, &access, id).await?;
    above(&access, &user)?;
    if access.person.is_some_and(|person| person.user == user.user_id) {
        return Err(oneself(&access));
    }
    if is_owner(&user)?
        && users::other_owners(conn, access.tenant_id, user.user_id).await? == 0
        && access.role != UserRole::Platform
    {
        return Err(last_owner(&access));
    }
    let (invitation, ends) = (invitation()?, now + INVITED_FOR);
    users::invite(conn, access.tenant_id, user.user_id, &hash(&invitation), ends, now).await?;
    sessions::end(conn, access.tenant_id, user.user_id, None, "administrator", now).await?;
    let after = User { invited: true, has_totp: false, ..user.clone() };
    note(conn, &access, "user.invited", Some(&user), &after, now).await?;
    transaction.commit().await?;
    let user = UserView::from(&after);
    Ok((CREATED, Json(Invited { invitation, invitation_expires_at: ends, user })).into_response())
}

/// Ends all logins of somebody.
#[utoipa::path(
    delete, path = "/users/{user_id}/sessions", operation_id = "end_user_sessions", tag = "admin",
    security(("bearer" = []), ("session" = [])), params(("user_id" = Uuid, Path)),
    responses((status = 204, description = "Ended"), PersonActionProblems)
)]
async fn end_sessions(State(context): State<Context>, access: Access, InPath(id): InPath) -> Result<Response, Problem> {
    access.require(Right::Own)?;
    let now = context.clock.now();
    let mut transaction = access.begin(&context).await?;
    let user = get(&mut transaction, &access, id).await?;
    above(&access, &user)?;
    sessions::end(&mut transaction, access.tenant_id, user.user_id, None, "administrator", now).await?;
    let change = Change { action: "user.logged_out", object: id.to_string(), ..Change::default() };
    access.record(&mut transaction, change, now).await?;
    transaction.commit().await?;
    Ok(DONE.into_response())
}

async fn get(conn: &mut PgConnection, access: &Access, id: Uuid) -> Result<User, Problem> {
    users::lock(conn, access.tenant_id, UserId(id)).await?.ok_or_else(|| Problem::of(Code::NotFound))
}

async fn note(
    conn: &mut PgConnection,
    access: &Access,
    action: &'static str,
    before: Option<&User>,
    after: &User,
    now: DateTime<Utc>,
) -> Result<(), Problem> {
    let object = after.user_id.to_string();
    let before = before.map(|before| noted(&UserView::from(before))).transpose()?;
    let after = noted(&UserView::from(after))?;
    access.record(conn, Change { action, object, before: before.as_ref(), after: Some(&after) }, now).await
}

/// The role that is given: none above one's own.
fn role(form: &mut Form<'_>, access: &Access) -> Result<UserRole, Problem> {
    let text = form.required_text("role", 20);
    match text.parse::<UserRole>() {
        Ok(role) if access.role.may_give(role) => Ok(role),
        Ok(_) => Err(Problem::of(Code::Forbidden)),
        Err(_) => {
            if !text.is_empty() {
                let message =
                    form.language.pick("Valores aceitos: viewer, operator, owner.", "Use viewer, operator or owner.");
                form.refuse("role", "invalid_value", message);
            }
            Err(Problem::of(Code::ValidationFailed))
        }
    }
}

/// Nobody changes somebody of more rights.
fn above(access: &Access, user: &User) -> Result<(), Problem> {
    let role: UserRole = user.role.parse().map_err(Problem::internal)?;
    if access.role.may_give(role) { Ok(()) } else { Err(Problem::of(Code::Forbidden)) }
}

fn is_owner(user: &User) -> Result<bool, Problem> {
    Ok(user.role.parse::<UserRole>().map_err(Problem::internal)?.may(Right::Own))
}

fn invitation() -> Result<String, Problem> {
    random_secret().ok_or_else(|| Problem::internal(anyhow::anyhow!("no random numbers")))
}

fn hash(invitation: &str) -> [u8; 32] {
    Sha256::digest(invitation.as_bytes()).into()
}

fn is_email(text: &str) -> bool {
    let parts = text.split_once('@').filter(|(local, domain)| !local.is_empty() && domain.contains('.'));
    let is_whole =
        |(_, domain): (&str, &str)| !domain.contains('@') && !domain.starts_with('.') && !domain.ends_with('.');
    parts.is_some_and(is_whole) && !text.contains(|c: char| c.is_whitespace() || c.is_control())
}

fn last_owner(access: &Access) -> Problem {
    let detail = access.language.pick(
        "É a última pessoa que administra a conta. Dê o papel \"owner\" a outra antes.",
        "This is the last owner. Give somebody else the role \"owner\" first.",
    );
    Problem::with_detail(Code::StateConflict, detail.to_owned())
}

fn oneself(access: &Access) -> Problem {
    let detail = access.language.pick(
        "Ninguém convida a si: troque a senha em POST /api/v1/auth/password, ou peça a outra pessoa.",
        "Nobody invites themselves: change the password at POST /api/v1/auth/password, or ask somebody else.",
    );
    Problem::with_detail(Code::StateConflict, detail.to_owned())
}

fn too_many(access: &Access) -> Problem {
    let detail = access
        .language
        .pick(format!("Há {MOST_USERS} pessoas, o máximo."), format!("There are {MOST_USERS} people, the most."));
    Problem::with_detail(Code::StateConflict, detail)
}

fn role_schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
    super::super::queue::words(UserRole::ALL.iter().map(|role| role.as_str()))
}
