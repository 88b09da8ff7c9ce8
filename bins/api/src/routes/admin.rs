//! What people look after: each resource with its types and handlers in one file. A change is written into the audit log in its own
//! transaction. Every handler begins with the right that it needs; `tests/e2e/rights.rs` tries every role at every one.

mod audit;
mod config;
mod debtors;
mod defaults;
mod holidays;
mod hours;
mod instances;
mod keys;
mod retention;
mod templates;
mod tenants;
mod users;

pub use debtors::ERASURE_REASONS;

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use serde::Serialize;
use serde_json::Value;
use utoipa_axum::router::OpenApiRouter;
use uuid::Uuid;

use crate::Context;
use crate::error::{Code, Problem};

/// Where it lives.
pub(crate) const BASE: &str = "/api/v1/admin";

pub(super) fn router() -> OpenApiRouter<Context> {
    let rules = config::router().merge(hours::router()).merge(holidays::router()).merge(retention::router());
    let sending = templates::router().merge(defaults::router()).merge(instances::router());
    let people = users::router().merge(audit::router()).merge(debtors::router());
    tenants::router().merge(rules).merge(sending).merge(keys::router()).merge(people)
}

/// The id in a path; what is no id names nothing.
struct InPath(Uuid);

impl FromRequestParts<Context> for InPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, context: &Context) -> Result<Self, Problem> {
        let id = Path::<Uuid>::from_request_parts(parts, context).await;
        id.map(|Path(id)| Self(id)).map_err(|_| Problem::of(Code::NotFound))
    }
}

/// As it is written down.
fn noted(value: &impl Serialize) -> Result<Value, Problem> {
    serde_json::to_value(value).map_err(Problem::internal)
}

/// What the database refused to delete because something refers to it is in use.
fn unless_in_use(deleted: Result<(), sqlx::Error>, why: impl FnOnce() -> &'static str) -> Result<(), Problem> {
    match deleted {
        Err(sqlx::Error::Database(error)) if error.is_foreign_key_violation() => {
            Err(Problem::with_detail(Code::InUse, why().to_owned()))
        }
        deleted => Ok(deleted?),
    }
}
