//! Unknown attempts and their looks; the attempts to which a message from the gateway may belong.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use regua_domain::{AttemptId, ContactId, InstanceId, MessageType, Resolution, TenantId};
use sqlx::postgres::types::PgInterval;
use sqlx::{Error, PgConnection};

use super::AttemptKey;

/// An attempt of outcome unknown, with what a look needs.
#[derive(Clone)]
#[expect(missing_docs, reason = "the fields are the tables' columns")]
pub struct UnknownAttempt {
    pub key: AttemptKey,
    /// Only this instance's history is searched.
    pub instance_id: InstanceId,
    pub message_type: MessageType,
    /// E.164.
    pub phone: String,
    pub reference: String,
    pub text: String,
    /// Time of the mark.
    pub started_at: DateTime<Utc>,
    /// Time of the finish.
    pub finished_at: DateTime<Utc>,
    /// Looks that found nothing.
    pub looks: i16,
}

/// Attempts whose look is due: the first look is due `first` after the finish. The rows stay hidden from other calls
/// for `visibility_timeout`. Index `attempts_to_look_for`.
pub async fn take_due(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    first: TimeDelta,
    visibility_timeout: Duration,
    limit: i64,
) -> Result<Vec<UnknownAttempt>, Error> {
    let first = PgInterval::try_from(first).map_err(Error::Encode)?;
    let visibility_timeout = PgInterval::try_from(visibility_timeout).map_err(Error::Encode)?;
    let rows = sqlx::query!(
        r#"with due as materialized (
             select tenant_id, contact_id, number from attempts
             where next_look_at <= $1
               and next_look_at <= $1::timestamptz - case when looks = 0 then $2::interval else interval '0' end
             order by next_look_at limit $4
             for no key update skip locked
         ), postponed as (
             update attempts a set next_look_at = $1::timestamptz + $3::interval from due d
             where a.tenant_id = d.tenant_id and a.contact_id = d.contact_id and a.number = d.number
             returning a.*
         )
         select a.tenant_id as "tenant: TenantId", a.attempt_id as "attempt: AttemptId",
                a.contact_id as "contact: ContactId", a.instance_id as "instance_id: InstanceId",
                q.type as "message_type: MessageType", c.phone, c.text, c.reference, a.started_at, a.finished_at, a.looks
         from postponed a join contacts c using (tenant_id, contact_id) join queues q using (tenant_id, queue_id)
         order by a.finished_at"#,
        now,
        first,
        visibility_timeout,
        limit
    )
    .fetch_all(conn)
    .await?;
    let attempts = rows.into_iter().map(|row| UnknownAttempt {
        key: AttemptKey { tenant: row.tenant, contact: row.contact, attempt: row.attempt },
        instance_id: row.instance_id,
        message_type: row.message_type,
        phone: row.phone,
        reference: row.reference,
        text: row.text,
        started_at: row.started_at,
        finished_at: row.finished_at,
        looks: row.looks,
    });
    Ok(attempts.collect())
}

/// Schedules the next look, and counts a look that found nothing. A resolved attempt stays resolved.
pub async fn look_again(conn: &mut PgConnection, key: AttemptKey, looks: i16, at: DateTime<Utc>) -> Result<(), Error> {
    sqlx::query!(
        "update attempts set looks = $4, next_look_at = $5
         where tenant_id = $1 and contact_id = $2 and attempt_id = $3 and next_look_at is not null",
        key.tenant as TenantId,
        key.contact as ContactId,
        key.attempt as AttemptId,
        looks,
        at
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Replaces the reason of an abandoned attempt and of its contact by the reason of the attempt's late outcome.
pub async fn set_reason(
    conn: &mut PgConnection,
    key: AttemptKey,
    reason: Option<&str>,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "with changed as (
             update attempts set reason = $4
             where tenant_id = $1 and contact_id = $2 and attempt_id = $3 and outcome = 'unknown' and settled_by is null
             returning contact_id, number
         )
         update contacts c set reason = $4, updated_at = $5 from changed n
         where c.tenant_id = $1 and c.contact_id = n.contact_id and c.status = 'unconfirmed' and c.attempts = n.number",
        key.tenant as TenantId,
        key.contact as ContactId,
        key.attempt as AttemptId,
        reason,
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Ends the looks for an attempt after a decision about its contact. The resolution `resent` is never overwritten.
pub async fn stop_looking(conn: &mut PgConnection, key: AttemptKey, resolution: Resolution) -> Result<(), Error> {
    sqlx::query!(
        "update attempts
         set settled_by = case when settled_by = 'resent' then settled_by else $4 end, next_look_at = null
         where tenant_id = $1 and contact_id = $2 and attempt_id = $3",
        key.tenant as TenantId,
        key.contact as ContactId,
        key.attempt as AttemptId,
        resolution as Resolution
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Ends the looks for an attempt that the last look did not find; false when the attempt was resolved since that look
/// began. An attempt of a resent contact keeps the resolution `resent`.
pub async fn give_up_looking(conn: &mut PgConnection, key: AttemptKey) -> Result<bool, Error> {
    let done = sqlx::query!(
        "update attempts set settled_by = coalesce(settled_by, 'gave_up'), next_look_at = null
         where tenant_id = $1 and contact_id = $2 and attempt_id = $3 and next_look_at is not null",
        key.tenant as TenantId,
        key.contact as ContactId,
        key.attempt as AttemptId
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// An attempt that a message of the gateway may belong to.
#[derive(Clone)]
#[expect(missing_docs, reason = "the fields are the tables' columns")]
pub struct Candidate {
    pub key: AttemptKey,
    /// E.164.
    pub phone: String,
    pub text: String,
}

/// Attempts through one instance whose text has one of these references, the likeliest first: the attempt with the
/// message's id, then unknown attempts and attempts under way, then attempts that began before the message left, the
/// latest first. `left_at` has whole seconds. Index `contacts_by_reference`.
pub async fn find_by_reference(
    conn: &mut PgConnection,
    tenant: TenantId,
    instance: InstanceId,
    references: &[String],
    message_id: &str,
    left_at: DateTime<Utc>,
) -> Result<Vec<Candidate>, Error> {
    let rows = sqlx::query!(
        r#"select c.contact_id as "contact: ContactId", a.attempt_id as "attempt!: AttemptId", c.phone, c.text
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
        tenant as TenantId,
        instance as InstanceId,
        references,
        message_id,
        left_at
    )
    .fetch_all(conn)
    .await?;
    let candidates = rows.into_iter().map(|row| Candidate {
        key: AttemptKey { tenant, contact: row.contact, attempt: row.attempt },
        phone: row.phone,
        text: row.text,
    });
    Ok(candidates.collect())
}
