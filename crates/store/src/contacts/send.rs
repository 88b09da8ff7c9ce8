//! The writes of one send: the mark before it, and its outcome after.

use chrono::{DateTime, Utc};
use regua_domain::{AttemptId, ContactId, ContactStatus, InstanceId, QueueId, TenantId};
use sqlx::{Error, PgConnection};

use crate::attempts::AttemptKey;

/// What a mark is decided on.
#[derive(Clone, Debug)]
pub struct MarkFacts {
    /// Whose it is.
    pub tenant_id: TenantId,
    /// The contact.
    pub contact_id: ContactId,
    /// Its state.
    pub status: ContactStatus,
    /// Tries so far.
    pub attempts: i16,
    /// When it is due.
    pub due_at: DateTime<Utc>,
    /// Of them, those that were made because nobody could say whether an earlier one left.
    pub resends: i16,
    /// Of them, those that were written down and then not made.
    pub unmade: i16,
    /// The attempt that is under way, when it is `sending`.
    pub open_attempt: Option<AttemptId>,
}

/// The facts of contacts that are about to be marked. Their queues must be locked.
///
/// # Errors
/// The database's.
pub async fn mark_facts(conn: &mut PgConnection, contacts: &[(TenantId, ContactId)]) -> Result<Vec<MarkFacts>, Error> {
    let rows = sqlx::query!(
        r#"select c.tenant_id, c.contact_id, c.status, c.attempts, c.resends, c.due_at,
                  case when c.attempts = 0 then 0::smallint
                       else (select count(*)::smallint from attempts m
                             where m.tenant_id = c.tenant_id and m.contact_id = c.contact_id and m.reason = 'lease_lost')
                  end as "unmade!",
                  case when c.status = 'sending' then c.attempt_id end as open_attempt
           from contacts c
           join unnest($1::uuid[], $2::uuid[]) as u (tenant_id, contact_id) using (tenant_id, contact_id)"#,
        &contacts.iter().map(|contact| contact.0.0).collect::<Vec<_>>(),
        &contacts.iter().map(|contact| contact.1.0).collect::<Vec<_>>()
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(MarkFacts {
                tenant_id: TenantId(row.tenant_id),
                contact_id: ContactId(row.contact_id),
                status: row.status.parse().map_err(|error| Error::Decode(Box::new(error)))?,
                attempts: row.attempts,
                resends: row.resends,
                unmade: row.unmade,
                due_at: row.due_at,
                open_attempt: row.open_attempt.map(AttemptId),
            })
        })
        .collect()
}

/// A try that is about to be made.
#[derive(Clone, Copy, Debug)]
pub struct NewAttempt {
    /// Whose it is; made by the lane, so that a repeated mark is recognised by it.
    pub key: AttemptKey,
    /// From 1.
    pub number: i16,
    /// The fence.
    pub lease_epoch: i64,
}

/// Marks contacts `sending`, and so writes their tries down; answers how many could be. Fenced by state and by the number
/// of the try; the caller has locked the lanes by their epochs.
///
/// # Errors
/// The database's.
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
        &attempts.iter().map(|attempt| attempt.key.tenant.0).collect::<Vec<_>>(),
        &attempts.iter().map(|attempt| attempt.key.contact.0).collect::<Vec<_>>(),
        &attempts.iter().map(|attempt| attempt.key.attempt.0).collect::<Vec<_>>(),
        &attempts.iter().map(|attempt| attempt.number).collect::<Vec<_>>(),
        &attempts.iter().map(|attempt| attempt.lease_epoch).collect::<Vec<_>>(),
        worker,
        now
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// Skips pending contacts for good, with the rule that said so; answers the queues they belong to, one entry a contact. One
/// of which nobody can say whether an earlier try left is unconfirmed instead, and that try is looked for again.
///
/// # Errors
/// The database's.
pub async fn skip(
    conn: &mut PgConnection,
    skips: &[(TenantId, ContactId, String)],
    now: DateTime<Utc>,
) -> Result<Vec<(TenantId, QueueId, ContactStatus)>, Error> {
    let rows = sqlx::query!(
        "with sought as (
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
         returning c.tenant_id, c.queue_id, c.status",
        &skips.iter().map(|skip| skip.0.0).collect::<Vec<_>>(),
        &skips.iter().map(|skip| skip.1.0).collect::<Vec<_>>(),
        &skips.iter().map(|skip| skip.2.clone()).collect::<Vec<_>>(),
        now
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let status = row.status.parse().map_err(|error| Error::Decode(Box::new(error)))?;
            Ok((TenantId(row.tenant_id), QueueId(row.queue_id), status))
        })
        .collect()
}

/// What one try came to, and what becomes of its contact.
#[derive(Clone, Debug)]
pub struct Finish {
    /// The try.
    pub key: AttemptKey,
    /// The number it was made through.
    pub instance_id: InstanceId,
    /// `sent`, `not_sent`, `refused` or `unknown`.
    pub outcome: &'static str,
    /// The gateway's reason.
    pub reason: Option<String>,
    /// The message's id at WhatsApp.
    pub message_id: Option<String>,
    /// The contact's next state.
    pub status: ContactStatus,
    /// When it may be tried again; only with `pending`.
    pub due_at: Option<DateTime<Utc>>,
}

/// A contact that an outcome moved.
#[derive(Clone, Copy, Debug)]
pub struct Finished {
    /// Whose it is.
    pub tenant_id: TenantId,
    /// The try.
    pub attempt_id: AttemptId,
    /// Its queue.
    pub queue_id: QueueId,
    /// Where it went from `sending`.
    pub status: ContactStatus,
}

/// Writes down that messages left, and answers those of which it could be: as [`finish`] does with outcomes of all kinds,
/// but with nothing to ask, because a message that left makes its contact `sent` whatever was known before.
///
/// # Errors
/// The database's.
pub async fn finish_sent(
    conn: &mut PgConnection,
    outcomes: &[&Finish],
    now: DateTime<Utc>,
) -> Result<Vec<Finished>, Error> {
    let rows = sqlx::query!(
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
         select tenant_id, attempt_id as "attempt_id!", queue_id from moved"#,
        &outcomes.iter().map(|outcome| outcome.key.tenant.0).collect::<Vec<_>>(),
        &outcomes.iter().map(|outcome| outcome.key.contact.0).collect::<Vec<_>>(),
        &outcomes.iter().map(|outcome| outcome.key.attempt.0).collect::<Vec<_>>(),
        &outcomes.iter().map(|outcome| outcome.instance_id.0).collect::<Vec<_>>(),
        &outcomes.iter().map(|outcome| outcome.message_id.clone()).collect::<Vec<_>>() as &[Option<String>],
        now
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Finished {
            tenant_id: TenantId(row.tenant_id),
            attempt_id: AttemptId(row.attempt_id),
            queue_id: QueueId(row.queue_id),
            status: ContactStatus::Sent,
        })
        .collect())
}

/// Writes outcomes down, and answers those that were: a try that was closed meanwhile (its lane was taken over) is left as
/// it is, because only one that is under way can be finished. That is the fence; see [`super::learn`] for what such an
/// answer is still good for. The contacts' queues must be locked.
///
/// A contact of which an earlier try has turned out to have left is `sent`, whatever became of this one; one of which
/// nobody can say whether an earlier try left is not `failed` or `cancelled`, and that one is looked for again. A try of
/// which a webhook proved that it left before its own answer said that it did not is unknown, and the first look believes
/// the proof. One that is to be erased is not tried again.
///
/// # Errors
/// The database's.
pub async fn finish(conn: &mut PgConnection, outcomes: &[&Finish], now: DateTime<Utc>) -> Result<Vec<Finished>, Error> {
    let rows = sqlx::query!(
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
                    earlier.unknown and w.status in ('failed', 'cancelled') as is_earlier_sought
             from under_way w
             cross join lateral (
                 select coalesce(bool_or(e.outcome = 'sent'), false) as sent,
                        coalesce(bool_or(e.outcome = 'unknown'), false) as unknown
                 from attempts e
                 where w.number > 1 and e.tenant_id = w.tenant_id and e.contact_id = w.contact_id
             ) earlier
         ), sought as (
             update attempts e set next_look_at = $10, looks = 0
             from judged d
             where d.is_earlier_sought and e.tenant_id = d.tenant_id and e.contact_id = d.contact_id
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
         returning c.tenant_id, d.attempt_id as "attempt_id!", c.queue_id, c.status"#,
        &outcomes.iter().map(|outcome| outcome.key.tenant.0).collect::<Vec<_>>(),
        &outcomes.iter().map(|outcome| outcome.key.contact.0).collect::<Vec<_>>(),
        &outcomes.iter().map(|outcome| outcome.key.attempt.0).collect::<Vec<_>>(),
        &outcomes.iter().map(|outcome| outcome.instance_id.0).collect::<Vec<_>>(),
        &outcomes.iter().map(|outcome| outcome.outcome.to_owned()).collect::<Vec<_>>(),
        &outcomes.iter().map(|outcome| outcome.reason.clone()).collect::<Vec<_>>() as &[Option<String>],
        &outcomes.iter().map(|outcome| outcome.message_id.clone()).collect::<Vec<_>>() as &[Option<String>],
        &outcomes.iter().map(|outcome| outcome.status.as_str().to_owned()).collect::<Vec<_>>(),
        &outcomes.iter().map(|outcome| outcome.due_at).collect::<Vec<_>>() as &[Option<DateTime<Utc>>],
        now
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Finished {
                tenant_id: TenantId(row.tenant_id),
                attempt_id: AttemptId(row.attempt_id),
                queue_id: QueueId(row.queue_id),
                status: row.status.parse().map_err(|error| Error::Decode(Box::new(error)))?,
            })
        })
        .collect()
}
