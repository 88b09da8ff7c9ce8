//! Table `instances`: WhatsApp numbers at Evolution API servers, and the state of each at the last check.

mod gateway;
mod health;
mod settings;

use std::fmt;

use chrono::{DateTime, Utc};
use regua_domain::{InstanceId, InstanceName, InstanceState, Sealed, TenantId};
use sqlx::{Error, PgConnection};

pub use gateway::{WebhookSecret, servers_of_other_tenants, set_address, set_webhook_secret, webhook_secret};
pub use health::{DownInstance, list_down, mark_down, mark_open, mark_verified, take_due_checks};
pub use settings::{InstanceSettings, delete, set_pace, settings};

/// An instance with the columns that its lane needs: address, pace and state. Absent values of the pace are the
/// tenant's.
#[derive(Clone)]
#[expect(missing_docs, reason = "the fields are the table's columns")]
pub struct Instance {
    pub tenant_id: TenantId,
    pub instance_id: InstanceId,
    /// Also the name at the gateway.
    pub name: InstanceName,
    pub base_url: String,
    /// Sealed for `Place::instance_token`, or plain text where it is older than sealing.
    pub token: String,
    /// The instance's own, or the tenant's.
    pub messages_per_minute: i32,
    /// The tenant's.
    pub jitter_percent: i16,
    /// The instance's own, or the tenant's.
    pub daily_cap: Option<i32>,
    /// Most sends at the same time.
    pub lane_concurrency: i16,
    pub state: InstanceState,
    pub state_reason: Option<String>,
    /// Whether the gateway has accepted this address and token.
    pub is_verified: bool,
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance")
            .field("instance_id", &self.instance_id)
            .field("name", &self.name)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

/// Creates an instance and its lane; false when the tenant has an instance of this name.
pub async fn create(
    conn: &mut PgConnection,
    tenant: TenantId,
    instance: InstanceId,
    name: &InstanceName,
    base_url: &str,
    token: &Sealed,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let inserted = sqlx::query!(
        "insert into instances (tenant_id, instance_id, name, base_url, token, created_at)
         values ($1, $2, $3, $4, $5, $6) on conflict (tenant_id, name) do nothing",
        tenant as TenantId,
        instance as InstanceId,
        name as &InstanceName,
        base_url,
        token.as_str(),
        now
    )
    .execute(&mut *conn)
    .await?;
    if inserted.rows_affected() == 0 {
        return Ok(false);
    }
    sqlx::query!(
        "insert into lanes (tenant_id, instance_id) values ($1, $2)",
        tenant as TenantId,
        instance as InstanceId
    )
    .execute(conn)
    .await?;
    Ok(true)
}

/// One instance.
pub async fn get(conn: &mut PgConnection, tenant: TenantId, id: InstanceId) -> Result<Option<Instance>, Error> {
    Ok(get_all(conn, &[(tenant, id)]).await?.pop())
}

/// The tenant's instances, by name.
pub async fn list(conn: &mut PgConnection, tenant: TenantId) -> Result<Vec<Instance>, Error> {
    let ids = sqlx::query_scalar!(
        r#"select instance_id as "instance_id: InstanceId" from instances where tenant_id = $1"#,
        tenant as TenantId
    );
    let ids: Vec<_> = ids.fetch_all(&mut *conn).await?.into_iter().map(|id| (tenant, id)).collect();
    get_all(conn, &ids).await
}

/// The given instances that exist, in the order of tenant and name.
pub async fn get_all(conn: &mut PgConnection, ids: &[(TenantId, InstanceId)]) -> Result<Vec<Instance>, Error> {
    let (tenants, instances): (Vec<_>, Vec<_>) = ids.iter().copied().unzip();
    sqlx::query_as!(
        Instance,
        r#"select i.tenant_id, i.instance_id, i.name as "name: InstanceName", i.base_url, i.token, i.lane_concurrency,
                  i.state as "state: InstanceState", i.state_reason, i.verified_at is not null as "is_verified!",
                  coalesce(i.messages_per_minute, c.messages_per_minute) as "messages_per_minute!",
                  c.jitter_percent, coalesce(i.daily_cap, c.daily_cap) as daily_cap
           from unnest($1::uuid[], $2::uuid[]) as u (tenant_id, instance_id)
           join instances i using (tenant_id, instance_id) join tenant_configs c using (tenant_id)
           order by i.tenant_id, i.name"#,
        &tenants as &[TenantId],
        &instances as &[InstanceId]
    )
    .fetch_all(conn)
    .await
}
