//! The audit log of a tenant.

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use chrono::{DateTime, Utc};
use regua_domain::{ActorKind, AuditId, Capability};
use regua_store::audit_log::{self, Entry};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::callers::Access;
use crate::context::Context;
use crate::http::error::UserReadProblems;
use crate::http::{Parameters, Problem, page};

pub(super) fn router() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(list))
}

/// Some entries are long.
const MAX_PAGE: i64 = 100;

#[derive(Serialize, ToSchema)]
struct AuditEntry {
    audit_id: Uuid,
    at: DateTime<Utc>,
    /// `user`, `api_key` or `command_line`.
    #[schema(value_type = String)]
    actor_kind: ActorKind,
    actor_id: Option<Uuid>,
    /// The e-mail address of a user, `key` and the id of an API key, or the name of the operator who ran the command.
    actor_name: String,
    /// The IP address of the client.
    client: Option<String>,
    request_id: String,
    /// Such as `key.created`.
    action: String,
    /// The id of the changed object.
    object_id: Option<String>,
    /// The object before the change, without secrets.
    #[schema(value_type = Option<Object>)]
    before: Option<Value>,
    /// The object after the change, without secrets.
    #[schema(value_type = Option<Object>)]
    after: Option<Value>,
}

impl From<Entry> for AuditEntry {
    fn from(entry: Entry) -> Self {
        let Entry { actor_kind, actor_id, actor_name, request_id, action, object_id, before, after, at, .. } = entry;
        let client = entry.client.map(|client| client.ip().to_string());
        let audit_id = entry.audit_id.0;
        Self { audit_id, at, actor_kind, actor_id, actor_name, client, request_id, action, object_id, before, after }
    }
}

#[derive(Serialize, ToSchema)]
struct AuditPage {
    items: Vec<AuditEntry>,
    /// Cursor of the next page; null on the last page.
    next_cursor: Option<String>,
}

/// The audit log, newest entry first.
#[utoipa::path(
    get, path = "/audit", operation_id = "audit_log", tag = "admin", security(("bearer" = []), ("session" = [])),
    params(
        ("action" = Option<String>, Query, description = "Only entries of this action, such as key.created"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the previous page"),
        ("limit" = Option<i64>, Query, description = "1 to 1000; a page has at most 100 items", minimum = 1, maximum = 1000)
    ),
    responses((status = 200, description = "A page", body = AuditPage), UserReadProblems)
)]
async fn list(State(context): State<Context>, access: Access, uri: Uri) -> Result<Json<AuditPage>, Problem> {
    access.require(Capability::Administer)?;
    let mut parameters = Parameters::of(&uri, access.language);
    let action = parameters.text("action");
    let (before, limit) = (parameters.cursor::<AuditId>(), parameters.limit().min(MAX_PAGE));
    parameters.finish()?;
    let mut transaction = access.begin(&context).await?;
    let found = audit_log::list(&mut transaction, access.tenant_id, before, action.as_deref(), limit + 1).await?;
    transaction.commit().await?;
    let items = found.into_iter().map(AuditEntry::from).collect();
    let (items, next_cursor) = page(items, limit, |entry: &AuditEntry| entry.audit_id.to_string());
    Ok(Json(AuditPage { items, next_cursor }))
}
