//! Queues whose time has come.

use chrono::{DateTime, Utc};
use regua_domain::{MessageType, QueueId, TenantId};
use sqlx::{Error, PgConnection};

/// A queue that was moved on and is to be rung for.
#[derive(Clone, Copy, Debug)]
pub struct Woken {
    /// Whose it is.
    pub tenant_id: TenantId,
    /// Its id.
    pub queue_id: QueueId,
    /// Its type.
    pub message_type: MessageType,
}

/// Lets scheduled queues whose time has come be sent. Index `queues_by_scheduled_for`.
///
/// # Errors
/// The database's.
pub async fn wake_scheduled(conn: &mut PgConnection, now: DateTime<Utc>, limit: i64) -> Result<Vec<Woken>, Error> {
    let rows = sqlx::query!(
        "with due as materialized (
             select tenant_id, queue_id from queues where status = 'scheduled' and scheduled_for <= $1
             order by scheduled_for limit $2 for no key update skip locked
         )
         update queues q set status = 'pending', reason = null from due d
         where q.tenant_id = d.tenant_id and q.queue_id = d.queue_id
         returning q.tenant_id, q.queue_id, q.type as message_type",
        now,
        limit
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(|row| woken(row.tenant_id, row.queue_id, &row.message_type)).collect()
}

/// Lets queues that waited for an hour go on. Index `queues_by_resume_at`.
///
/// # Errors
/// The database's.
pub async fn wake_at_hour(conn: &mut PgConnection, now: DateTime<Utc>, limit: i64) -> Result<Vec<Woken>, Error> {
    let rows = sqlx::query!(
        "with due as materialized (
             select tenant_id, queue_id from queues where status = 'paused_hours' and resume_at <= $1
             order by resume_at limit $2 for no key update skip locked
         )
         update queues q set status = 'pending', reason = null, resume_at = null from due d
         where q.tenant_id = d.tenant_id and q.queue_id = d.queue_id
         returning q.tenant_id, q.queue_id, q.type as message_type",
        now,
        limit
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(|row| woken(row.tenant_id, row.queue_id, &row.message_type)).collect()
}

/// Lets queues go on that wait for a number which is open: something broke off between the two. Index `queues_unfinished`.
///
/// # Errors
/// The database's.
pub async fn wake_of_open(conn: &mut PgConnection, limit: i64) -> Result<Vec<Woken>, Error> {
    let rows = sqlx::query!(
        "with stuck as materialized (
             select q.tenant_id, q.queue_id from queues q join instances i using (tenant_id, instance_id)
             where q.status = 'instance_down' and i.state = 'open'
             limit $1 for no key update of q skip locked
         )
         update queues q set status = 'pending', reason = null from stuck s
         where q.tenant_id = s.tenant_id and q.queue_id = s.queue_id and q.status = 'instance_down'
         returning q.tenant_id, q.queue_id, q.type as message_type",
        limit
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(|row| woken(row.tenant_id, row.queue_id, &row.message_type)).collect()
}

fn woken(tenant: uuid::Uuid, queue: uuid::Uuid, message_type: &str) -> Result<Woken, Error> {
    Ok(Woken {
        tenant_id: TenantId(tenant),
        queue_id: QueueId(queue),
        message_type: message_type.parse().map_err(|error| Error::Decode(Box::new(error)))?,
    })
}
