//! Claims the next due contacts of a lane's queues.

use chrono::{DateTime, Utc};
use regua_domain::{ContactId, QueueId, TenantId};
use sqlx::{Error, PgConnection};

use crate::columns::column;

/// A claimed contact.
#[derive(Clone)]
#[expect(missing_docs, reason = "the fields are the table's columns")]
pub struct ClaimedContact {
    pub contact_id: ContactId,
    pub queue_id: QueueId,
    /// Its place in the batch; none for a requeued contact.
    pub position: Option<i32>,
    /// E.164.
    pub phone: String,
    pub text: String,
    pub attempts: i16,
    /// Of them, resends of an unconfirmed contact.
    pub resends: i16,
    /// Of them, attempts that were marked and not posted.
    pub unposted: i16,
    pub due_at: DateTime<Utc>,
}

/// How many contacts to claim from one queue.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the fields are the table's columns")]
pub struct Quota {
    pub tenant_id: TenantId,
    pub queue_id: QueueId,
    /// Most contacts.
    pub quota: i32,
}

/// The next due contacts of each queue, in the order of `quotas`: first the requeued contacts, then those that wait for
/// their first attempt, in the order of the batch.
///
/// The statement writes nothing. The caller has leased and locked the lanes of these queues, so no other worker marks
/// their contacts. The plan must read only `contacts_requeued`, and `contacts_of_queue` from the queue's
/// `next_position` on (a test asserts it).
pub async fn claim(
    conn: &mut PgConnection,
    quotas: &[Quota],
    now: DateTime<Utc>,
) -> Result<Vec<ClaimedContact>, Error> {
    sqlx::query_as!(
        ClaimedContact,
        r#"select c.contact_id as "contact_id!: ContactId", c.queue_id as "queue_id!: QueueId",
                  case when not c.requeued then c.position end as position, c.phone as "phone!", c.text as "text!",
                  c.attempts as "attempts!", c.resends as "resends!", c.due_at as "due_at!",
                  case when c.attempts = 0 then 0::smallint
                       else (select count(*)::smallint from attempts m
                             where m.tenant_id = c.tenant_id and m.contact_id = c.contact_id
                               and m.reason in ('lease_lost', 'no_socket'))
                  end as "unposted!"
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
        &column(quotas, |quota| quota.tenant_id) as &[TenantId],
        &column(quotas, |quota| quota.queue_id) as &[QueueId],
        &column(quotas, |quota| quota.quota),
        now
    )
    .fetch_all(conn)
    .await
}
