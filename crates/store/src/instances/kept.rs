//! Numbers as the people of a tenant look after them: what is set for each, and what was last seen of it.

use std::fmt;

use chrono::{DateTime, Utc};
use regua_domain::{InstanceId, TenantId};
use sqlx::{Error, PgConnection};

/// A number as it is set up.
#[derive(Clone)]
pub struct Kept {
    /// Its id.
    pub instance_id: InstanceId,
    /// Its name at the gateway.
    pub name: String,
    /// The gateway.
    pub base_url: String,
    /// Sealed, or as it stands where it is older than sealing.
    pub token: String,
    /// Its own rate; none: its tenant's.
    pub messages_per_minute: Option<i32>,
    /// Its own daily cap; none: its tenant's.
    pub daily_cap: Option<i32>,
    /// Sends that may be on their way at once.
    pub lane_concurrency: i16,
    /// Its own rate, or its tenant's.
    pub rate_in_use: i32,
    /// Its own daily cap, or its tenant's.
    pub cap_in_use: Option<i32>,
    /// Whether it takes webhooks.
    pub has_webhook: bool,
    /// As last seen.
    pub state: String,
    /// Why it is in that state.
    pub state_reason: Option<String>,
    /// When that was seen.
    pub state_checked_at: Option<DateTime<Utc>>,
    /// For which types a batch that names none goes through it.
    pub default_for: Vec<String>,
    /// Since when.
    pub created_at: DateTime<Utc>,
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept")
            .field("instance_id", &self.instance_id)
            .field("name", &self.name)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

/// A tenant's numbers by name, or one of them.
///
/// # Errors
/// The database's.
pub async fn kept(conn: &mut PgConnection, tenant: TenantId, one: Option<InstanceId>) -> Result<Vec<Kept>, Error> {
    sqlx::query_as!(
        Kept,
        r#"select i.instance_id, i.name, i.base_url, i.token, i.messages_per_minute, i.daily_cap, i.lane_concurrency,
                  coalesce(i.messages_per_minute, c.messages_per_minute) as "rate_in_use!",
                  coalesce(i.daily_cap, c.daily_cap) as cap_in_use,
                  i.webhook_secret_hash is not null as "has_webhook!",
                  i.state, i.state_reason, i.state_checked_at, i.created_at,
                  array(select d.type from type_defaults d
                        where d.tenant_id = i.tenant_id and d.instance_id = i.instance_id
                        order by array_position('{overdue,upcoming,notification}'::text[], d.type)) as "default_for!"
           from instances i join tenant_configs c using (tenant_id)
           where i.tenant_id = $1 and ($2::uuid is null or i.instance_id = $2)
           order by i.name"#,
        tenant.0,
        one.map(|id| id.0)
    )
    .fetch_all(conn)
    .await
}

/// Deletes a number with its lane; the database refuses it where a queue or a default refers to it.
///
/// # Errors
/// The database's, among them a violated reference.
pub async fn delete(conn: &mut PgConnection, tenant: TenantId, instance: InstanceId) -> Result<(), Error> {
    sqlx::query!("delete from instances where tenant_id = $1 and instance_id = $2", tenant.0, instance.0)
        .execute(conn)
        .await?;
    Ok(())
}
