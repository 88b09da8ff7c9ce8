//! The audit log: what was changed, by whom, from where.

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use chrono::{DateTime, Utc};
use regua_domain::{AuditId, Right};
use regua_store::audit_log::{self, Written};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::super::{Parameters, page};
use crate::Context;
use crate::error::{PersonProblems, Problem};
use crate::people::Access;

pub(super) fn router() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(list))
}

/// Entries hold what was changed, and some are long.
const MOST: i64 = 100;

/// One change.
#[derive(Serialize, ToSchema)]
struct AuditEntry {
    audit_id: Uuid,
    at: DateTime<Utc>,
    /// `user`, `api_key` or `command_line`.
    actor_kind: String,
    actor_id: Option<Uuid>,
    /// The address of a user, or the name of whoever ran the command.
    actor_name: String,
    /// The address that it came from.
    client: Option<String>,
    request_id: String,
    /// What was done, such as `key.created`.
    action: String,
    /// To what.
    object_id: Option<String>,
    /// As it was; secrets are not among it.
    #[schema(value_type = Option<Object>)]
    before: Option<Value>,
    /// As it is; secrets are not among it.
    #[schema(value_type = Option<Object>)]
    after: Option<Value>,
}

impl From<Written> for AuditEntry {
    fn from(written: Written) -> Self {
        let Written { actor_kind, actor_id, actor_name, request_id, action, object_id, before, after, at, .. } =
            written;
        let client = written.client.map(|client| client.ip().to_string());
        let audit_id = written.audit_id.0;
        Self { audit_id, at, actor_kind, actor_id, actor_name, client, request_id, action, object_id, before, after }
    }
}

/// A page of changes.
#[derive(Serialize, ToSchema)]
struct AuditPage {
    items: Vec<AuditEntry>,
    /// For the next page; null on the last one.
    next_cursor: Option<String>,
}

/// What was changed, newest first.
#[utoipa::path(
    get, path = "/audit", operation_id = "audit_log", tag = "admin", security(("bearer" = []), ("session" = [])),
    params(
        ("action" = Option<String>, Query, description = "Only this, such as key.created"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
        ("limit" = Option<i64>, Query, description = "1 to 1000; no page has more than 100", minimum = 1, maximum = 1000)
    ),
    responses((status = 200, description = "A page", body = AuditPage), PersonProblems)
)]
async fn list(State(context): State<Context>, access: Access, uri: Uri) -> Result<Json<AuditPage>, Problem> {
    access.require(Right::Own)?;
    let mut parameters = Parameters::of(&uri, access.language);
    let action = parameters.text("action");
    let (before, limit) = (parameters.cursor::<AuditId>(), parameters.limit().min(MOST));
    parameters.finish()?;
    let mut transaction = access.begin(&context).await?;
    let found = audit_log::list(&mut transaction, access.tenant_id, before, action.as_deref(), limit + 1).await?;
    transaction.commit().await?;
    let items = found.into_iter().map(AuditEntry::from).collect();
    let (items, next_cursor) = page(items, limit, |entry: &AuditEntry| entry.audit_id.to_string());
    Ok(Json(AuditPage { items, next_cursor }))
}
