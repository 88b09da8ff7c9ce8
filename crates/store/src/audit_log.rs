//! Table `audit_log`: what was changed, by whom, from where. Rows are only added; a trigger holds it.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use ipnetwork::IpNetwork;
use regua_domain::{AuditId, TenantId};
use serde_json::Value;
use sqlx::{Error, PgConnection};
use uuid::Uuid;

/// Something that was changed.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// `user`, `api_key`, `command_line` or `nobody`.
    pub actor_kind: &'a str,
    /// The id of whoever did it, where it has one.
    pub actor_id: Option<Uuid>,
    /// What it was called then.
    pub actor_name: &'a str,
    /// Where it came from.
    pub client: Option<IpAddr>,
    /// The request.
    pub request_id: &'a str,
    /// What was done, such as `instance.updated`.
    pub action: &'a str,
    /// To what.
    pub object_id: Option<&'a str>,
    /// As it was, secrets masked.
    pub before: Option<&'a Value>,
    /// As it is, secrets masked.
    pub after: Option<&'a Value>,
}

/// An entry as it is shown.
#[derive(Clone, Debug)]
pub struct Written {
    /// Its id; ids are in order of time.
    pub audit_id: AuditId,
    /// When.
    pub at: DateTime<Utc>,
    /// Who.
    pub actor_kind: String,
    /// Who.
    pub actor_id: Option<Uuid>,
    /// Who.
    pub actor_name: String,
    /// From where.
    pub client: Option<IpNetwork>,
    /// In which request.
    pub request_id: String,
    /// What.
    pub action: String,
    /// To what.
    pub object_id: Option<String>,
    /// As it was.
    pub before: Option<Value>,
    /// As it is.
    pub after: Option<Value>,
}

/// Writes an entry, in the transaction of what it tells of.
///
/// # Errors
/// The database's.
pub async fn write(
    conn: &mut PgConnection,
    tenant: TenantId,
    entry: &Entry<'_>,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "insert into audit_log (tenant_id, audit_id, at, actor_kind, actor_id, actor_name, client, request_id, action, object_id,
                                before, after)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        tenant.0,
        AuditId::new(now).0,
        now,
        entry.actor_kind,
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

/// A tenant's entries, newest first, older than `before`. The primary key is in order of time.
///
/// # Errors
/// The database's.
pub async fn list(
    conn: &mut PgConnection,
    tenant: TenantId,
    before: Option<AuditId>,
    action: Option<&str>,
    limit: i64,
) -> Result<Vec<Written>, Error> {
    sqlx::query_as!(
        Written,
        r#"select audit_id, at, actor_kind, actor_id, actor_name, client as "client: IpNetwork",
                  request_id, action, object_id, before, after
           from audit_log
           where tenant_id = $1 and audit_id < $2 and ($3::text is null or action = $3)
           order by audit_id desc
           limit $4"#,
        tenant.0,
        before.map_or(Uuid::max(), |before| before.0),
        action,
        limit
    )
    .fetch_all(conn)
    .await
}
