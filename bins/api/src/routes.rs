//! The routes of the HTTP API. A resource has its types and handlers in one file.

pub(crate) mod auth;
pub(crate) mod campaigns;
mod choice;
pub(crate) mod platform;
pub(crate) mod tenant;
mod webhooks;

use utoipa_axum::router::OpenApiRouter;

use crate::context::Context;
use crate::http::paths::{ADMIN, AUTH, BILLING};

pub(crate) fn router() -> OpenApiRouter<Context> {
    OpenApiRouter::new()
        .nest(BILLING, campaigns::router())
        .merge(webhooks::router())
        .nest(AUTH, auth::router())
        .nest(ADMIN, platform::router().merge(tenant::router()))
}
