//! What becomes of the contacts of a lane whose owner is gone.

use chrono::{DateTime, Utc};
use regua_domain::{InstanceId, QueueId, TenantId};
use sqlx::{Error, PgConnection};

use crate::queues::CountChange;

/// Settles what a lane's former owner left behind: attempts that are under way become unconfirmed (nobody can say whether
/// they left; `sent` where an earlier one has turned out to have left). What it had claimed and not marked is pending as it
/// was. The caller has taken the lane in the same transaction, so that nothing more is marked.
///
/// A first try stands at its queue's `next_position` or behind it, one that comes again is still `requeued`; so this reads
/// few contacts beside those that it settles. Indexes `queues_unfinished`, `contacts_of_queue` and `contacts_requeued`.
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
        r#"with under_way as materialized (
             select c.contact_id, c.attempts as number, c.attempt_id, c.attempt_epoch, c.attempt_worker,
                    c.attempt_started_at,
                    exists (select from attempts earlier
                            where earlier.tenant_id = $1 and earlier.contact_id = c.contact_id
                              and earlier.outcome = 'sent') as has_left
             from queues q
             cross join lateral (
                 (select c.contact_id, c.attempts, c.attempt_id, c.attempt_epoch, c.attempt_worker, c.attempt_started_at
                  from contacts c
                  where c.tenant_id = q.tenant_id and c.queue_id = q.queue_id and c.position >= q.next_position
                    and c.status = 'sending' and not c.requeued
                  order by c.position
                  limit q.sending)
                 union all
                 (select c.contact_id, c.attempts, c.attempt_id, c.attempt_epoch, c.attempt_worker, c.attempt_started_at
                  from contacts c
                  where c.tenant_id = q.tenant_id and c.queue_id = q.queue_id and c.requeued and c.status = 'sending')
             ) c
             where q.tenant_id = $1 and q.instance_id = $2 and q.status not in ('completed', 'failed') and q.sending > 0
         ), written as (
             insert into attempts (tenant_id, contact_id, number, attempt_id, instance_id, lease_epoch, worker, started_at,
                                   finished_at, outcome, reason, next_look_at)
             select $1, contact_id, number, attempt_id, $2, attempt_epoch, attempt_worker, attempt_started_at,
                    $3, 'unknown', 'worker_lost', $3
             from under_way
         ), moved as (
             update contacts c
             set status = case when w.has_left then 'sent' else 'unconfirmed' end, requeued = false,
                 reason = case when not w.has_left then 'worker_lost' end, updated_at = $3
             from under_way w
             where c.tenant_id = $1 and c.contact_id = w.contact_id
             returning c.queue_id, w.has_left
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

/// Locks, in key order, every queue of an instance of which something is under way.
async fn lock_queues_of(conn: &mut PgConnection, tenant: TenantId, instance: InstanceId) -> Result<(), Error> {
    sqlx::query!(
        "select queue_id from queues
         where tenant_id = $1 and instance_id = $2 and status not in ('completed', 'failed') and sending > 0
         order by queue_id
         for no key update",
        tenant.0,
        instance.0
    )
    .fetch_all(conn)
    .await?;
    Ok(())
}

/// Of these lanes, those of which something is under way. The caller has locked them, so that nothing more is marked. Index
/// `queues_unfinished`.
///
/// # Errors
/// The database's.
pub async fn with_attempts_under_way(
    conn: &mut PgConnection,
    lanes: &[(TenantId, InstanceId)],
) -> Result<Vec<(TenantId, InstanceId)>, Error> {
    let rows = sqlx::query!(
        r#"select u.tenant_id as "tenant_id!", u.instance_id as "instance_id!"
           from unnest($1::uuid[], $2::uuid[]) as u (tenant_id, instance_id)
           where exists (select from queues q
                         where q.tenant_id = u.tenant_id and q.instance_id = u.instance_id
                           and q.status not in ('completed', 'failed') and q.sending > 0)"#,
        &lanes.iter().map(|lane| lane.0.0).collect::<Vec<_>>(),
        &lanes.iter().map(|lane| lane.1.0).collect::<Vec<_>>()
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (TenantId(row.tenant_id), InstanceId(row.instance_id))).collect())
}
