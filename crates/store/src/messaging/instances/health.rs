//! Whether an instance can send: its state at the gateway, and the queues that wait for it.

use chrono::{DateTime, Utc};
use regua_domain::{EventKind, InstanceId, InstanceName, InstanceState, QueueId, Slug, TenantId};
use sqlx::{Error, PgConnection};

use super::Instance;

/// Marks an instance as verified: its gateway has accepted the address and the token of `checked`. Changes nothing when
/// one of them was replaced since it was read.
pub async fn mark_verified(conn: &mut PgConnection, checked: &Instance, now: DateTime<Utc>) -> Result<(), Error> {
    sqlx::query!(
        "update instances set verified_at = $5
         where tenant_id = $1 and instance_id = $2 and base_url = $3 and token = $4 and verified_at is null",
        checked.tenant_id as TenantId,
        checked.instance_id as InstanceId,
        checked.base_url,
        checked.token,
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Marks an instance as connected and verified, and its waiting queues as pending; returns those queues.
pub async fn mark_open(conn: &mut PgConnection, checked: &Instance, now: DateTime<Utc>) -> Result<Vec<QueueId>, Error> {
    let (tenant, instance) = (checked.tenant_id, checked.instance_id);
    mark_verified(conn, checked, now).await?;
    sqlx::query!(
        "with former as materialized (
             select state from instances where tenant_id = $1 and instance_id = $2 for no key update
         ), changed as (
             update instances i set state = 'open', state_reason = null, state_checked_at = $3, next_check_at = null
             from former f where i.tenant_id = $1 and i.instance_id = $2
             returning f.state as former_state
         )
         insert into events (tenant_id, kind, at, instance_id)
         select $1, $4, $3, $2 from changed where former_state <> 'open'",
        tenant as TenantId,
        instance as InstanceId,
        now,
        EventKind::InstanceOpen as EventKind
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query_scalar!(
        r#"with ordered as materialized (
             select queue_id from queues
             where tenant_id = $1 and instance_id = $2 and status = 'instance_down'
             order by queue_id for no key update
         ), woken as (
             update queues q set status = 'pending', reason = null
             from ordered o where q.tenant_id = $1 and q.queue_id = o.queue_id and q.status = 'instance_down'
             returning q.queue_id
         ), written as (
             insert into events (tenant_id, kind, at, queue_id) select $1, $3, $4, queue_id from woken
         )
         select queue_id as "queue_id: QueueId" from woken"#,
        tenant as TenantId,
        instance as InstanceId,
        EventKind::QueueResumed as EventKind,
        now
    )
    .fetch_all(conn)
    .await
}

/// Writes why an instance cannot send and when to check it again, and makes its runnable queues `instance_down`. Writes
/// nothing and returns false when the address or token was replaced since `checked` was read: the check is then about
/// the old address.
pub async fn mark_down(
    conn: &mut PgConnection,
    checked: &Instance,
    state: InstanceState,
    reason: &str,
    now: DateTime<Utc>,
    next_check_at: DateTime<Utc>,
) -> Result<bool, Error> {
    let (tenant, instance) = (checked.tenant_id, checked.instance_id);
    // Each sealing yields a different ciphertext, so a replaced token differs even when its plain text is the same.
    let is_written = sqlx::query_scalar!(
        r#"with former as materialized (
             select state from instances
             where tenant_id = $1 and instance_id = $2 and base_url = $7 and token = $8 for no key update
         ), changed as (
             update instances i set state = $3, state_reason = $4, state_checked_at = $5, next_check_at = $6
             from former f where i.tenant_id = $1 and i.instance_id = $2
             returning f.state as former_state
         ), written as (
             insert into events (tenant_id, kind, at, instance_id)
             select $1, $9, $5, $2 from changed where former_state <> $3
         )
         select exists (select from changed) as "is_written!""#,
        tenant as TenantId,
        instance as InstanceId,
        state as InstanceState,
        reason,
        now,
        next_check_at,
        checked.base_url,
        checked.token,
        EventKind::of_instance(state) as EventKind
    )
    .fetch_one(&mut *conn)
    .await?;
    if !is_written {
        return Ok(false);
    }
    if matches!(state, InstanceState::Connecting | InstanceState::Close) {
        mark_verified(conn, checked, now).await?;
    }
    sqlx::query!(
        "with ordered as materialized (
             select queue_id from queues
             where tenant_id = $1 and instance_id = $2 and status in ('pending', 'running')
             order by queue_id for no key update
         ), held as (
             update queues q set status = 'instance_down', reason = $3
             from ordered o
             where q.tenant_id = $1 and q.queue_id = o.queue_id and q.status in ('pending', 'running')
             returning q.queue_id
         )
         insert into events (tenant_id, kind, at, queue_id) select $1, $4, $5, queue_id from held",
        tenant as TenantId,
        instance as InstanceId,
        reason,
        EventKind::QueueInstanceDown as EventKind,
        now
    )
    .execute(conn)
    .await?;
    Ok(true)
}

/// Instances whose next check is due, each with one of its queues to ring for. Their next check moves to
/// `next_check_at`, so that no second caller rings. Index `instances_to_check`.
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
         select d.tenant_id as "tenant_id: TenantId", q.queue_id as "queue_id!: QueueId"
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
    Ok(rows.into_iter().map(|row| (row.tenant_id, row.queue_id)).collect())
}

/// An instance that cannot send, for an operator.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are the tables' columns")]
pub struct DownInstance {
    /// The tenant's slug.
    pub tenant: Slug,
    pub name: InstanceName,
    pub state: InstanceState,
    pub reason: Option<String>,
}

/// The instances of all tenants that were down at their last check.
pub async fn list_down(conn: &mut PgConnection) -> Result<Vec<DownInstance>, Error> {
    sqlx::query_as!(
        DownInstance,
        r#"select t.slug as "tenant: Slug", i.name as "name: InstanceName", i.state as "state: InstanceState",
                  i.state_reason as reason
         from instances i join tenants t using (tenant_id)
         where i.state not in ('unknown', 'open')
         order by t.slug, i.name"#
    )
    .fetch_all(conn)
    .await
}
