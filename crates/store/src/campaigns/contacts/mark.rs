//! The mark: makes a contact `sending` before its request, or `skipped`.

use chrono::{DateTime, Utc};
use regua_domain::{AttemptId, ContactId, ContactStatus, QueueId, Rule, TenantId};
use sqlx::{Error, PgConnection};

use crate::attempts::AttemptKey;
use crate::columns::column;
use crate::queues::ContactMove;

/// The facts that decide a mark.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are the table's columns")]
pub struct MarkFacts {
    pub tenant_id: TenantId,
    pub contact_id: ContactId,
    pub status: ContactStatus,
    pub attempts: i16,
    pub due_at: DateTime<Utc>,
    /// Of the attempts, resends of an unconfirmed contact.
    pub resends: i16,
    /// Of the attempts, those that were marked and not posted.
    pub unposted: i16,
    /// The attempt under way, when the contact is `sending`.
    pub open_attempt: Option<AttemptId>,
}

/// Reads the facts of contacts that a repeated mark decides again. The caller has locked the contacts' queues.
pub async fn mark_facts(conn: &mut PgConnection, contacts: &[(TenantId, ContactId)]) -> Result<Vec<MarkFacts>, Error> {
    sqlx::query_as!(
        MarkFacts,
        r#"select c.tenant_id as "tenant_id: TenantId", c.contact_id as "contact_id: ContactId",
                  c.status as "status: ContactStatus", c.attempts, c.resends, c.due_at,
                  case when c.attempts = 0 then 0::smallint
                       else (select count(*)::smallint from attempts m
                             where m.tenant_id = c.tenant_id and m.contact_id = c.contact_id
                               and m.reason in ('lease_lost', 'no_socket'))
                  end as "unposted!",
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
    /// The attempt. The lane creates its id, so that a repeated mark is recognized.
    pub key: AttemptKey,
    /// From 1.
    pub number: i16,
    /// The epoch of the lane's lease.
    pub lease_epoch: i64,
}

/// Marks contacts `sending`; returns the marked attempts. The statement does not wait for locks: it leaves out a
/// contact that another transaction has locked. It also leaves out a contact that is no longer pending, or whose next
/// attempt has another number; this and the epochs, under which the caller has locked the lanes, are the fence. The
/// plan must read `contacts` by its primary key only (a test asserts it).
pub async fn mark_sending(
    conn: &mut PgConnection,
    worker: &str,
    attempts: &[NewAttempt],
    now: DateTime<Utc>,
) -> Result<Vec<AttemptId>, Error> {
    sqlx::query_scalar!(
        r#"with free as materialized (
             select c.tenant_id, c.contact_id, u.attempt_id, u.number, u.lease_epoch
             from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::smallint[], $5::bigint[])
                  as u (tenant_id, contact_id, attempt_id, number, lease_epoch)
             join contacts c on c.tenant_id = u.tenant_id and c.contact_id = u.contact_id
             where c.status = 'pending' and c.attempts = u.number - 1
             for no key update of c skip locked
         )
         update contacts c
         set status = 'sending', attempts = f.number, attempt_id = f.attempt_id, attempt_epoch = f.lease_epoch,
             attempt_worker = $6, attempt_started_at = $7, reason = null, updated_at = $7
         from free f
         where c.tenant_id = f.tenant_id and c.contact_id = f.contact_id
         returning c.attempt_id as "attempt_id!: AttemptId""#,
        &column(attempts, |attempt| attempt.key.tenant) as &[TenantId],
        &column(attempts, |attempt| attempt.key.contact) as &[ContactId],
        &column(attempts, |attempt| attempt.key.attempt) as &[AttemptId],
        &column(attempts, |attempt| attempt.number),
        &column(attempts, |attempt| attempt.lease_epoch),
        worker,
        now
    )
    .fetch_all(conn)
    .await
}

/// Makes pending contacts `skipped`, each by a rule; returns their moves. Like [`mark_sending`], the statement
/// leaves out a contact that another transaction has locked, or that is no longer pending. A resent contact with an
/// unknown attempt becomes `unconfirmed` instead, and the looks for that attempt start again.
pub async fn skip(
    conn: &mut PgConnection,
    skips: &[(TenantId, ContactId, Rule)],
    now: DateTime<Utc>,
) -> Result<Vec<ContactMove>, Error> {
    sqlx::query_as!(
        ContactMove,
        r#"with free as materialized (
             select c.tenant_id, c.contact_id, u.rule
             from unnest($1::uuid[], $2::uuid[], $3::text[]) as u (tenant_id, contact_id, rule)
             join contacts c on c.tenant_id = u.tenant_id and c.contact_id = u.contact_id
             where c.status = 'pending'
             for no key update of c skip locked
         ), reopened as (
             update attempts a set next_look_at = $4, looks = 0
             from free f
             where a.tenant_id = f.tenant_id and a.contact_id = f.contact_id and a.outcome = 'unknown'
         )
         update contacts c
         set status = case when c.resends > 0 and exists (
                               select from attempts a where a.tenant_id = c.tenant_id and a.contact_id = c.contact_id
                                 and a.outcome = 'unknown') then 'unconfirmed'
                           else 'skipped' end,
             requeued = false, reason = f.rule, updated_at = $4
         from free f
         where c.tenant_id = f.tenant_id and c.contact_id = f.contact_id
         returning c.tenant_id as "tenant_id: TenantId", c.queue_id as "queue_id: QueueId",
                   c.contact_id as "contact_id: ContactId", 'pending' as "from!: ContactStatus",
                   c.status as "to: ContactStatus""#,
        &column(skips, |skip| skip.0) as &[TenantId],
        &column(skips, |skip| skip.1) as &[ContactId],
        &column(skips, |skip| skip.2) as &[Rule],
        now
    )
    .fetch_all(conn)
    .await
}
