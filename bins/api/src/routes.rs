//! The routes of the HTTP API. A resource has its types and handlers in one file.

pub(crate) mod auth;
pub(crate) mod campaigns;
mod kit;
pub(crate) mod platform;
pub(crate) mod tenant;
mod webhooks;

use utoipa_axum::router::OpenApiRouter;

use crate::context::Context;
use crate::http::openapi::{for_keys_and_users, for_users};
use crate::http::paths::{ADMIN, AUTH, BILLING};

pub(crate) fn router() -> OpenApiRouter<Context> {
    OpenApiRouter::new()
        .nest(BILLING, for_keys_and_users(campaigns::router()))
        .merge(webhooks::router())
        .nest(AUTH, for_users(auth::router(), "auth"))
        .nest(ADMIN, for_users(platform::router().merge(tenant::router()), "admin"))
}
