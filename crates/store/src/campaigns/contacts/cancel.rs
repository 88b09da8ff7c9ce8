//! Cancels the unsent contacts of a queue.

use chrono::{DateTime, Utc};
use regua_domain::{ContactId, ContactStatus, QueueId, TenantId};
use sqlx::{Error, PgConnection};

use crate::queues::{self, ContactMove};

/// Cancels the pending contacts of a locked queue. A `sending` contact does not change. A resent contact with an
/// unknown attempt becomes `unconfirmed` again, and the looks for that attempt start again.
pub async fn cancel_unsent(
    conn: &mut PgConnection,
    tenant: TenantId,
    queue: QueueId,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let moves = sqlx::query_as!(
        ContactMove,
        r#"with moved as (
             update contacts c
             set status = case when c.resends > 0 and exists (
                                   select from attempts a where a.tenant_id = c.tenant_id
                                     and a.contact_id = c.contact_id and a.outcome = 'unknown') then 'unconfirmed'
                               else 'cancelled' end,
                 requeued = false, reason = 'queue_cancelled', updated_at = $3
             where tenant_id = $1 and queue_id = $2 and status = 'pending'
             returning c.tenant_id, c.queue_id, c.contact_id, c.status
         ), reopened as (
             update attempts a set next_look_at = $3, looks = 0
             from moved m
             where m.status = 'unconfirmed' and a.tenant_id = $1 and a.contact_id = m.contact_id
               and a.outcome = 'unknown'
         )
         select tenant_id as "tenant_id: TenantId", queue_id as "queue_id: QueueId", contact_id as "contact_id: ContactId",
                'pending' as "from!: ContactStatus", status as "to: ContactStatus"
         from moved"#,
        tenant as TenantId,
        queue as QueueId,
        now
    )
    .fetch_all(&mut *conn)
    .await?;
    queues::record_moves(conn, &moves, now).await
}
