//! Routes of the platform's users: the tenants.

pub(crate) mod new_tenant;
mod tenants;

use utoipa_axum::router::OpenApiRouter;

use crate::context::Context;

pub(super) fn router() -> OpenApiRouter<Context> {
    tenants::router()
}
