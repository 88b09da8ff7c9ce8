//! Wakes queues: makes them `pending` when their time has come or their instance is connected.

use chrono::{DateTime, Utc};
use regua_domain::{EventKind, MessageType, QueueId, TenantId};
use sqlx::{Error, PgConnection};

/// A queue that became `pending`; the caller rings for it.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the fields are the table's columns")]
pub struct Woken {
    pub tenant_id: TenantId,
    pub queue_id: QueueId,
    pub message_type: MessageType,
}

/// Wakes the queues `q` that `$due` selects, at most `$limit`, and writes their events. `$1` is the time.
macro_rules! wake {
    ($due:literal, $conn:expr, $now:expr, $limit:expr) => {
        sqlx::query_as!(
            Woken,
            "with due as materialized (select q.tenant_id, q.queue_id from queues q "
                + $due
                + r#" limit $2 for no key update of q skip locked
             ), woken as (
                 update queues q set status = 'pending', reason = null, resume_at = null from due d
                 where q.tenant_id = d.tenant_id and q.queue_id = d.queue_id
                 returning q.tenant_id, q.queue_id, q.type
             ), written as (
                 insert into events (tenant_id, kind, at, queue_id) select tenant_id, $3, $1, queue_id from woken
             )
             select tenant_id as "tenant_id: TenantId", queue_id as "queue_id: QueueId",
                    type as "message_type: MessageType"
             from woken"#,
            $now,
            $limit,
            EventKind::QueueResumed as EventKind
        )
        .fetch_all($conn)
        .await
    };
}

/// Wakes scheduled queues whose `scheduled_for` has passed. Index `queues_by_scheduled_for`.
pub async fn wake_scheduled(conn: &mut PgConnection, now: DateTime<Utc>, limit: i64) -> Result<Vec<Woken>, Error> {
    wake!("where q.status = 'scheduled' and q.scheduled_for <= $1 order by q.scheduled_for", conn, now, limit)
}

/// Wakes queues in state `paused_hours` whose `resume_at` has passed. Index `queues_by_resume_at`.
pub async fn wake_paused_hours(conn: &mut PgConnection, now: DateTime<Utc>, limit: i64) -> Result<Vec<Woken>, Error> {
    wake!("where q.status = 'paused_hours' and q.resume_at <= $1 order by q.resume_at", conn, now, limit)
}

/// Wakes queues in state `instance_down` whose instance is open. [`crate::instances::mark_open`] usually wakes them in
/// its transaction. Index `queues_unfinished`.
pub async fn wake_connected(conn: &mut PgConnection, now: DateTime<Utc>, limit: i64) -> Result<Vec<Woken>, Error> {
    wake!(
        "join instances i using (tenant_id, instance_id) where q.status = 'instance_down' and i.state = 'open'",
        conn,
        now,
        limit
    )
}
