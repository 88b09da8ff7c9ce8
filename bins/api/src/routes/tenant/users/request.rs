//! The bodies of the routes of users.

use regua_domain::{Email, Text, UserRole};
use utoipa::openapi::Schema;

use crate::http::{Field, Line, Member, accepted, body, text, words};

body! {
    pub(super) struct InviteRequest {
        #[example = "maria@acme.example"]
        email: Email,
        name: Line<1, 200>,
        role: UserRole,
    }
}

body! {
    pub(super) struct UserRequest {
        name: Line<1, 200>,
        role: UserRole,
        /// False ends all logins. Default: true.
        active: bool = true,
    }
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
