//! Logins and sessions of users: tokens for programs, a cookie for the console.

mod invitation;
mod login;
mod me;
mod session;
mod totp;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::context::Context;

pub(super) fn router() -> OpenApiRouter<Context> {
    OpenApiRouter::new()
        .routes(routes!(login::login))
        .routes(routes!(session::open_session, session::close_session))
        .routes(routes!(session::refresh))
        .routes(routes!(session::logout))
        .routes(routes!(invitation::accept_invitation))
        .routes(routes!(me::me))
        .routes(routes!(me::change_password))
        .routes(routes!(totp::begin_totp, totp::confirm_totp, totp::remove_totp))
}
