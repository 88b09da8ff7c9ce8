//! The users of a tenant: invite, change, deactivate. An owner cannot set the password of another user; the user sets
//! it with an invitation.

use chrono::TimeDelta;
use regua_domain::{Capability, Email, SessionEnd, UserId, UserRole};
use regua_store::sessions;
use regua_store::users::{self, NewUser, User};

use crate::credentials::{keys, random_bytes};
use crate::routes::kit::*;

const MAX_USERS: usize = 500;
const INVITATION_LIFETIME: TimeDelta = TimeDelta::days(7);

pub(super) fn router() -> OpenApiRouter<Context> {
    OpenApiRouter::new()
        .routes(routes!(list_users, invite_user))
        .routes(routes!(replace_user))
        .routes(routes!(invite_user_again))
        .routes(routes!(end_user_sessions))
}

items! { Users of User }

/// A user with an invitation. No other answer contains the invitation.
#[derive(Serialize, ToSchema)]
struct Invited {
    /// For the user, who sends it to `POST /api/v1/auth/invitation`.
    invitation: String,
    invitation_expires_at: DateTime<Utc>,
    user: User,
}

body! {
    struct InviteRequest {
        #[example = "maria@acme.example"]
        email: Email,
        name: Line<1, 200>,
        role: UserRole,
    }
}

body! {
    struct UserRequest {
        name: Line<1, 200>,
        role: UserRole,
        /// False ends all logins. Default: true.
        active: bool = true,
    }
}

/// The tenant's users.
#[utoipa::path(get, path = "/users", responses((status = 200, description = "All users", body = Users)))]
async fn list_users(access: Access<Administer>) -> Answer<Users> {
    let items = access.read(async |conn| users::list(conn, access.tenant_id, None).await).await?;
    Ok(Json(Users { items }))
}

/// Invites a user. Only the answer contains the invitation; pass it on to the user.
#[utoipa::path(
    post, path = "/users", request_body = InviteRequest,
    responses((status = 201, description = "Invited", body = Invited))
)]
async fn invite_user(access: Access<Administer>, Valid(body): Valid<InviteRequest>) -> Created<Invited> {
    require_authority_over(&access, body.role)?;
    let now = access.context.clock.now();
    let (invitation, hash) = keys::secret_with_hash(&random_bytes()?);
    let (tenant_id, user_id, invitation_expires_at) = (access.tenant_id, UserId::new(now), now + INVITATION_LIFETIME);
    let InviteRequest { email, name, role } = &body;
    let new = NewUser { tenant_id, user_id, email, name, role: *role, invitation_hash: &hash, invitation_expires_at };
    let work = async |conn: &mut PgConnection, now| {
        users::lock_user_changes(conn, tenant_id).await?;
        let count = users::list(conn, tenant_id, None).await?.len();
        refuse_unless(count < MAX_USERS, Text::of("user-too-many").with("most", MAX_USERS))?;
        if !users::create(conn, &new, now).await? {
            return Err(Problem::name_taken(Text::of("user-email-taken").with("email", email)));
        }
        Ok(((), lock(conn, &access, user_id).await?))
    };
    let user = access.change("user.invited", user_id, work).await?;
    created(Invited { invitation, invitation_expires_at, user })
}

/// Changes a user's name and role, or deactivates the user. A tenant keeps at least one owner.
#[utoipa::path(
    put, path = "/users/{user_id}", request_body = UserRequest,
    responses((status = 200, description = "The changed user", body = User))
)]
async fn replace_user(
    access: Access<Administer>,
    InPath(id): InPath<UserId>,
    Valid(body): Valid<UserRequest>,
) -> Answer<User> {
    require_authority_over(&access, body.role)?;
    let UserRequest { name, role, active } = body;
    let work = async |conn: &mut PgConnection, now| {
        users::lock_user_changes(conn, access.tenant_id).await?;
        let before = lock(conn, &access, id).await?;
        require_authority_over(&access, before.role)?;
        let after = User { name, role, active, ..before.clone() };
        let remains_owner = active && role.may(Capability::Administer);
        refuse_unless(remains_owner || !is_last_owner(conn, &access, &before).await?, Text::of("user-last-owner"))?;
        users::update(conn, access.tenant_id, &after, now).await?;
        if !active {
            sessions::end(conn, access.tenant_id, id, None, SessionEnd::Administrator, now).await?;
        }
        Ok((before, after))
    };
    access.change("user.updated", id, work).await.map(Json)
}

/// Invites a user again who has lost the password or the second factor. Both are deleted, and all logins of the user
/// end.
#[utoipa::path(
    post, path = "/users/{user_id}/invitation", responses((status = 201, description = "Invited", body = Invited))
)]
async fn invite_user_again(access: Access<Administer>, InPath(id): InPath<UserId>) -> Created<Invited> {
    let (invitation, hash) = keys::secret_with_hash(&random_bytes()?);
    let invitation_expires_at = access.context.clock.now() + INVITATION_LIFETIME;
    let work = async |conn: &mut PgConnection, now| {
        users::lock_user_changes(conn, access.tenant_id).await?;
        let before = lock(conn, &access, id).await?;
        require_authority_over(&access, before.role)?;
        refuse_unless(access.user.is_none_or(|caller| caller.id != id), Text::of("user-own-invitation"))?;
        let is_platform = access.role == UserRole::Platform;
        refuse_unless(is_platform || !is_last_owner(conn, &access, &before).await?, Text::of("user-last-owner"))?;
        users::invite(conn, access.tenant_id, id, &hash, invitation_expires_at, now).await?;
        sessions::end(conn, access.tenant_id, id, None, SessionEnd::Administrator, now).await?;
        let after = User { invited: true, has_totp: false, ..before.clone() };
        Ok((before, after))
    };
    let user = access.change("user.invited", id, work).await?;
    created(Invited { invitation, invitation_expires_at, user })
}

/// Ends all logins of a user.
#[utoipa::path(delete, path = "/users/{user_id}/sessions", responses((status = 204, description = "Ended")))]
async fn end_user_sessions(access: Access<Administer>, InPath(id): InPath<UserId>) -> Done {
    let work = async |conn: &mut PgConnection, now| {
        let user = lock(conn, &access, id).await?;
        require_authority_over(&access, user.role)?;
        sessions::end(conn, access.tenant_id, id, None, SessionEnd::Administrator, now).await?;
        Ok(((), ()))
    };
    access.change("user.logged_out", id, work).await?;
    Ok(DONE)
}

async fn lock(conn: &mut PgConnection, access: &Principal, id: UserId) -> Result<User, Problem> {
    found(users::lock(conn, access.tenant_id, id).await?)
}

/// Refuses to give a role, or to change a user with a role, that allows more than the caller's.
fn require_authority_over(access: &Principal, role: UserRole) -> Result<(), Problem> {
    if access.role.may_give(role) { Ok(()) } else { Err(Problem::of(Code::Forbidden)) }
}

async fn is_last_owner(conn: &mut PgConnection, access: &Principal, user: &User) -> Result<bool, Problem> {
    let is_owner = user.role.may(Capability::Administer);
    Ok(is_owner && users::count_other_owners(conn, access.tenant_id, user.user_id).await? == 0)
}

/// An e-mail address, in lower case.
impl Member for Email {
    type Value = Self;

    fn schema() -> Schema {
        text().min_length(Some(3)).max_length(Some(254)).into()
    }

    fn read(field: &mut Field<'_, '_>) -> Option<Self> {
        field.parsed(
            254,
            |text| text.trim().to_lowercase().parse().ok(),
            "invalid_email",
            &Text::of("user-email-invalid"),
        )
    }
}

impl Member for UserRole {
    type Value = Self;

    fn schema() -> Schema {
        words(Self::ALL.map(Self::as_str))
    }

    /// The error does not name the role of the platform.
    fn read(field: &mut Field<'_, '_>) -> Option<Self> {
        let role = field.text(20)?.parse().ok();
        let offered = [Self::Viewer, Self::Operator, Self::Owner];
        role.or_else(|| field.refuse("invalid_value", &accepted(&offered, Self::as_str)))
    }
}
