//! The finish: writes the outcome of an attempt and the next state of its contact.

use chrono::{DateTime, Utc};
use regua_domain::{AttemptId, AttemptOutcome, ContactId, ContactStatus, InstanceId, QueueId, TenantId};
use sqlx::{Error, PgConnection};

use crate::attempts::AttemptKey;
use crate::columns::column;

/// The outcome of an attempt, and the contact's state that follows from it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are the table's columns")]
pub struct NextState {
    pub outcome: AttemptOutcome,
    /// The gateway client's reason, as text: this crate does not know the gateway.
    pub reason: Option<String>,
    /// The message's id at WhatsApp.
    pub message_id: Option<String>,
    pub status: ContactStatus,
    /// Time of the retry; only with `pending`.
    pub due_at: Option<DateTime<Utc>>,
}

/// A request to write the outcome of an attempt.
#[derive(Clone, Debug)]
pub struct Finish {
    /// The attempt.
    pub key: AttemptKey,
    /// The contact's queue.
    pub queue_id: QueueId,
    /// The instance that posted the attempt.
    pub instance_id: InstanceId,
    /// What is written.
    pub next: NextState,
}

/// A contact whose outcome was written, with its state after `sending`.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the fields are the table's columns")]
pub struct Finished {
    pub tenant_id: TenantId,
    pub attempt_id: AttemptId,
    pub queue_id: QueueId,
    pub contact_id: ContactId,
    pub status: ContactStatus,
}

/// Writes outcomes; returns the contacts whose outcome was written. The fence: a contact that is no longer `sending`
/// with this attempt (its lane was taken over) does not change. The caller passes such an outcome to [`super::learn`].
/// The caller has locked the contacts' queues.
pub async fn finish(conn: &mut PgConnection, outcomes: &[Finish], now: DateTime<Utc>) -> Result<Vec<Finished>, Error> {
    let (sent, others): (Vec<_>, Vec<_>) =
        outcomes.iter().partition(|finish| finish.next.outcome == AttemptOutcome::Sent);
    let mut finished = Vec::with_capacity(outcomes.len());
    if !sent.is_empty() {
        finished = finish_sent(conn, &sent, now).await?;
    }
    if !others.is_empty() {
        finished.extend(finish_others(conn, &others, now).await?);
    }
    Ok(finished)
}

/// Writes outcomes `sent`. The statement reads no earlier attempts, because the contact becomes `sent` in any case.
async fn finish_sent(
    conn: &mut PgConnection,
    outcomes: &[&Finish],
    now: DateTime<Utc>,
) -> Result<Vec<Finished>, Error> {
    sqlx::query_as!(
        Finished,
        r#"with moved as (
             update contacts c
             set status = 'sent', requeued = false, reason = null, updated_at = $6,
                 message_id = coalesce(u.message_id, c.message_id), sent_at = coalesce(c.sent_at, $6::timestamptz)
             from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[])
                  as u (tenant_id, contact_id, attempt_id, instance_id, message_id)
             where c.tenant_id = u.tenant_id and c.contact_id = u.contact_id and c.attempt_id = u.attempt_id
               and c.status = 'sending'
             returning c.tenant_id, c.contact_id, c.queue_id, c.attempts, c.attempt_id, c.attempt_epoch, c.attempt_worker,
                       c.attempt_started_at, u.instance_id, u.message_id
         ), written as (
             insert into attempts (tenant_id, contact_id, number, attempt_id, instance_id, lease_epoch, worker, started_at,
                                   finished_at, outcome, message_id)
             select tenant_id, contact_id, attempts, attempt_id, instance_id, attempt_epoch, attempt_worker,
                    attempt_started_at, $6, 'sent', message_id
             from moved
         )
         select tenant_id as "tenant_id: TenantId", attempt_id as "attempt_id!: AttemptId",
                queue_id as "queue_id: QueueId", contact_id as "contact_id: ContactId", 'sent' as "status!: ContactStatus"
         from moved"#,
        &column(outcomes, |finish| finish.key.tenant) as &[TenantId],
        &column(outcomes, |finish| finish.key.contact) as &[ContactId],
        &column(outcomes, |finish| finish.key.attempt) as &[AttemptId],
        &column(outcomes, |finish| finish.instance_id) as &[InstanceId],
        &column(outcomes, |finish| finish.next.message_id.clone()) as &[Option<String>],
        now
    )
    .fetch_all(conn)
    .await
}

/// Writes outcomes not sent, refused and unknown. Four cases change the state that the caller passes:
///
/// - The message of an earlier attempt left: the contact becomes `sent`.
/// - An earlier attempt is unknown: the contact becomes `unconfirmed` instead of `failed` or `cancelled`, and the looks
///   for that attempt start again.
/// - Stored evidence proves that the message of this attempt left: the outcome is written as unknown, and the first
///   look learns the evidence.
/// - The erasure of the contact was requested: the contact becomes `cancelled` instead of `pending`.
async fn finish_others(
    conn: &mut PgConnection,
    outcomes: &[&Finish],
    now: DateTime<Utc>,
) -> Result<Vec<Finished>, Error> {
    sqlx::query_as!(
        Finished,
        r#"with under_way as materialized (
             select c.tenant_id, c.contact_id, c.attempts as number, c.attempt_id, c.attempt_epoch, c.attempt_worker,
                    c.attempt_started_at, u.instance_id, u.reason, u.message_id, u.due_at,
                    case when proven then 'unknown' else u.outcome end as outcome,
                    case when proven then 'unconfirmed'
                         when u.status = 'pending' and c.erasure_asked_at is not null then 'cancelled'
                         else u.status end as status
             from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[],
                         $9::timestamptz[])
                  as u (tenant_id, contact_id, attempt_id, instance_id, outcome, reason, message_id, status, due_at)
             join contacts c on c.tenant_id = u.tenant_id and c.contact_id = u.contact_id
                            and c.attempt_id = u.attempt_id and c.status = 'sending'
             cross join lateral (
                 select u.outcome in ('not_sent', 'refused')
                        and exists (select from evidence e where e.tenant_id = u.tenant_id and e.contact_id = u.contact_id
                                      and e.attempt_id = u.attempt_id and e.has_left) as proven
             ) p
         ), judged as (
             select w.*,
                    case when w.number = 1 or w.status = 'sent' then w.status
                         when earlier.sent then 'sent'
                         when earlier.unknown and w.status in ('failed', 'cancelled') then 'unconfirmed'
                         else w.status end as becomes,
                    earlier.unknown and w.status in ('failed', 'cancelled') as is_earlier_reopened
             from under_way w
             cross join lateral (
                 select coalesce(bool_or(e.outcome = 'sent'), false) as sent,
                        coalesce(bool_or(e.outcome = 'unknown'), false) as unknown
                 from attempts e
                 where w.number > 1 and e.tenant_id = w.tenant_id and e.contact_id = w.contact_id
             ) earlier
         ), reopened as (
             update attempts e set next_look_at = $10, looks = 0
             from judged d
             where d.is_earlier_reopened and e.tenant_id = d.tenant_id and e.contact_id = d.contact_id
               and e.outcome = 'unknown'
         ), written as (
             insert into attempts (tenant_id, contact_id, number, attempt_id, instance_id, lease_epoch, worker, started_at,
                                   finished_at, outcome, reason, message_id, next_look_at)
             select tenant_id, contact_id, number, attempt_id, instance_id, attempt_epoch, attempt_worker,
                    attempt_started_at, $10, outcome, reason, message_id,
                    case when outcome = 'unknown' then $10::timestamptz end
             from judged
         )
         update contacts c
         set status = d.becomes, reason = case when d.becomes <> 'sent' then d.reason end, updated_at = $10,
             requeued = d.becomes = 'pending', due_at = coalesce(d.due_at, c.due_at),
             message_id = coalesce(d.message_id, c.message_id),
             sent_at = case when d.becomes = 'sent' then coalesce(c.sent_at, $10::timestamptz) end
         from judged d
         where c.tenant_id = d.tenant_id and c.contact_id = d.contact_id
         returning c.tenant_id as "tenant_id: TenantId", d.attempt_id as "attempt_id!: AttemptId",
                   c.queue_id as "queue_id: QueueId", c.contact_id as "contact_id: ContactId",
                   c.status as "status: ContactStatus""#,
        &column(outcomes, |finish| finish.key.tenant) as &[TenantId],
        &column(outcomes, |finish| finish.key.contact) as &[ContactId],
        &column(outcomes, |finish| finish.key.attempt) as &[AttemptId],
        &column(outcomes, |finish| finish.instance_id) as &[InstanceId],
        &column(outcomes, |finish| finish.next.outcome) as &[AttemptOutcome],
        &column(outcomes, |finish| finish.next.reason.clone()) as &[Option<String>],
        &column(outcomes, |finish| finish.next.message_id.clone()) as &[Option<String>],
        &column(outcomes, |finish| finish.next.status) as &[ContactStatus],
        &column(outcomes, |finish| finish.next.due_at) as &[Option<DateTime<Utc>>],
        now
    )
    .fetch_all(conn)
    .await
}
