//! How people come in, stay in and leave: with tokens for programs of their own, with a cookie for the console.

mod invitation;
mod login;
mod own;
mod session;
mod totp;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Context;

/// Where it lives.
pub(crate) const BASE: &str = "/api/v1/auth";

pub(super) fn router() -> OpenApiRouter<Context> {
    OpenApiRouter::new()
        .routes(routes!(login::login))
        .routes(routes!(session::open, session::close))
        .routes(routes!(session::refresh))
        .routes(routes!(session::logout))
        .routes(routes!(invitation::accept))
        .routes(routes!(own::me))
        .routes(routes!(own::change_password))
        .routes(routes!(totp::begin, totp::confirm, totp::remove))
}
