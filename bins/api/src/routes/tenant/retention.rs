//! How long a tenant's data is stored. `regua-periodic` erases it afterwards (docs/privacy.md).

use axum::Json;
use axum::extract::State;
use regua_domain::{Capability, Text};
use regua_store::retention;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::callers::{Access, Change, snapshot};
use crate::context::Context;
use crate::http::error::{UserChangeProblems, UserReadProblems};
use crate::http::{Code, Form, JsonBody, Problem};

const MAX_DAYS: i32 = 36_500;

pub(super) fn router() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(get, replace))
}

/// How long data is stored, in days of 24 hours after the end of a batch.
#[derive(Clone, Copy, Serialize, ToSchema)]
struct Retention {
    /// Data that identifies a debtor.
    #[schema(minimum = 1, maximum = 36_500, example = 365)]
    personal_data_days: i32,
    /// The remaining data: times, states and ids of messages. At least `personal_data_days`.
    #[schema(minimum = 1, maximum = 36_500, example = 1826)]
    proof_days: i32,
}

impl From<retention::Retention> for Retention {
    fn from(retention: retention::Retention) -> Self {
        Self { personal_data_days: retention.personal_data_days, proof_days: retention.proof_days }
    }
}

/// How long data is stored.
#[utoipa::path(
    get, path = "/retention", operation_id = "retention", tag = "admin", security(("bearer" = []), ("session" = [])),
    responses((status = 200, description = "The retention", body = Retention), UserReadProblems)
)]
async fn get(State(context): State<Context>, access: Access) -> Result<Json<Retention>, Problem> {
    access.require(Capability::Read)?;
    let mut transaction = access.begin(&context).await?;
    let retention = retention::get(&mut transaction, access.tenant_id).await?;
    transaction.commit().await?;
    retention.map(|retention| Json(retention.into())).ok_or_else(|| Problem::of(Code::NotFound))
}

/// Sets how long data is stored. Data that is older is erased within minutes and cannot be restored.
#[utoipa::path(
    put, path = "/retention", operation_id = "replace_retention", tag = "admin", security(("bearer" = []), ("session" = [])),
    request_body = Retention, responses((status = 200, description = "The changed retention", body = Retention), UserChangeProblems)
)]
async fn replace(
    State(context): State<Context>,
    access: Access,
    JsonBody(body): JsonBody,
) -> Result<Json<Retention>, Problem> {
    access.require(Capability::Administer)?;
    let mut form = Form::read(&body, access.language)?;
    let [personal_data_days, proof_days] =
        ["personal_data_days", "proof_days"].map(|name| form.number(name, 1..=MAX_DAYS).unwrap_or(0));
    for (name, days) in [("personal_data_days", personal_data_days), ("proof_days", proof_days)] {
        if days == 0 {
            form.required(name);
        }
    }
    if proof_days < personal_data_days {
        form.refuse("proof_days", "too_few", &Text::of("retention-proof-too-short"));
    }
    form.finish()?;
    let after = retention::Retention { personal_data_days, proof_days };
    let mut transaction = access.begin(&context).await?;
    let conn = &mut *transaction;
    let before = retention::get(conn, access.tenant_id).await?.ok_or_else(|| Problem::of(Code::NotFound))?;
    retention::put(conn, access.tenant_id, after).await?;
    let (old, new) = (snapshot(&Retention::from(before))?, snapshot(&Retention::from(after))?);
    let object = access.tenant_id.to_string();
    let change = Change { action: "retention.updated", object, before: Some(&old), after: Some(&new) };
    access.record(conn, change, context.clock.now()).await?;
    transaction.commit().await?;
    Ok(Json(after.into()))
}
