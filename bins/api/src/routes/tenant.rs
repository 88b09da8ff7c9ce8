//! Routes of a tenant's users. `docs/new-resource.md` shows how a resource is built. `tests/e2e/rights.rs` calls each
//! handler with each role.

mod audit;
pub(super) mod config;
mod debtors;
mod defaults;
mod holidays;
pub(super) mod hours;
mod instances;
mod keys;
mod retention;
mod templates;
mod users;

pub use self::debtors::ERASURE_REASONS;

use regua_domain::Text;
use utoipa_axum::router::OpenApiRouter;

use crate::context::Context;
use crate::http::{Code, Problem};

pub(super) fn router() -> OpenApiRouter<Context> {
    let rules = config::router().merge(hours::router()).merge(holidays::router()).merge(retention::router());
    let sending = templates::router().merge(defaults::router()).merge(instances::router());
    let people = users::router().merge(audit::router()).merge(debtors::router());
    rules.merge(sending).merge(keys::router()).merge(people)
}

/// Maps the foreign-key violation of a delete to `in_use`.
fn unless_in_use(deleted: Result<(), sqlx::Error>, text: Text) -> Result<(), Problem> {
    match deleted {
        Err(sqlx::Error::Database(error)) if error.is_foreign_key_violation() => {
            Err(Problem::with_detail(Code::InUse, text))
        }
        deleted => Ok(deleted?),
    }
}

/// Refuses a change that the tenant's other objects do not allow, such as one object too many.
fn refuse_unless(is_allowed: bool, text: Text) -> Result<(), Problem> {
    if is_allowed { Ok(()) } else { Err(Problem::conflict(text)) }
}
