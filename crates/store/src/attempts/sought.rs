//! Attempts of unknown outcome that are being looked for, and attempts that a message of the gateway may be about.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use regua_domain::{AttemptId, ContactId, InstanceId, MessageType, TenantId};
use sqlx::postgres::types::PgInterval;
use sqlx::{Error, PgConnection};

/// An attempt whose outcome nobody knows, with what is needed to look for it.
#[derive(Clone)]
pub struct Sought {
    /// Whose it is.
    pub tenant_id: TenantId,
    /// The attempt.
    pub attempt_id: AttemptId,
    /// Its contact.
    pub contact_id: ContactId,
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
             select tenant_id, attempt_id from attempts
             where next_look_at <= $1
               and next_look_at <= $1::timestamptz - case when looks = 0 then $2::interval else interval '0' end
             order by next_look_at limit $4
             for no key update skip locked
         ), taken as (
             update attempts a set next_look_at = $1::timestamptz + $3::interval from due d
             where a.tenant_id = d.tenant_id and a.attempt_id = d.attempt_id
             returning a.*
         )
         select a.tenant_id, a.attempt_id, a.contact_id, a.instance_id, q.type as message_type, c.phone, c.text, a.reference,
                a.started_at, a.finished_at as "finished_at!", a.looks
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
                tenant_id: TenantId(row.tenant_id),
                attempt_id: AttemptId(row.attempt_id),
                contact_id: ContactId(row.contact_id),
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
pub async fn look_again(
    conn: &mut PgConnection,
    tenant: TenantId,
    attempt: AttemptId,
    looks: i16,
    at: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "update attempts set looks = $3, next_look_at = $4
         where tenant_id = $1 and attempt_id = $2 and next_look_at is not null",
        tenant.0,
        attempt.0,
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
    tenant: TenantId,
    attempt: AttemptId,
    reason: Option<&str>,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "with noted as (
             update attempts set reason = $3
             where tenant_id = $1 and attempt_id = $2 and outcome = 'unknown' and settled_by is null
             returning contact_id, number
         )
         update contacts c set reason = $3, updated_at = $4 from noted n
         where c.tenant_id = $1 and c.contact_id = n.contact_id and c.status = 'unconfirmed' and c.attempts = n.number",
        tenant.0,
        attempt.0,
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
pub async fn stop_looking(
    conn: &mut PgConnection,
    tenant: TenantId,
    attempt: AttemptId,
    settled_by: &str,
) -> Result<(), Error> {
    sqlx::query!(
        "update attempts
         set settled_by = case when settled_by = 'resent' then settled_by else $3 end, next_look_at = null
         where tenant_id = $1 and attempt_id = $2",
        tenant.0,
        attempt.0,
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
pub async fn give_up_looking(conn: &mut PgConnection, tenant: TenantId, attempt: AttemptId) -> Result<bool, Error> {
    let done = sqlx::query!(
        "update attempts set settled_by = coalesce(settled_by, 'gave_up'), next_look_at = null
         where tenant_id = $1 and attempt_id = $2 and next_look_at is not null",
        tenant.0,
        attempt.0
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// An attempt that a message of the gateway may be about.
#[derive(Clone)]
pub struct Candidate {
    /// The attempt.
    pub attempt_id: AttemptId,
    /// Its contact's number, E.164.
    pub phone: String,
    /// What it was sent.
    pub text: String,
}

/// Attempts through one number whose text carries one of these references, the likeliest first: the one that has the
/// message's id, then those whose outcome is not known, then the latest that began before the message left (whose time is
/// cut to the second). Index
/// `contacts_by_reference`.
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
        "select a.attempt_id, c.phone, c.text
         from contacts c join attempts a on a.tenant_id = c.tenant_id and a.contact_id = c.contact_id
         where c.tenant_id = $1 and c.reference = any($3) and a.instance_id = $2
         order by a.message_id is not distinct from $4 desc, (a.outcome is null or a.outcome = 'unknown') desc,
                  a.started_at <= $5::timestamptz + interval '1 second' desc, a.number desc
         limit 20",
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
        .map(|row| Candidate { attempt_id: AttemptId(row.attempt_id), phone: row.phone, text: row.text })
        .collect())
}
