//! Attempts of unknown outcome that are being looked for, and attempts that a message of the gateway may be about.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use regua_domain::{AttemptId, ContactId, InstanceId, MessageType, TenantId};
use sqlx::postgres::types::PgInterval;
use sqlx::{Error, PgConnection};

use super::AttemptKey;

/// An attempt whose outcome nobody knows, with what is needed to look for it.
#[derive(Clone)]
pub struct Sought {
    /// Which.
    pub key: AttemptKey,
    /// The number it was made through; it is looked for nowhere else.
    pub instance_id: InstanceId,
    /// The contact's queue's type.
    pub message_type: MessageType,
    /// E.164.
    pub phone: String,
    /// In the text.
    pub reference: String,
    /// What it was sent.
    pub text: String,
    /// When it was written down.
    pub started_at: DateTime<Utc>,
    /// When its outcome was found to be unknown.
    pub finished_at: DateTime<Utc>,
    /// Looks that saw nothing.
    pub looks: i16,
}

/// Attempts to be looked for now: the first time `first` after they were closed, later when they were put off to. They are
/// in the caller's hands until `hold` has passed. Index `attempts_to_look_for`.
///
/// # Errors
/// The database's.
pub async fn take_due(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    first: TimeDelta,
    hold: Duration,
    limit: i64,
) -> Result<Vec<Sought>, Error> {
    let first = PgInterval::try_from(first).map_err(Error::Encode)?;
    let hold = PgInterval::try_from(hold).map_err(Error::Encode)?;
    let rows = sqlx::query!(
        r#"with due as materialized (
             select tenant_id, contact_id, number from attempts
             where next_look_at <= $1
               and next_look_at <= $1::timestamptz - case when looks = 0 then $2::interval else interval '0' end
             order by next_look_at limit $4
             for no key update skip locked
         ), taken as (
             update attempts a set next_look_at = $1::timestamptz + $3::interval from due d
             where a.tenant_id = d.tenant_id and a.contact_id = d.contact_id and a.number = d.number
             returning a.*
         )
         select a.tenant_id, a.attempt_id, a.contact_id, a.instance_id, q.type as message_type, c.phone, c.text, c.reference,
                a.started_at, a.finished_at, a.looks
         from taken a join contacts c using (tenant_id, contact_id) join queues q using (tenant_id, queue_id)
         order by a.finished_at"#,
        now,
        first,
        hold,
        limit
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Sought {
                key: AttemptKey {
                    tenant: TenantId(row.tenant_id),
                    contact: ContactId(row.contact_id),
                    attempt: AttemptId(row.attempt_id),
                },
                instance_id: InstanceId(row.instance_id),
                message_type: row.message_type.parse().map_err(|error| Error::Decode(Box::new(error)))?,
                phone: row.phone,
                reference: row.reference,
                text: row.text,
                started_at: row.started_at,
                finished_at: row.finished_at,
                looks: row.looks,
            })
        })
        .collect()
}

/// Puts the next look at an attempt off, and counts the look that saw nothing. One that was settled meanwhile is left
/// alone.
///
/// # Errors
/// The database's.
pub async fn look_again(conn: &mut PgConnection, key: AttemptKey, looks: i16, at: DateTime<Utc>) -> Result<(), Error> {
    sqlx::query!(
        "update attempts set looks = $4, next_look_at = $5
         where tenant_id = $1 and contact_id = $2 and attempt_id = $3 and next_look_at is not null",
        key.tenant.0,
        key.contact.0,
        key.attempt.0,
        looks,
        at
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes why an attempt is unknown that had been closed because its worker was lost; its contact shows it too.
///
/// # Errors
/// The database's.
pub async fn note_reason(
    conn: &mut PgConnection,
    key: AttemptKey,
    reason: Option<&str>,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "with noted as (
             update attempts set reason = $4
             where tenant_id = $1 and contact_id = $2 and attempt_id = $3 and outcome = 'unknown' and settled_by is null
             returning contact_id, number
         )
         update contacts c set reason = $4, updated_at = $5 from noted n
         where c.tenant_id = $1 and c.contact_id = n.contact_id and c.status = 'unconfirmed' and c.attempts = n.number",
        key.tenant.0,
        key.contact.0,
        key.attempt.0,
        reason,
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Nobody looks for an attempt any more, because of what was decided of its contact. That it was sent again is not forgotten.
///
/// # Errors
/// The database's.
pub async fn stop_looking(conn: &mut PgConnection, key: AttemptKey, settled_by: &str) -> Result<(), Error> {
    sqlx::query!(
        "update attempts
         set settled_by = case when settled_by = 'resent' then settled_by else $4 end, next_look_at = null
         where tenant_id = $1 and contact_id = $2 and attempt_id = $3",
        key.tenant.0,
        key.contact.0,
        key.attempt.0,
        settled_by
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The last look saw nothing, and nothing can be decided of it; false when something else has settled it since that look
/// was begun, which then stands. One that is looked for a second time, after its contact was sent again, keeps that trace.
///
/// # Errors
/// The database's.
pub async fn give_up_looking(conn: &mut PgConnection, key: AttemptKey) -> Result<bool, Error> {
    let done = sqlx::query!(
        "update attempts set settled_by = coalesce(settled_by, 'gave_up'), next_look_at = null
         where tenant_id = $1 and contact_id = $2 and attempt_id = $3 and next_look_at is not null",
        key.tenant.0,
        key.contact.0,
        key.attempt.0
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// An attempt that a message of the gateway may be about.
#[derive(Clone)]
pub struct Candidate {
    /// Which.
    pub key: AttemptKey,
    /// Its contact's number, E.164.
    pub phone: String,
    /// What it was sent.
    pub text: String,
}

/// Attempts through one number whose text carries one of these references, the likeliest first: the one that has the
/// message's id, then those whose outcome is not known, then the latest that began before the message left (whose time is
/// cut to the second). Index `contacts_by_reference`.
///
/// # Errors
/// The database's.
pub async fn carrying(
    conn: &mut PgConnection,
    tenant: TenantId,
    instance: InstanceId,
    references: &[String],
    message_id: &str,
    left_at: DateTime<Utc>,
) -> Result<Vec<Candidate>, Error> {
    let rows = sqlx::query!(
        r#"select c.contact_id, a.attempt_id as "attempt_id!", c.phone, c.text
           from contacts c
           join queues q on q.tenant_id = c.tenant_id and q.queue_id = c.queue_id
           cross join lateral (
               select a.attempt_id, a.instance_id, a.number, a.started_at, a.message_id, a.outcome
               from attempts a where a.tenant_id = c.tenant_id and a.contact_id = c.contact_id
               union all
               select c.attempt_id, q.instance_id, c.attempts, c.attempt_started_at, null, 'unknown'
               where c.status = 'sending'
           ) a
           where c.tenant_id = $1 and c.reference = any($3) and a.instance_id = $2
           order by a.message_id is not distinct from $4 desc, a.outcome = 'unknown' desc,
                    a.started_at <= $5::timestamptz + interval '1 second' desc, a.number desc
           limit 20"#,
        tenant.0,
        instance.0,
        references,
        message_id,
        left_at
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Candidate {
            key: AttemptKey { tenant, contact: ContactId(row.contact_id), attempt: AttemptId(row.attempt_id) },
            phone: row.phone,
            text: row.text,
        })
        .collect())
}
