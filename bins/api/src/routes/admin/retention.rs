//! For how long a tenant's data is kept. Periodic carries it out (docs/privacy.md).

use axum::Json;
use axum::extract::State;
use regua_domain::Right;
use regua_store::retention;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::noted;
use crate::Context;
use crate::error::{Code, PersonChangeProblems, PersonProblems, Problem};
use crate::form::Form;
use crate::people::{Access, Change, JsonBody};

/// A century.
const LONGEST: i32 = 36_500;

pub(super) fn router() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(show, replace))
}

/// For how long data is kept, in days of 24 hours after the end of a batch.
#[derive(Clone, Copy, Serialize, ToSchema)]
struct Retention {
    /// What says who a contact was.
    #[schema(minimum = 1, maximum = 36_500, example = 365)]
    personal_data_days: i32,
    /// The rest: that messages were sent, when, and with which ids. Not fewer.
    #[schema(minimum = 1, maximum = 36_500, example = 1826)]
    proof_days: i32,
}

impl From<retention::Retention> for Retention {
    fn from(kept: retention::Retention) -> Self {
        Self { personal_data_days: kept.personal_data_days, proof_days: kept.proof_days }
    }
}

/// For how long data is kept.
#[utoipa::path(
    get, path = "/retention", operation_id = "retention", tag = "admin", security(("bearer" = []), ("session" = [])),
    responses((status = 200, description = "As it is", body = Retention), PersonProblems)
)]
async fn show(State(context): State<Context>, access: Access) -> Result<Json<Retention>, Problem> {
    access.require(Right::Look)?;
    let mut transaction = access.begin(&context).await?;
    let kept = retention::get(&mut transaction, access.tenant_id).await?;
    transaction.commit().await?;
    kept.map(|kept| Json(kept.into())).ok_or_else(|| Problem::of(Code::NotFound))
}

/// Sets for how long data is kept. What is over by it is erased within minutes, for good.
#[utoipa::path(
    put, path = "/retention", operation_id = "replace_retention", tag = "admin", security(("bearer" = []), ("session" = [])),
    request_body = Retention, responses((status = 200, description = "As it is now", body = Retention), PersonChangeProblems)
)]
async fn replace(
    State(context): State<Context>,
    access: Access,
    JsonBody(body): JsonBody,
) -> Result<Json<Retention>, Problem> {
    access.require(Right::Own)?;
    let mut form = Form::read(&body, access.language)?;
    let [personal_data_days, proof_days] =
        ["personal_data_days", "proof_days"].map(|name| form.number(name, 1..=LONGEST).unwrap_or(0));
    for (name, days) in [("personal_data_days", personal_data_days), ("proof_days", proof_days)] {
        if days == 0 {
            form.required(name);
        }
    }
    if proof_days < personal_data_days {
        let message = form
            .language
            .pick("A prova não pode durar menos que os dados.", "The proof cannot be kept for less than the data.");
        form.refuse("proof_days", "too_few", message);
    }
    form.finish()?;
    let after = retention::Retention { personal_data_days, proof_days };
    let mut transaction = access.begin(&context).await?;
    let conn = &mut *transaction;
    let before = retention::get(conn, access.tenant_id).await?.ok_or_else(|| Problem::of(Code::NotFound))?;
    retention::put(conn, access.tenant_id, after).await?;
    let (before, noted_after) = (noted(&Retention::from(before))?, noted(&Retention::from(after))?);
    let object = access.tenant_id.to_string();
    let change = Change { action: "retention.updated", object, before: Some(&before), after: Some(&noted_after) };
    access.record(conn, change, context.clock.now()).await?;
    transaction.commit().await?;
    Ok(Json(after.into()))
}
