//! The settings of an instance, for the users of its tenant.

use std::fmt;

use chrono::{DateTime, Utc};
use regua_domain::{InstanceId, InstanceName, InstanceState, MessageType, TenantId};
use sqlx::{Error, PgConnection};

/// An instance with its own settings and the effective ones.
#[derive(Clone)]
#[expect(missing_docs, reason = "the fields are the table's columns")]
pub struct InstanceSettings {
    pub instance_id: InstanceId,
    /// Also the name at the gateway.
    pub name: InstanceName,
    pub base_url: String,
    /// Sealed, or plain text where it is older than sealing.
    pub token: String,
    /// The instance's own; none: the tenant's.
    pub messages_per_minute: Option<i32>,
    /// The instance's own; none: the tenant's.
    pub daily_cap: Option<i32>,
    /// Most sends at the same time.
    pub lane_concurrency: i16,
    /// The instance's own rate, or the tenant's.
    pub rate_in_use: i32,
    /// The instance's own cap, or the tenant's.
    pub cap_in_use: Option<i32>,
    /// Whether webhooks are accepted.
    pub has_webhook: bool,
    pub state: InstanceState,
    pub state_reason: Option<String>,
    pub state_checked_at: Option<DateTime<Utc>>,
    /// Types whose batches use the instance when they name none.
    pub default_for: Vec<MessageType>,
    pub created_at: DateTime<Utc>,
}

impl fmt::Debug for InstanceSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InstanceSettings")
            .field("instance_id", &self.instance_id)
            .field("name", &self.name)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

/// The tenant's instances by name, or one of them.
pub async fn settings(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: Option<InstanceId>,
) -> Result<Vec<InstanceSettings>, Error> {
    sqlx::query_as!(
        InstanceSettings,
        r#"select i.instance_id, i.name as "name: InstanceName", i.base_url, i.token, i.messages_per_minute, i.daily_cap,
                  i.lane_concurrency,
                  coalesce(i.messages_per_minute, c.messages_per_minute) as "rate_in_use!",
                  coalesce(i.daily_cap, c.daily_cap) as cap_in_use,
                  i.webhook_secret_hash is not null as "has_webhook!",
                  i.state as "state: InstanceState", i.state_reason, i.state_checked_at, i.created_at,
                  array(select d.type from type_defaults d
                        where d.tenant_id = i.tenant_id and d.instance_id = i.instance_id
                        order by array_position('{overdue,upcoming,notification}'::text[], d.type))
                      as "default_for!: Vec<MessageType>"
           from instances i join tenant_configs c using (tenant_id)
           where i.tenant_id = $1 and ($2::uuid is null or i.instance_id = $2)
           order by i.name"#,
        tenant as TenantId,
        id as Option<InstanceId>
    )
    .fetch_all(conn)
    .await
}

/// Sets an instance's own rate, cap and concurrency; none: the tenant's.
pub async fn set_pace(
    conn: &mut PgConnection,
    tenant: TenantId,
    instance: InstanceId,
    messages_per_minute: Option<i32>,
    daily_cap: Option<i32>,
    lane_concurrency: i16,
) -> Result<(), Error> {
    sqlx::query!(
        "update instances set messages_per_minute = $3, daily_cap = $4, lane_concurrency = $5
         where tenant_id = $1 and instance_id = $2",
        tenant as TenantId,
        instance as InstanceId,
        messages_per_minute,
        daily_cap,
        lane_concurrency
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Deletes an instance with its lane. It violates a foreign key when a queue or a default refers to the instance.
pub async fn delete(conn: &mut PgConnection, tenant: TenantId, instance: InstanceId) -> Result<(), Error> {
    sqlx::query!(
        "delete from instances where tenant_id = $1 and instance_id = $2",
        tenant as TenantId,
        instance as InstanceId
    )
    .execute(conn)
    .await?;
    Ok(())
}
