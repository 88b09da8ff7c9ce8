//! Wakes queues: makes them `pending` when their time has come or their instance is connected.

use chrono::{DateTime, Utc};
use regua_domain::{EventKind, MessageType, QueueId, TenantId};
use sqlx::{Error, PgConnection};

/// A queue that became `pending`; the caller rings for it.
#[derive(Clone, Copy, Debug)]
pub struct Woken {
    /// The owner.
    pub tenant_id: TenantId,
    /// The queue's id.
    pub queue_id: QueueId,
    /// The type of all its messages.
    pub message_type: MessageType,
}

/// Wakes scheduled queues whose `scheduled_for` has passed. Index `queues_by_scheduled_for`.
pub async fn wake_scheduled(conn: &mut PgConnection, now: DateTime<Utc>, limit: i64) -> Result<Vec<Woken>, Error> {
    sqlx::query_as!(
        Woken,
        r#"with due as materialized (
             select tenant_id, queue_id from queues where status = 'scheduled' and scheduled_for <= $1
             order by scheduled_for limit $2 for no key update skip locked
         ), woken as (
             update queues q set status = 'pending', reason = null from due d
             where q.tenant_id = d.tenant_id and q.queue_id = d.queue_id
             returning q.tenant_id, q.queue_id, q.type
         ), written as (
             insert into events (tenant_id, kind, at, queue_id) select tenant_id, $3, $1, queue_id from woken
         )
         select tenant_id as "tenant_id: TenantId", queue_id as "queue_id: QueueId", type as "message_type: MessageType"
         from woken"#,
        now,
        limit,
        EventKind::QueueResumed as EventKind
    )
    .fetch_all(conn)
    .await
}

/// Wakes queues in state `paused_hours` whose `resume_at` has passed. Index `queues_by_resume_at`.
pub async fn wake_paused_hours(conn: &mut PgConnection, now: DateTime<Utc>, limit: i64) -> Result<Vec<Woken>, Error> {
    sqlx::query_as!(
        Woken,
        r#"with due as materialized (
             select tenant_id, queue_id from queues where status = 'paused_hours' and resume_at <= $1
             order by resume_at limit $2 for no key update skip locked
         ), woken as (
             update queues q set status = 'pending', reason = null, resume_at = null from due d
             where q.tenant_id = d.tenant_id and q.queue_id = d.queue_id
             returning q.tenant_id, q.queue_id, q.type
         ), written as (
             insert into events (tenant_id, kind, at, queue_id) select tenant_id, $3, $1, queue_id from woken
         )
         select tenant_id as "tenant_id: TenantId", queue_id as "queue_id: QueueId", type as "message_type: MessageType"
         from woken"#,
        now,
        limit,
        EventKind::QueueResumed as EventKind
    )
    .fetch_all(conn)
    .await
}

/// Wakes queues in state `instance_down` whose instance is open. [`crate::instances::mark_open`] usually wakes them in
/// its transaction. Index `queues_unfinished`.
pub async fn wake_connected(conn: &mut PgConnection, now: DateTime<Utc>, limit: i64) -> Result<Vec<Woken>, Error> {
    sqlx::query_as!(
        Woken,
        r#"with stuck as materialized (
             select q.tenant_id, q.queue_id from queues q join instances i using (tenant_id, instance_id)
             where q.status = 'instance_down' and i.state = 'open'
             limit $2 for no key update of q skip locked
         ), woken as (
             update queues q set status = 'pending', reason = null from stuck s
             where q.tenant_id = s.tenant_id and q.queue_id = s.queue_id and q.status = 'instance_down'
             returning q.tenant_id, q.queue_id, q.type
         ), written as (
             insert into events (tenant_id, kind, at, queue_id) select tenant_id, $3, $1, queue_id from woken
         )
         select tenant_id as "tenant_id: TenantId", queue_id as "queue_id: QueueId", type as "message_type: MessageType"
         from woken"#,
        now,
        limit,
        EventKind::QueueResumed as EventKind
    )
    .fetch_all(conn)
    .await
}
