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

/// The change of an entry.
pub(crate) struct Change {
    action: &'static str,
    object: String,
    before: Option<Value>,
    after: Option<Value>,
}

impl Change {
    /// An action such as `instance.updated`, the id of the object (empty: the change has none), and the object before
    /// and after the change, without secrets; `()` where there is none.
    #[expect(clippy::needless_pass_by_value, reason = "callers pass ids, which are small")]
    pub(crate) fn new(
        action: &'static str,
        object: impl ToString,
        before: &impl Serialize,
        after: &impl Serialize,
    ) -> Result<Self, Problem> {
        let (before, after) = (snapshot(before)?, snapshot(after)?);
        Ok(Self { action, object: object.to_string(), before, after })
    }
}

/// Writes an entry. `conn` is in the transaction of the change.
pub(crate) async fn record(
    conn: &mut PgConnection,
    tenant: TenantId,
    actor: &Actor<'_>,
    client: &Client,
    change: Change,
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
        before: change.before.as_ref(),
        after: change.after.as_ref(),
    };
    Ok(audit_log::insert(conn, tenant, &entry, now).await?)
}

fn snapshot(value: &impl Serialize) -> Result<Option<Value>, Problem> {
    let value = serde_json::to_value(value).map_err(Problem::internal)?;
    Ok(Some(value).filter(|value| !value.is_null()))
}
