//! Closes abandoned attempts: those that the former holder of a lane left under way.

use chrono::{DateTime, Utc};
use regua_domain::{ContactId, ContactStatus, InstanceId, LaneKey, QueueId, TenantId};
use sqlx::{Error, PgConnection};

use crate::columns::column;
use crate::queues::{self, ContactMove};

/// Closes a lane's attempts under way with outcome unknown; returns the number of unconfirmed contacts. A contact
/// becomes `unconfirmed`, or `sent` if an earlier attempt has outcome sent. Contacts that were only claimed stay
/// `pending`. The caller has leased or locked the lane in the same transaction, so that no contact is marked meanwhile.
///
/// A contact in its first attempt is at its queue's `next_position` or after it, and a contact in a later attempt is
/// `requeued`. So the statement reads few other contacts. Indexes `queues_unfinished`, `contacts_of_queue` and
/// `contacts_requeued`.
pub async fn close_abandoned(conn: &mut PgConnection, lane: LaneKey, now: DateTime<Utc>) -> Result<u64, Error> {
    lock_queues_of(conn, lane).await?;
    let moves = sqlx::query_as!(
        ContactMove,
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
             returning c.tenant_id, c.queue_id, c.contact_id, c.status
         )
         select tenant_id as "tenant_id: TenantId", queue_id as "queue_id: QueueId", contact_id as "contact_id: ContactId",
                'sending' as "from!: ContactStatus", status as "to: ContactStatus"
         from moved"#,
        lane.tenant as TenantId,
        lane.instance as InstanceId,
        now
    )
    .fetch_all(&mut *conn)
    .await?;
    queues::record_moves(conn, &moves, now).await?;
    Ok(moves.iter().filter(|moved| moved.to == ContactStatus::Unconfirmed).count() as u64)
}

/// Locks an instance's queues with attempts under way, in key order.
async fn lock_queues_of(conn: &mut PgConnection, lane: LaneKey) -> Result<(), Error> {
    sqlx::query!(
        "select queue_id from queues
         where tenant_id = $1 and instance_id = $2 and status not in ('completed', 'failed') and sending > 0
         order by queue_id
         for no key update",
        lane.tenant as TenantId,
        lane.instance as InstanceId
    )
    .fetch_all(conn)
    .await?;
    Ok(())
}

/// Returns the given lanes that have an attempt under way. The caller has locked the lanes, so that no contact is
/// marked meanwhile. Index `queues_unfinished`.
pub async fn with_attempts_under_way(conn: &mut PgConnection, lanes: &[LaneKey]) -> Result<Vec<LaneKey>, Error> {
    sqlx::query_as!(
        LaneKey,
        r#"select u.tenant_id as "tenant!: TenantId", u.instance_id as "instance!: InstanceId"
           from unnest($1::uuid[], $2::uuid[]) as u (tenant_id, instance_id)
           where exists (select from queues q
                         where q.tenant_id = u.tenant_id and q.instance_id = u.instance_id
                           and q.status not in ('completed', 'failed') and q.sending > 0)"#,
        &column(lanes, |lane| lane.tenant) as &[TenantId],
        &column(lanes, |lane| lane.instance) as &[InstanceId]
    )
    .fetch_all(conn)
    .await
}
