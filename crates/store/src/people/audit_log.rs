//! Table `audit_log`: each change, with its actor. Rows are only inserted; a trigger refuses the rest.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use ipnetwork::IpNetwork;
use regua_domain::{ActorKind, AuditId, TenantId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{Error, PgConnection};
use uuid::Uuid;

use crate::PageRows;
use crate::database::PageReader;

/// An entry to insert.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are the table's columns")]
pub struct NewEntry<'a> {
    pub actor_kind: ActorKind,
    /// The id of the user or the API key.
    pub actor_id: Option<Uuid>,
    /// The actor's name at that time.
    pub actor_name: &'a str,
    pub client: Option<IpAddr>,
    pub request_id: &'a str,
    /// Such as `instance.updated`.
    pub action: &'a str,
    pub object_id: Option<&'a str>,
    /// Of the object before the change, secrets masked: all of it, or the members that the change changed.
    pub before: Option<&'a Value>,
    /// The same after the change.
    pub after: Option<&'a Value>,
}

// An entry. Ids are in the order of time.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = AuditEntry))]
#[expect(missing_docs, reason = "the fields are the table's columns")]
pub struct Entry {
    #[cfg_attr(feature = "openapi", schema(value_type = Uuid))]
    pub audit_id: AuditId,
    pub at: DateTime<Utc>,
    /// `user`, `api_key` or `command_line`.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub actor_kind: ActorKind,
    pub actor_id: Option<Uuid>,
    /// The e-mail address of a user, `key` and the id of an API key, or the name of the operator who ran the command.
    pub actor_name: String,
    /// The IP address of the client.
    pub client: Option<String>,
    pub request_id: String,
    /// Such as `key.created`.
    pub action: String,
    /// The id of the changed object.
    pub object_id: Option<String>,
    /// The object before the change, without secrets. Where there is an object before and after the change: the members
    /// that differ. A long text or member is an object with its `sha256` and `bytes`.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub before: Option<Value>,
    /// The object after the change, without secrets, in the same form.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub after: Option<Value>,
}

/// Inserts an entry, in the transaction of the change.
pub async fn insert(
    conn: &mut PgConnection,
    tenant: TenantId,
    entry: &NewEntry<'_>,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "insert into audit_log (tenant_id, audit_id, at, actor_kind, actor_id, actor_name, client, request_id, action, object_id,
                                before, after)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        tenant as TenantId,
        AuditId::new(now) as AuditId,
        now,
        entry.actor_kind as ActorKind,
        entry.actor_id,
        entry.actor_name,
        entry.client.map(IpNetwork::from),
        entry.request_id,
        entry.action,
        entry.object_id,
        entry.before,
        entry.after
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A tenant's entries, newest first, before the entry `before`. The primary key is in the order of time.
pub async fn list(
    conn: &mut PgConnection,
    tenant: TenantId,
    before: Option<AuditId>,
    action: Option<&str>,
    limit: i64,
) -> Result<PageRows<Entry>, Error> {
    let mut page = PageReader::up_to(limit);
    while let Some(count) = page.next_part() {
        let before = page.last().map(|entry: &Entry| entry.audit_id).or(before).unwrap_or(AuditId(Uuid::max()));
        let rows = sqlx::query_as!(
            Entry,
            r#"select audit_id, at, actor_kind as "actor_kind: ActorKind", actor_id, actor_name, host(client) as client,
                  request_id, action, object_id, before, after
           from audit_log
           where tenant_id = $1 and audit_id < $2 and ($3::text is null or action = $3)
           order by audit_id desc
           limit $4"#,
            tenant as TenantId,
            before as AuditId,
            action,
            count
        );
        page.add(rows.fetch(&mut *conn)).await?;
    }
    Ok(page.finish())
}
