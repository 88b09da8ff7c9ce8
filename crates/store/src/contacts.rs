//! Table `contacts`: one recipient of one campaign, from intake to its last state.
//!
//! A contact is read by the lane's owner, marked `sending` before the request goes out, and finished with what the gateway
//! answered. The way of most contacts changes no indexed column, so that mark and outcome are HOT updates; only what comes
//! a second time stands in an index of its own (`requeued`), from then until it is settled.

mod abandoned;
mod delivery;
mod erasure;
mod intake;
mod learn;
mod listing;
mod send;
mod verdicts;

use chrono::{DateTime, Utc};
use regua_domain::{ContactId, QueueId, TenantId};
use sqlx::{Error, PgConnection};

pub use abandoned::{settle_abandoned, with_attempts_under_way};
pub use delivery::{Delivery, note_delivery};
pub use erasure::{Erasable, ErasedContacts, erase, to_erase};
pub use intake::{Insertion, NewContacts, insertions};
pub use learn::{Finding, Learnt, learn};
pub use listing::{Contact, Name, get, list};
pub use send::{Finish, Finished, MarkFacts, NewAttempt, finish, finish_sent, mark_facts, mark_sending, skip};
pub use verdicts::{Locked, Unconfirmed, give_up, lock_unconfirmed, resend};

use crate::queues::CountChange;

/// A contact in the hands of the lane's owner.
#[derive(Clone)]
pub struct Claimed {
    /// Its id.
    pub contact_id: ContactId,
    /// Its queue.
    pub queue_id: QueueId,
    /// Its place in the batch, when this is its first try.
    pub position: Option<i32>,
    /// E.164.
    pub phone: String,
    /// The rendered text.
    pub text: String,
    /// Tries so far.
    pub attempts: i16,
    /// Of them, those that were made because nobody could say whether an earlier one left.
    pub resends: i16,
    /// Of them, those that were written down and then not made.
    pub unmade: i16,
    /// When it was due.
    pub due_at: DateTime<Utc>,
}

/// How many contacts of a queue are claimed at most.
#[derive(Clone, Copy, Debug)]
pub struct Quota {
    /// Whose it is.
    pub tenant_id: TenantId,
    /// The queue.
    pub queue_id: QueueId,
    /// At most so many.
    pub quota: i32,
}

/// The next due contacts of each queue, in the order of `quotas`: those that were tried before and have come due again, then
/// those that wait for their first try, in the order of the batch.
///
/// Nothing is written: the caller holds the lanes' leases and has locked them, so nobody else sends for these queues, and a
/// contact leaves this list by its mark alone. The plan must walk `contacts_requeued`, and `contacts_of_queue` from the
/// queue's `next_position` on, whatever else is stored (a test asserts it).
///
/// # Errors
/// The database's.
pub async fn claim(conn: &mut PgConnection, quotas: &[Quota], now: DateTime<Utc>) -> Result<Vec<Claimed>, Error> {
    let rows = sqlx::query!(
        r#"select c.contact_id as "contact_id!", c.queue_id as "queue_id!", c.position as "position!",
                  c.requeued as "requeued!", c.phone as "phone!", c.text as "text!",
                  c.attempts as "attempts!", c.resends as "resends!", c.due_at as "due_at!",
                  case when c.attempts = 0 then 0::smallint
                       else (select count(*)::smallint from attempts m
                             where m.tenant_id = c.tenant_id and m.contact_id = c.contact_id
                               and m.reason = 'lease_lost')
                  end as "unmade!"
           from unnest($1::uuid[], $2::uuid[], $3::integer[]) with ordinality as u (tenant_id, queue_id, quota, place)
           join queues q on q.tenant_id = u.tenant_id and q.queue_id = u.queue_id and q.status in ('pending', 'running')
           cross join lateral (
               (select c.tenant_id, c.contact_id, c.queue_id, c.position, c.requeued, c.phone, c.text, c.attempts, c.resends, c.due_at
                from contacts c
                where c.tenant_id = u.tenant_id and c.queue_id = u.queue_id and c.requeued and c.due_at <= $4
                  and c.status = 'pending'
                order by c.due_at, c.contact_id
                limit u.quota)
               union all
               (select c.tenant_id, c.contact_id, c.queue_id, c.position, c.requeued, c.phone, c.text, c.attempts, c.resends, c.due_at
                from contacts c
                where c.tenant_id = u.tenant_id and c.queue_id = u.queue_id and c.position >= q.next_position
                  and c.status = 'pending' and not c.requeued
                order by c.position
                limit u.quota)
               limit u.quota
           ) c
           order by u.place, c.due_at, c.position"#,
        &quotas.iter().map(|quota| quota.tenant_id.0).collect::<Vec<_>>(),
        &quotas.iter().map(|quota| quota.queue_id.0).collect::<Vec<_>>(),
        &quotas.iter().map(|quota| quota.quota).collect::<Vec<_>>(),
        now
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Claimed {
            contact_id: ContactId(row.contact_id),
            queue_id: QueueId(row.queue_id),
            position: (!row.requeued).then_some(row.position),
            phone: row.phone,
            text: row.text,
            attempts: row.attempts,
            resends: row.resends,
            unmade: row.unmade,
            due_at: row.due_at,
        })
        .collect())
}

/// Cancels every unsent contact of a locked queue and counts them; what is on its way stays so. One that was to be sent once
/// more, and of which nobody can say whether its earlier try left, is unconfirmed again, and that try is looked for.
///
/// # Errors
/// The database's.
pub async fn cancel_unsent(
    conn: &mut PgConnection,
    tenant: TenantId,
    queue: QueueId,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let counts = sqlx::query!(
        r#"with moved as (
             update contacts c
             set status = case when c.resends > 0 and exists (
                                   select from attempts a where a.tenant_id = c.tenant_id
                                     and a.contact_id = c.contact_id and a.outcome = 'unknown') then 'unconfirmed'
                               else 'cancelled' end,
                 requeued = false, reason = 'queue_cancelled', updated_at = $3
             where tenant_id = $1 and queue_id = $2 and status = 'pending'
             returning c.contact_id, c.status
         ), sought as (
             update attempts a set next_look_at = $3, looks = 0
             from moved m
             where m.status = 'unconfirmed' and a.tenant_id = $1 and a.contact_id = m.contact_id
               and a.outcome = 'unknown'
         )
         select count(*) filter (where status = 'cancelled')::integer as "cancelled!",
                count(*) filter (where status = 'unconfirmed')::integer as "unconfirmed!"
         from moved"#,
        tenant.0,
        queue.0,
        now
    )
    .fetch_one(&mut *conn)
    .await?;
    let (cancelled, unconfirmed) = (counts.cancelled, counts.unconfirmed);
    let change = CountChange { pending: -cancelled - unconfirmed, cancelled, unconfirmed, ..CountChange::default() };
    crate::queues::change_counts(conn, &[(tenant, queue, change)], now).await
}
