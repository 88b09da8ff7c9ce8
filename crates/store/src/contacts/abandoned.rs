//! What becomes of the contacts of a lane whose owner is gone.

use chrono::{DateTime, Utc};
use regua_domain::{InstanceId, QueueId, TenantId};
use sqlx::{Error, PgConnection};

use crate::queues::CountChange;

/// Settles what a lane's former owner left behind: open attempts become unconfirmed (nobody can say whether they left;
/// `sent` where an earlier one has turned out to have left). What it had claimed and not marked is pending as it was. The
/// caller has taken the lane in the same transaction.
///
/// Indexes `attempts_open` and `queues_unfinished`.
///
/// # Errors
/// The database's.
pub async fn settle_abandoned(
    conn: &mut PgConnection,
    tenant: TenantId,
    instance: InstanceId,
    now: DateTime<Utc>,
) -> Result<u64, Error> {
    lock_queues_of(conn, tenant, instance).await?;
    let rows = sqlx::query!(
        r#"with closed as (
             update attempts a
             set finished_at = $3, outcome = 'unknown', reason = 'worker_lost', next_look_at = $3
             where tenant_id = $1 and instance_id = $2 and finished_at is null
             returning contact_id, number,
                       exists (select from attempts earlier
                               where earlier.tenant_id = $1 and earlier.contact_id = a.contact_id
                                 and earlier.outcome = 'sent') as has_left
         ), moved as (
             update contacts c
             set status = case when d.has_left then 'sent' else 'unconfirmed' end,
                 reason = case when not d.has_left then 'worker_lost' end, updated_at = $3
             from closed d
             where c.tenant_id = $1 and c.contact_id = d.contact_id and c.status = 'sending' and c.attempts = d.number
             returning c.queue_id, d.has_left
         )
         select queue_id as "queue_id!", count(*) filter (where has_left)::integer as "sent!",
                count(*) filter (where not has_left)::integer as "unconfirmed!"
         from moved group by queue_id"#,
        tenant.0,
        instance.0,
        now
    )
    .fetch_all(&mut *conn)
    .await?;
    let changes: Vec<_> = rows
        .iter()
        .map(|row| {
            let (sent, unconfirmed) = (row.sent, row.unconfirmed);
            let change = CountChange { sending: -sent - unconfirmed, sent, unconfirmed, ..CountChange::default() };
            (tenant, QueueId(row.queue_id), change)
        })
        .collect();
    crate::queues::change_counts(&mut *conn, &changes, now).await?;
    Ok(changes.iter().map(|change| u64::from(change.2.unconfirmed.unsigned_abs())).sum())
}

/// Locks, in key order, every queue of an instance that is unfinished or has an open attempt.
async fn lock_queues_of(conn: &mut PgConnection, tenant: TenantId, instance: InstanceId) -> Result<(), Error> {
    sqlx::query!(
        "select queue_id from queues
         where tenant_id = $1 and queue_id in (
             select q.queue_id from queues q
             where q.tenant_id = $1 and q.instance_id = $2 and q.status not in ('completed', 'cancelled', 'failed')
             union
             select c.queue_id from attempts a join contacts c using (tenant_id, contact_id)
             where a.tenant_id = $1 and a.instance_id = $2 and a.finished_at is null)
         order by queue_id
         for no key update",
        tenant.0,
        instance.0
    )
    .fetch_all(conn)
    .await?;
    Ok(())
}
