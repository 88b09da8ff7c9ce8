//! Table `contacts`: one recipient of one campaign, from intake to its last state.
//!
//! A contact is claimed in batches by the lane's owner, marked `sending` before the request goes out, and finished with
//! what the gateway answered. `claimable` changes at the claim and at a return alone; the indexes stand on it, not on
//! `status`, so that marks and outcomes are HOT updates.

mod abandoned;
mod delivery;
mod intake;
mod learn;
mod listing;
mod send;
mod verdicts;

use chrono::{DateTime, Utc};
use regua_domain::{ContactId, QueueId, TenantId};
use sqlx::{Error, PgConnection};

pub use abandoned::settle_abandoned;
pub use delivery::{Delivery, note_delivery};
pub use intake::{NewContacts, insert};
pub use learn::{Finding, Learnt, learn};
pub use listing::{Contact, Name, get, list};
pub use send::{Finish, Finished, MarkFacts, finish, mark_facts, mark_sending, skip};
pub use verdicts::{Locked, Unconfirmed, give_up, lock_unconfirmed, resend};

use crate::queues::CountChange;

/// A contact in the hands of the lane's owner.
#[derive(Clone)]
pub struct Claimed {
    /// Its id.
    pub contact_id: ContactId,
    /// Its queue.
    pub queue_id: QueueId,
    /// E.164.
    pub phone: String,
    /// The rendered text.
    pub text: String,
    /// The reference in the text.
    pub reference: String,
    /// Tries so far.
    pub attempts: i16,
    /// When it was due.
    pub due_at: DateTime<Utc>,
}

/// Claims up to `quotas[i]` due contacts of `queues[i]`, in due order, skipping what others have locked.
///
/// One statement, with the queue's gate inside. Its plan must walk `contacts_claimable` (a test asserts it); the CTE is
/// materialized because a plan may otherwise run the limited subquery again and lock more than it returns. The caller
/// has locked the lane and so made sure that `epoch` stands.
///
/// # Errors
/// The database's.
pub async fn claim(
    conn: &mut PgConnection,
    tenant: TenantId,
    epoch: i64,
    queues: &[QueueId],
    quotas: &[i32],
    now: DateTime<Utc>,
) -> Result<Vec<Claimed>, Error> {
    let rows = sqlx::query!(
        "with picked as materialized (
             select c.contact_id
             from unnest($2::uuid[], $3::integer[]) as u (queue_id, quota)
             join queues q on q.tenant_id = $1 and q.queue_id = u.queue_id and q.status in ('pending', 'running')
             cross join lateral (
                 select c.contact_id from contacts c
                 where c.tenant_id = $1 and c.queue_id = u.queue_id and c.claimable and c.due_at <= $4
                 order by c.due_at, c.contact_id
                 limit u.quota
                 for update skip locked
             ) c
         )
         update contacts c set claimable = false, claim_epoch = $5
         from picked p where c.tenant_id = $1 and c.contact_id = p.contact_id
         returning c.contact_id, c.queue_id, c.phone, c.text, c.reference, c.attempts, c.due_at",
        tenant.0,
        &queues.iter().map(|queue| queue.0).collect::<Vec<_>>(),
        quotas,
        now,
        epoch
    )
    .fetch_all(conn)
    .await?;
    let mut claimed: Vec<_> = rows
        .into_iter()
        .map(|row| Claimed {
            contact_id: ContactId(row.contact_id),
            queue_id: QueueId(row.queue_id),
            phone: row.phone,
            text: row.text,
            reference: row.reference,
            attempts: row.attempts,
            due_at: row.due_at,
        })
        .collect();
    let place = |queue: QueueId| queues.iter().position(|candidate| *candidate == queue);
    claimed.sort_by_key(|contact| (place(contact.queue_id), contact.due_at));
    Ok(claimed)
}

/// Gives claimed contacts back unsent. Those that are not claimed under this epoch any more are left alone.
///
/// # Errors
/// The database's.
pub async fn give_back(
    conn: &mut PgConnection,
    tenant: TenantId,
    epoch: i64,
    contacts: &[ContactId],
) -> Result<(), Error> {
    sqlx::query!(
        "update contacts set claimable = true, claim_epoch = null
         where tenant_id = $1 and contact_id = any($2) and claim_epoch = $3 and status = 'pending' and not claimable",
        tenant.0,
        &contacts.iter().map(|contact| contact.0).collect::<Vec<_>>(),
        epoch
    )
    .execute(conn)
    .await?;
    Ok(())
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
                 claimable = false, claim_epoch = null, reason = 'queue_cancelled', updated_at = $3
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
