//! A user in answers and in bodies.

use chrono::{DateTime, Utc};
use regua_domain::{Email, Text, UserRole};
use regua_store::users::User;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};
use uuid::Uuid;

use crate::callers::Access;
use crate::http::schema::words;
use crate::http::{Code, Form, Problem};
use crate::routes::choice::choose;

#[derive(Serialize, ToSchema)]
#[schema(as = User)]
pub(super) struct UserView {
    user_id: Uuid,
    #[schema(value_type = String)]
    email: Email,
    name: String,
    #[schema(schema_with = role_schema)]
    role: UserRole,
    active: bool,
    /// Whether the user has not set a password yet.
    invited: bool,
    /// Whether a login needs a second factor.
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
            role: user.role,
            active: user.active,
            invited: user.invited,
            totp: user.has_totp,
            last_login_at: user.last_login_at,
            created_at: user.created_at,
        }
    }
}

#[derive(Serialize, ToSchema)]
pub(super) struct Users {
    pub(super) items: Vec<UserView>,
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "OpenAPI schema only: `Form` reads the body and reports every fault at once")]
pub(super) struct InviteRequest {
    #[schema(example = "maria@acme.example", min_length = 3, max_length = 254)]
    email: String,
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    #[schema(schema_with = role_schema)]
    role: String,
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "OpenAPI schema only: `Form` reads the body and reports every fault at once")]
pub(super) struct UserRequest {
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    #[schema(schema_with = role_schema)]
    role: String,
    /// False ends all logins. Default: true.
    active: Option<bool>,
}

/// A user with an invitation. No other answer contains the invitation.
#[derive(Serialize, ToSchema)]
pub(super) struct Invited {
    /// For the user, who sends it to `POST /api/v1/auth/invitation`.
    pub(super) invitation: String,
    pub(super) invitation_expires_at: DateTime<Utc>,
    pub(super) user: UserView,
}

/// The e-mail address in lower case.
pub(super) fn read_email(form: &mut Form<'_>) -> Option<Email> {
    let text = form.required_text("email", 254).trim().to_lowercase();
    let email = text.parse().ok();
    if email.is_none() && !text.is_empty() {
        form.refuse("email", "invalid_email", &Text::of("user-email-invalid"));
    }
    email
}

/// The role, which must not allow more than the caller's.
pub(super) fn read_role(form: &mut Form<'_>, access: &Access) -> Result<UserRole, Problem> {
    let text = form.required_text("role", 20);
    match text.parse::<UserRole>() {
        Ok(role) if access.role.may_give(role) => Ok(role),
        Ok(_) => Err(Problem::of(Code::Forbidden)),
        Err(_) => {
            choose(form, "role", &text, &[UserRole::Viewer, UserRole::Operator, UserRole::Owner], UserRole::as_str);
            Err(Problem::of(Code::ValidationFailed))
        }
    }
}

fn role_schema() -> RefOr<Schema> {
    words(UserRole::ALL.iter().map(|role| role.as_str()))
}
