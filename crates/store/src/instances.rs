//! Table `instances`: WhatsApp numbers at Evolution API servers, and what was last seen of each.

mod kept;
mod operated;

use std::fmt;

use chrono::{DateTime, Utc};
use regua_domain::{InstanceId, MessageType, QueueId, Sealed, TenantId};
use sqlx::{Error, PgConnection};

pub use kept::{Kept, delete, kept};
pub use operated::{Down, down, is_taken_by_another, set_address, set_webhook_secret, webhook_secret};

/// One number, with what is needed to send through it.
#[derive(Clone)]
pub struct Instance {
    /// Its id.
    pub instance_id: InstanceId,
    /// Its name at the gateway.
    pub name: String,
    /// The gateway.
    pub base_url: String,
    /// As it is kept: sealed for `Place::instance_token`, or as it stands where it is older than sealing.
    pub token: String,
    /// Its own rate, or its tenant's.
    pub messages_per_minute: i32,
    /// Its tenant's.
    pub jitter_percent: i16,
    /// Its own daily cap, or its tenant's.
    pub daily_cap: Option<i32>,
    /// Sends that may be on their way at once.
    pub lane_concurrency: i16,
    /// As last seen.
    pub state: String,
    /// Why it is in that state.
    pub state_reason: Option<String>,
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

/// Registers a number and its lane; none when the tenant has one of that name.
///
/// # Errors
/// The database's.
pub async fn create(
    conn: &mut PgConnection,
    tenant: TenantId,
    instance: InstanceId,
    name: &str,
    base_url: &str,
    token: &Sealed,
    now: DateTime<Utc>,
) -> Result<Option<InstanceId>, Error> {
    let inserted = sqlx::query!(
        "insert into instances (tenant_id, instance_id, name, base_url, token, created_at)
         values ($1, $2, $3, $4, $5, $6) on conflict (tenant_id, name) do nothing",
        tenant.0,
        instance.0,
        name,
        base_url,
        token.as_str(),
        now
    )
    .execute(&mut *conn)
    .await?
    .rows_affected();
    if inserted == 0 {
        return Ok(None);
    }
    sqlx::query!("insert into lanes (tenant_id, instance_id) values ($1, $2)", tenant.0, instance.0)
        .execute(conn)
        .await?;
    Ok(Some(instance))
}

/// Sets a number's own rate, cap and concurrency; none: the tenant's.
///
/// # Errors
/// The database's.
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
        tenant.0,
        instance.0,
        messages_per_minute,
        daily_cap,
        lane_concurrency
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// One number with its effective pace.
///
/// # Errors
/// The database's.
pub async fn get(conn: &mut PgConnection, tenant: TenantId, id: InstanceId) -> Result<Option<Instance>, Error> {
    let mut all = get_all(conn, &[(tenant, id)]).await?;
    Ok(all.pop().map(|(_, instance)| instance))
}

/// A tenant's numbers by name.
///
/// # Errors
/// The database's.
pub async fn list(conn: &mut PgConnection, tenant: TenantId) -> Result<Vec<Instance>, Error> {
    let rows = sqlx::query!("select instance_id from instances where tenant_id = $1", tenant.0);
    let ids: Vec<_> =
        rows.fetch_all(&mut *conn).await?.iter().map(|row| (tenant, InstanceId(row.instance_id))).collect();
    Ok(get_all(conn, &ids).await?.into_iter().map(|(_, instance)| instance).collect())
}

/// These numbers, by tenant and name, of those that there are.
///
/// # Errors
/// The database's.
pub async fn get_all(
    conn: &mut PgConnection,
    ids: &[(TenantId, InstanceId)],
) -> Result<Vec<(TenantId, Instance)>, Error> {
    let rows = sqlx::query!(
        r#"select i.tenant_id, i.instance_id, i.name, i.base_url, i.token, i.lane_concurrency, i.state, i.state_reason,
                  coalesce(i.messages_per_minute, c.messages_per_minute) as "messages_per_minute!",
                  c.jitter_percent, coalesce(i.daily_cap, c.daily_cap) as daily_cap
           from unnest($1::uuid[], $2::uuid[]) as u (tenant_id, instance_id)
           join instances i using (tenant_id, instance_id) join tenant_configs c using (tenant_id)
           order by i.tenant_id, i.name"#,
        &ids.iter().map(|id| id.0.0).collect::<Vec<_>>(),
        &ids.iter().map(|id| id.1.0).collect::<Vec<_>>()
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let instance = Instance {
                instance_id: InstanceId(row.instance_id),
                name: row.name,
                base_url: row.base_url,
                token: row.token,
                messages_per_minute: row.messages_per_minute,
                jitter_percent: row.jitter_percent,
                daily_cap: row.daily_cap,
                lane_concurrency: row.lane_concurrency,
                state: row.state,
                state_reason: row.state_reason,
            };
            (TenantId(row.tenant_id), instance)
        })
        .collect())
}

/// The instance of this name, or the tenant's default for the type where no name is given.
///
/// # Errors
/// The database's.
pub async fn for_type(
    conn: &mut PgConnection,
    tenant: TenantId,
    message_type: MessageType,
    name: Option<&str>,
) -> Result<Option<InstanceId>, Error> {
    let row = sqlx::query!(
        "select i.instance_id
         from instances i
         where i.tenant_id = $1
           and (i.name = $3 or ($3::text is null and i.instance_id =
                (select d.instance_id from type_defaults d where d.tenant_id = $1 and d.type = $2)))",
        tenant.0,
        message_type.as_str(),
        name
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| InstanceId(row.instance_id)))
}

/// Notes that a number is connected, and lets the queues that waited for it run again; answers those queues.
///
/// # Errors
/// The database's.
pub async fn is_open(
    conn: &mut PgConnection,
    tenant: TenantId,
    instance: InstanceId,
    now: DateTime<Utc>,
) -> Result<Vec<QueueId>, Error> {
    sqlx::query!(
        "update instances set state = 'open', state_reason = null, state_checked_at = $3, next_check_at = null
         where tenant_id = $1 and instance_id = $2",
        tenant.0,
        instance.0,
        now
    )
    .execute(&mut *conn)
    .await?;
    let rows = sqlx::query!(
        "with ordered as materialized (
             select queue_id from queues
             where tenant_id = $1 and instance_id = $2 and status = 'instance_down'
             order by queue_id for no key update
         )
         update queues q set status = 'pending', reason = null
         from ordered o where q.tenant_id = $1 and q.queue_id = o.queue_id and q.status = 'instance_down'
         returning q.queue_id",
        tenant.0,
        instance.0
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| QueueId(row.queue_id)).collect())
}

/// Notes that a number cannot send, with the reason, holds its runnable queues, and says when to look again. False, and
/// nothing is noted, when its address or token was replaced since `asked` was read: then that is what is to be asked about.
///
/// # Errors
/// The database's.
pub async fn is_down(
    conn: &mut PgConnection,
    tenant: TenantId,
    asked: &Instance,
    state: &str,
    reason: &str,
    now: DateTime<Utc>,
    next_check_at: DateTime<Utc>,
) -> Result<bool, Error> {
    let instance = asked.instance_id;
    // A token is sealed anew whenever it is set, so that the same one in other letters is another one.
    let noted = sqlx::query!(
        "update instances set state = $3, state_reason = $4, state_checked_at = $5, next_check_at = $6
         where tenant_id = $1 and instance_id = $2 and base_url = $7 and token = $8",
        tenant.0,
        instance.0,
        state,
        reason,
        now,
        next_check_at,
        asked.base_url,
        asked.token
    )
    .execute(&mut *conn)
    .await?
    .rows_affected();
    if noted == 0 {
        return Ok(false);
    }
    sqlx::query!(
        "with ordered as materialized (
             select queue_id from queues
             where tenant_id = $1 and instance_id = $2 and status in ('pending', 'running')
             order by queue_id for no key update
         )
         update queues q set status = 'instance_down', reason = $3
         from ordered o
         where q.tenant_id = $1 and q.queue_id = o.queue_id and q.status in ('pending', 'running')",
        tenant.0,
        instance.0,
        reason
    )
    .execute(conn)
    .await?;
    Ok(true)
}

/// Numbers whose next check is due, each with one of its queues to ring for, and moves their next check on so that a
/// second caller does not ring as well. Index `instances_to_check`.
///
/// # Errors
/// The database's.
pub async fn take_due_checks(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    next_check_at: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<(TenantId, QueueId)>, Error> {
    let rows = sqlx::query!(
        r#"with due as materialized (
             select tenant_id, instance_id from instances
             where next_check_at <= $1 order by next_check_at limit $3
             for no key update skip locked
         ), moved as (
             update instances i set next_check_at = $2
             from due d where i.tenant_id = d.tenant_id and i.instance_id = d.instance_id
         )
         select d.tenant_id, q.queue_id as "queue_id!"
         from due d cross join lateral (
             select queue_id from queues q
             where q.tenant_id = d.tenant_id and q.instance_id = d.instance_id
               and q.status not in ('completed', 'cancelled', 'failed')
             limit 1
         ) q"#,
        now,
        next_check_at,
        limit
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (TenantId(row.tenant_id), QueueId(row.queue_id))).collect())
}
