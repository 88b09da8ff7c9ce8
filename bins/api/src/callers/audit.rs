//! The audit log: one entry for each change, written in the transaction of the change.

use chrono::{DateTime, Utc};
use regua_domain::{ActorKind, TenantId};
use regua_store::audit_log;
use serde::Serialize;
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use super::client::Client;
use crate::http::Problem;
use crate::limits::ClientAddress;

/// The principal of an entry.
pub(crate) struct Actor<'a> {
    pub(crate) kind: ActorKind,
    pub(crate) id: Option<Uuid>,
    pub(crate) name: &'a str,
}

/// The change of an entry. `before` and `after` hold no secrets.
#[derive(Default)]
pub(crate) struct Change<'a> {
    /// Such as `instance.updated`.
    pub(crate) action: &'static str,
    /// Id of the changed object; empty: the change has none.
    pub(crate) object: String,
    pub(crate) before: Option<&'a Value>,
    pub(crate) after: Option<&'a Value>,
}

/// Writes an entry. `conn` is in the transaction of the change.
pub(crate) async fn record(
    conn: &mut PgConnection,
    tenant: TenantId,
    actor: &Actor<'_>,
    client: &Client,
    change: Change<'_>,
    now: DateTime<Utc>,
) -> Result<(), Problem> {
    let entry = audit_log::NewEntry {
        actor_kind: actor.kind,
        actor_id: actor.id,
        actor_name: actor.name,
        client: client.address.map(ClientAddress::ip),
        request_id: &client.request_id,
        action: change.action,
        object_id: Some(change.object.as_str()).filter(|object| !object.is_empty()),
        before: change.before,
        after: change.after,
    };
    Ok(audit_log::insert(conn, tenant, &entry, now).await?)
}

/// The JSON of a value, for `before` and `after`.
pub(crate) fn snapshot(value: &impl Serialize) -> Result<Value, Problem> {
    serde_json::to_value(value).map_err(Problem::internal)
}
