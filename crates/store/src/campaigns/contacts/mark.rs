//! The mark: makes contacts `sending`, or `skipped`, before their requests.

use chrono::{DateTime, Utc};
use regua_domain::{AttemptId, ContactId, ContactStatus, QueueId, Rule, TenantId};
use sqlx::{Error, PgConnection};

use crate::attempts::AttemptKey;
use crate::columns::column;

/// The facts that decide a mark.
#[derive(Clone, Debug)]
pub struct MarkFacts {
    /// The owner.
    pub tenant_id: TenantId,
    /// The contact.
    pub contact_id: ContactId,
    /// The contact's state.
    pub status: ContactStatus,
    /// Number of attempts.
    pub attempts: i16,
    /// When the contact is due.
    pub due_at: DateTime<Utc>,
    /// Of the attempts, resends of an unconfirmed contact.
    pub resends: i16,
    /// Of the attempts, those that were marked and not posted.
    pub unmade: i16,
    /// The attempt under way, when the contact is `sending`.
    pub open_attempt: Option<AttemptId>,
}

/// The facts of contacts to be marked. Their queues must be locked.
pub async fn mark_facts(conn: &mut PgConnection, contacts: &[(TenantId, ContactId)]) -> Result<Vec<MarkFacts>, Error> {
    sqlx::query_as!(
        MarkFacts,
        r#"select c.tenant_id as "tenant_id: TenantId", c.contact_id as "contact_id: ContactId",
                  c.status as "status: ContactStatus", c.attempts, c.resends, c.due_at,
                  case when c.attempts = 0 then 0::smallint
                       else (select count(*)::smallint from attempts m
                             where m.tenant_id = c.tenant_id and m.contact_id = c.contact_id and m.reason = 'lease_lost')
                  end as "unmade!",
                  case when c.status = 'sending' then c.attempt_id end as "open_attempt: AttemptId"
           from contacts c
           join unnest($1::uuid[], $2::uuid[]) as u (tenant_id, contact_id) using (tenant_id, contact_id)"#,
        &column(contacts, |contact| contact.0) as &[TenantId],
        &column(contacts, |contact| contact.1) as &[ContactId]
    )
    .fetch_all(conn)
    .await
}

/// An attempt to be marked.
#[derive(Clone, Copy, Debug)]
pub struct NewAttempt {
    /// Its key. The lane creates the attempt's id, so a repeated mark is recognised.
    pub key: AttemptKey,
    /// From 1.
    pub number: i16,
    /// The epoch of the lane's lease.
    pub lease_epoch: i64,
}

/// Marks contacts `sending`; returns their number. The fence is the state and the number of the attempt; the caller has
/// locked the lanes by their epochs.
pub async fn mark_sending(
    conn: &mut PgConnection,
    worker: &str,
    attempts: &[NewAttempt],
    now: DateTime<Utc>,
) -> Result<u64, Error> {
    let done = sqlx::query!(
        "update contacts c
         set status = 'sending', attempts = u.number, attempt_id = u.attempt_id, attempt_epoch = u.lease_epoch,
             attempt_worker = $6, attempt_started_at = $7, reason = null, updated_at = $7
         from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::smallint[], $5::bigint[])
              as u (tenant_id, contact_id, attempt_id, number, lease_epoch)
         where c.tenant_id = u.tenant_id and c.contact_id = u.contact_id and c.status = 'pending'
           and c.attempts = u.number - 1",
        &column(attempts, |attempt| attempt.key.tenant) as &[TenantId],
        &column(attempts, |attempt| attempt.key.contact) as &[ContactId],
        &column(attempts, |attempt| attempt.key.attempt) as &[AttemptId],
        &column(attempts, |attempt| attempt.number),
        &column(attempts, |attempt| attempt.lease_epoch),
        worker,
        now
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// Makes pending contacts `skipped`, each by a rule; returns queue and new state of each. A resent contact with an
/// unknown attempt becomes `unconfirmed` instead, and the looks for that attempt start again.
pub async fn skip(
    conn: &mut PgConnection,
    skips: &[(TenantId, ContactId, Rule)],
    now: DateTime<Utc>,
) -> Result<Vec<(TenantId, QueueId, ContactStatus)>, Error> {
    let rows = sqlx::query!(
        r#"with reopened as (
             update attempts a set next_look_at = $4, looks = 0
             from unnest($1::uuid[], $2::uuid[]) as u (tenant_id, contact_id)
             where a.tenant_id = u.tenant_id and a.contact_id = u.contact_id and a.outcome = 'unknown'
         )
         update contacts c
         set status = case when c.resends > 0 and exists (
                               select from attempts a where a.tenant_id = c.tenant_id and a.contact_id = c.contact_id
                                 and a.outcome = 'unknown') then 'unconfirmed'
                           else 'skipped' end,
             requeued = false, reason = u.rule, updated_at = $4
         from unnest($1::uuid[], $2::uuid[], $3::text[]) as u (tenant_id, contact_id, rule)
         where c.tenant_id = u.tenant_id and c.contact_id = u.contact_id and c.status = 'pending'
         returning c.tenant_id as "tenant_id: TenantId", c.queue_id as "queue_id: QueueId",
                   c.status as "status: ContactStatus""#,
        &column(skips, |skip| skip.0) as &[TenantId],
        &column(skips, |skip| skip.1) as &[ContactId],
        &column(skips, |skip| skip.2) as &[Rule],
        now
    )
    .fetch_all(conn)
    .await?;
    Ok(column(&rows, |row| (row.tenant_id, row.queue_id, row.status)))
}
