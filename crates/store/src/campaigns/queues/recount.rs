//! Compares the counts of queues with their contacts, for `regua doctor`.

use regua_domain::{QueueId, TenantId};
use sqlx::{Error, PgConnection};

/// Queues whose counts differ from those of their contacts, at most `limit`. The statement reads every contact. It is
/// one statement, so it sees one snapshot and may run beside a working fleet.
pub async fn list_miscounted(conn: &mut PgConnection, limit: i64) -> Result<Vec<(TenantId, QueueId)>, Error> {
    let rows = sqlx::query!(
        r#"select q.tenant_id as "tenant_id!: TenantId", q.queue_id as "queue_id!: QueueId"
           from queues q
           left join (select tenant_id, queue_id, count(*) as total,
                             count(*) filter (where status = 'pending') as pending,
                             count(*) filter (where status = 'sending') as sending,
                             count(*) filter (where status = 'sent') as sent,
                             count(*) filter (where status = 'failed') as failed,
                             count(*) filter (where status = 'unconfirmed') as unconfirmed,
                             count(*) filter (where status = 'skipped') as skipped,
                             count(*) filter (where status = 'cancelled') as cancelled
                      from contacts group by tenant_id, queue_id) c using (tenant_id, queue_id)
           where (q.total, q.pending, q.sending, q.sent, q.failed, q.unconfirmed, q.skipped, q.cancelled)
                 is distinct from (c.total, c.pending, c.sending, c.sent, c.failed, c.unconfirmed, c.skipped, c.cancelled)
           order by q.tenant_id, q.queue_id limit $1"#,
        limit
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.tenant_id, row.queue_id)).collect())
}

/// Replaces one queue's counts by those of its contacts. The caller has locked the queue in the same transaction. Index
/// `contacts_of_queue`.
pub async fn recount(conn: &mut PgConnection, tenant: TenantId, queue: QueueId) -> Result<(), Error> {
    sqlx::query!(
        "update queues q
         set total = c.total, pending = c.pending, sending = c.sending, sent = c.sent, failed = c.failed,
             unconfirmed = c.unconfirmed, skipped = c.skipped, cancelled = c.cancelled,
             delivered = least(q.delivered, c.sent), read = least(q.read, c.sent)
         from (select count(*)::integer as total,
                      (count(*) filter (where status = 'pending'))::integer as pending,
                      (count(*) filter (where status = 'sending'))::integer as sending,
                      (count(*) filter (where status = 'sent'))::integer as sent,
                      (count(*) filter (where status = 'failed'))::integer as failed,
                      (count(*) filter (where status = 'unconfirmed'))::integer as unconfirmed,
                      (count(*) filter (where status = 'skipped'))::integer as skipped,
                      (count(*) filter (where status = 'cancelled'))::integer as cancelled
               from contacts where tenant_id = $1 and queue_id = $2) c
         where q.tenant_id = $1 and q.queue_id = $2",
        tenant as TenantId,
        queue as QueueId
    )
    .execute(conn)
    .await?;
    Ok(())
}
