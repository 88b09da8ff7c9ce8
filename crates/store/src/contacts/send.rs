//! The writes of one send: the mark before it, and its outcome after.

use chrono::{DateTime, Utc};
use regua_domain::{AttemptId, ContactId, ContactStatus, QueueId, TenantId};
use sqlx::{Error, PgConnection};

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
    /// The attempt that is open, when it is `sending`.
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
                  a.attempt_id as "open_attempt?"
           from contacts c
           join unnest($1::uuid[], $2::uuid[]) as u (tenant_id, contact_id) using (tenant_id, contact_id)
           left join attempts a on a.tenant_id = c.tenant_id and a.contact_id = c.contact_id
                               and a.number = c.attempts and a.finished_at is null and c.status = 'sending'"#,
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

/// Marks contacts `sending`, each with the number of the try; answers how many could be. Fenced by state and by the number
/// of the try; the caller has locked the lanes by their epochs.
///
/// # Errors
/// The database's.
pub async fn mark_sending(
    conn: &mut PgConnection,
    marks: &[(TenantId, ContactId, i16)],
    now: DateTime<Utc>,
) -> Result<u64, Error> {
    let done = sqlx::query!(
        "update contacts c
         set status = 'sending', attempts = u.number, requeued = false, reason = null, updated_at = $4
         from unnest($1::uuid[], $2::uuid[], $3::smallint[]) as u (tenant_id, contact_id, number)
         where c.tenant_id = u.tenant_id and c.contact_id = u.contact_id and c.status = 'pending'
           and c.attempts = u.number - 1",
        &marks.iter().map(|mark| mark.0.0).collect::<Vec<_>>(),
        &marks.iter().map(|mark| mark.1.0).collect::<Vec<_>>(),
        &marks.iter().map(|mark| mark.2).collect::<Vec<_>>(),
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
    /// Whose it is.
    pub tenant_id: TenantId,
    /// The try.
    pub attempt_id: AttemptId,
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
/// but with nothing to ask, because a message that left makes its contact `sent` whatever was known before. It asks for
/// `outcome is null` and not for `finished_at`, which is the same and would bring the planner to walk `attempts_open`.
///
/// # Errors
/// The database's.
pub async fn finish_sent(
    conn: &mut PgConnection,
    outcomes: &[&Finish],
    now: DateTime<Utc>,
) -> Result<Vec<Finished>, Error> {
    let rows = sqlx::query!(
        "with closed as (
             update attempts a set finished_at = $4, outcome = 'sent', message_id = u.message_id
             from unnest($1::uuid[], $2::uuid[], $3::text[]) as u (tenant_id, attempt_id, message_id)
             where a.tenant_id = u.tenant_id and a.attempt_id = u.attempt_id and a.outcome is null
             returning a.tenant_id, a.attempt_id, a.contact_id, a.number, u.message_id
         )
         update contacts c
         set status = 'sent', reason = null, updated_at = $4,
             message_id = coalesce(d.message_id, c.message_id), sent_at = coalesce(c.sent_at, $4::timestamptz)
         from closed d
         where c.tenant_id = d.tenant_id and c.contact_id = d.contact_id and c.status = 'sending'
           and c.attempts = d.number
         returning c.tenant_id, d.attempt_id, c.queue_id",
        &outcomes.iter().map(|outcome| outcome.tenant_id.0).collect::<Vec<_>>(),
        &outcomes.iter().map(|outcome| outcome.attempt_id.0).collect::<Vec<_>>(),
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
/// it is, because only an open attempt can be finished. That is the fence; see [`super::learn`] for what such an answer
/// is still good for. The contacts' queues must be locked.
///
/// A contact of which an earlier try has turned out to have left is `sent`, whatever became of this one; one of which
/// nobody can say whether an earlier try left is not `failed` or `cancelled`, and that one is looked for again. A try of which a webhook proved that it left
/// before its own answer said that it did not is unknown, and the first look believes the proof.
///
/// # Errors
/// The database's.
pub async fn finish(conn: &mut PgConnection, outcomes: &[&Finish], now: DateTime<Utc>) -> Result<Vec<Finished>, Error> {
    let rows = sqlx::query!(
        "with u as materialized (
             select u.tenant_id, u.attempt_id, u.reason, u.message_id, u.due_at,
                    case when proven then 'unknown' else u.outcome end as outcome,
                    case when proven then 'unconfirmed' else u.status end as status
             from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[])
                  as u (tenant_id, attempt_id, outcome, reason, message_id, status, due_at)
             cross join lateral (
                 select u.outcome in ('not_sent', 'refused')
                        and exists (select from evidence e where e.tenant_id = u.tenant_id
                                      and e.attempt_id = u.attempt_id and e.has_left) as proven
             ) p
         ), closed as (
             update attempts a
             set finished_at = $8, outcome = u.outcome, reason = u.reason, message_id = u.message_id,
                 next_look_at = case when u.outcome = 'unknown' then $8::timestamptz end
             from u
             where a.tenant_id = u.tenant_id and a.attempt_id = u.attempt_id and a.outcome is null
             returning a.tenant_id, a.attempt_id, a.contact_id, a.number, u.reason, u.message_id, u.due_at, u.status
         ), judged as (
             select d.tenant_id, d.attempt_id, d.contact_id, d.number, d.reason, d.message_id, d.due_at,
                    case when d.number = 1 or d.status = 'sent' then d.status
                         when earlier.sent then 'sent'
                         when earlier.unknown and d.status in ('failed', 'cancelled') then 'unconfirmed'
                         else d.status end as status,
                    earlier.unknown and d.status in ('failed', 'cancelled') as is_earlier_sought
             from closed d
             cross join lateral (
                 select coalesce(bool_or(e.outcome = 'sent'), false) as sent,
                        coalesce(bool_or(e.outcome = 'unknown'), false) as unknown
                 from attempts e
                 where d.number > 1 and e.tenant_id = d.tenant_id and e.contact_id = d.contact_id and e.number < d.number
             ) earlier
         ), sought as (
             update attempts e set next_look_at = $8, looks = 0
             from judged d
             where d.is_earlier_sought and e.tenant_id = d.tenant_id and e.contact_id = d.contact_id
               and e.number < d.number and e.outcome = 'unknown'
         )
         update contacts c
         set status = d.status, reason = case when d.status <> 'sent' then d.reason end, updated_at = $8,
             requeued = d.status = 'pending', due_at = coalesce(d.due_at, c.due_at),
             message_id = coalesce(d.message_id, c.message_id),
             sent_at = case when d.status = 'sent' then coalesce(c.sent_at, $8::timestamptz) end
         from judged d
         where c.tenant_id = d.tenant_id and c.contact_id = d.contact_id and c.status = 'sending'
           and c.attempts = d.number
         returning c.tenant_id, d.attempt_id, c.queue_id, c.status",
        &outcomes.iter().map(|outcome| outcome.tenant_id.0).collect::<Vec<_>>(),
        &outcomes.iter().map(|outcome| outcome.attempt_id.0).collect::<Vec<_>>(),
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
