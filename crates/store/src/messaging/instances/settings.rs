//! The settings of an instance, for the users of its tenant.

use chrono::{DateTime, Utc};
use regua_domain::{InstanceId, InstanceName, InstanceState, MessageType, TenantId};
use serde::{Deserialize, Serialize};
use sqlx::{Error, PgConnection};

/// An instance: a WhatsApp number at a gateway.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Instance))]
#[expect(missing_docs, reason = "the fields are the table's columns")]
pub struct InstanceSettings {
    #[cfg_attr(feature = "openapi", schema(value_type = uuid::Uuid))]
    pub instance_id: InstanceId,
    /// The name at the gateway.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub name: InstanceName,
    pub base_url: String,
    /// Whether a token is stored. No answer contains it.
    pub token_set: bool,
    /// The id of the key that seals the token; null when the token is older than sealing.
    pub token_key_id: Option<String>,
    /// The instance's own; null: the tenant's.
    pub messages_per_minute: Option<i32>,
    /// The instance's own; null: the tenant's.
    pub daily_cap: Option<i32>,
    /// Messages that may be sent at the same time.
    pub lane_concurrency: i16,
    /// The instance's own, or the tenant's.
    pub effective_messages_per_minute: i32,
    /// The instance's own, or the tenant's; null: no cap.
    pub effective_daily_cap: Option<i32>,
    /// Whether webhooks about the instance are accepted.
    pub webhook_set: bool,
    /// The state at the last check by a worker.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub state: InstanceState,
    pub state_reason: Option<String>,
    pub state_checked_at: Option<DateTime<Utc>>,
    /// Message types whose default is the instance.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub default_for: Vec<MessageType>,
    pub created_at: DateTime<Utc>,
}

/// The tenant's instances by name, or one of them.
pub async fn settings(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: Option<InstanceId>,
) -> Result<Vec<InstanceSettings>, Error> {
    sqlx::query_as!(
        InstanceSettings,
        r#"select i.instance_id, i.name as "name: InstanceName", i.base_url, i.messages_per_minute, i.daily_cap,
                  i.lane_concurrency, i.token <> '' as "token_set!",
                  substring(i.token from '^v1:([0-9a-f]{8}):') as token_key_id,
                  coalesce(i.messages_per_minute, c.messages_per_minute) as "effective_messages_per_minute!",
                  coalesce(i.daily_cap, c.daily_cap) as effective_daily_cap,
                  i.webhook_secret_hash is not null as "webhook_set!",
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
