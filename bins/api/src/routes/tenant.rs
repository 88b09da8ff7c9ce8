//! Routes of a tenant's users. `docs/new-resource.md` shows how a resource is built. `tests/e2e/rights.rs` calls each
//! handler with each role.

mod audit;
pub(super) mod config;
mod debtors;
mod defaults;
mod holidays;
mod hours;
mod instances;
mod keys;
mod retention;
mod templates;
mod users;

use utoipa_axum::router::OpenApiRouter;

use crate::context::Context;

pub(super) fn router() -> OpenApiRouter<Context> {
    let rules = config::router().merge(hours::router()).merge(holidays::router()).merge(retention::router());
    let sending = templates::router().merge(defaults::router()).merge(instances::router());
    let people = users::router().merge(audit::router()).merge(debtors::router());
    rules.merge(sending).merge(keys::router()).merge(people)
}
