//! Table `contacts`: one recipient of one campaign, from intake to its last state.
//!
//! A contact is claimed in batches by the lane's owner, marked `sending` before the request goes out, and finished with
//! what the gateway answered. `claimable` changes at the claim and at a return alone; the indexes stand on it, not on
//! `status`, so that marks and outcomes are HOT updates.

use chrono::{DateTime, NaiveDate, Utc};
use regua_domain::{AttemptId, ContactId, ContactStatus, InstanceId, QueueId, TenantId};
use serde_json::Value;
use sqlx::{Error, PgConnection};

use crate::queues::CountChange;

/// Accepted contacts of one batch, by column, as they are inserted.
#[derive(Debug, Default)]
pub struct NewContacts {
    /// Their ids.
    pub ids: Vec<uuid::Uuid>,
    /// Places in the accepted batch.
    pub positions: Vec<i32>,
    /// The caller's ids.
    pub external_ids: Vec<Option<String>>,
    /// Names.
    pub names: Vec<String>,
    /// E.164.
    pub phones: Vec<String>,
    /// Due dates.
    pub due_dates: Vec<Option<NaiveDate>>,
    /// Centavos.
    pub amounts: Vec<Option<i64>>,
    /// Own variables, as JSON text.
    pub variables: Vec<String>,
    /// The caller's own, as JSON text.
    pub metadata: Vec<String>,
    /// Wording used, from 1.
    pub variations: Vec<i16>,
    /// References in the texts.
    pub references: Vec<String>,
    /// Rendered texts.
    pub texts: Vec<String>,
}

/// Stores all contacts of a batch in one statement. They are due at `due_at`, in the order of the batch.
///
/// # Errors
/// The database's.
pub async fn insert(
    conn: &mut PgConnection,
    tenant: TenantId,
    queue: QueueId,
    contacts: &NewContacts,
    due_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "insert into contacts (tenant_id, queue_id, contact_id, position, external_id, name, phone, due_date,
                               amount_cents, variables, metadata, variation, reference, text, due_at, created_at,
                               updated_at)
         select $1, $2, u.id, u.position, u.external_id, u.name, u.phone, u.due_date, u.amount, u.variables::jsonb,
                u.metadata::jsonb, u.variation, u.reference, u.text,
                $3::timestamptz + u.position * interval '1 microsecond', $4, $4
         from unnest($5::uuid[], $6::integer[], $7::text[], $8::text[], $9::text[], $10::date[], $11::bigint[],
                     $12::text[], $13::text[], $14::smallint[], $15::text[], $16::text[])
              as u (id, position, external_id, name, phone, due_date, amount, variables, metadata, variation, reference,
                    text)",
        tenant.0,
        queue.0,
        due_at,
        now,
        &contacts.ids,
        &contacts.positions,
        &contacts.external_ids as &[Option<String>],
        &contacts.names,
        &contacts.phones,
        &contacts.due_dates as &[Option<NaiveDate>],
        &contacts.amounts as &[Option<i64>],
        &contacts.variables,
        &contacts.metadata,
        &contacts.variations,
        &contacts.references,
        &contacts.texts
    )
    .execute(conn)
    .await?;
    Ok(())
}

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
    /// Under which epoch it was claimed.
    pub claim_epoch: Option<i64>,
    /// The attempt that is open, when it is `sending`.
    pub open_attempt: Option<AttemptId>,
}

/// The facts of contacts that are about to be marked. Their queues must be locked.
///
/// # Errors
/// The database's.
pub async fn mark_facts(conn: &mut PgConnection, contacts: &[(TenantId, ContactId)]) -> Result<Vec<MarkFacts>, Error> {
    let rows = sqlx::query!(
        r#"select c.tenant_id, c.contact_id, c.status, c.attempts, c.due_at, c.claim_epoch,
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
                due_at: row.due_at,
                claim_epoch: row.claim_epoch,
                open_attempt: row.open_attempt.map(AttemptId),
            })
        })
        .collect()
}

/// Marks contacts `sending`, each with the number of the try. Fenced by state and by the epoch of the claim.
///
/// # Errors
/// The database's.
pub async fn mark_sending(
    conn: &mut PgConnection,
    marks: &[(TenantId, ContactId, i64, i16)],
    now: DateTime<Utc>,
) -> Result<u64, Error> {
    let done = sqlx::query!(
        "update contacts c set status = 'sending', attempts = u.number, reason = null, updated_at = $5
         from unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::smallint[]) as u (tenant_id, contact_id, epoch, number)
         where c.tenant_id = u.tenant_id and c.contact_id = u.contact_id and c.status = 'pending'
           and c.claim_epoch = u.epoch",
        &marks.iter().map(|mark| mark.0.0).collect::<Vec<_>>(),
        &marks.iter().map(|mark| mark.1.0).collect::<Vec<_>>(),
        &marks.iter().map(|mark| mark.2).collect::<Vec<_>>(),
        &marks.iter().map(|mark| mark.3).collect::<Vec<_>>(),
        now
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// Skips claimed contacts for good, with the rule that said so; answers the queues they belong to, one entry a contact.
///
/// # Errors
/// The database's.
pub async fn skip(
    conn: &mut PgConnection,
    skips: &[(TenantId, ContactId, i64, String)],
    now: DateTime<Utc>,
) -> Result<Vec<(TenantId, QueueId)>, Error> {
    let rows = sqlx::query!(
        "update contacts c set status = 'skipped', reason = u.rule, claim_epoch = null, updated_at = $5
         from unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::text[]) as u (tenant_id, contact_id, epoch, rule)
         where c.tenant_id = u.tenant_id and c.contact_id = u.contact_id and c.status = 'pending'
           and c.claim_epoch = u.epoch
         returning c.tenant_id, c.queue_id",
        &skips.iter().map(|skip| skip.0.0).collect::<Vec<_>>(),
        &skips.iter().map(|skip| skip.1.0).collect::<Vec<_>>(),
        &skips.iter().map(|skip| skip.2).collect::<Vec<_>>(),
        &skips.iter().map(|skip| skip.3.clone()).collect::<Vec<_>>(),
        now
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (TenantId(row.tenant_id), QueueId(row.queue_id))).collect())
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
    /// Its queue.
    pub queue_id: QueueId,
    /// Where it went from `sending`.
    pub status: ContactStatus,
}

/// Writes outcomes down. A try that was closed meanwhile (its lane was taken over) is left as it is: the fence is that
/// only an open attempt can be finished. The contacts' queues must be locked.
///
/// # Errors
/// The database's.
pub async fn finish(conn: &mut PgConnection, outcomes: &[Finish], now: DateTime<Utc>) -> Result<Vec<Finished>, Error> {
    let rows = sqlx::query!(
        "with u as materialized (
             select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[],
                                  $7::timestamptz[])
                as u (tenant_id, attempt_id, outcome, reason, message_id, status, due_at)
         ), closed as (
             update attempts a
             set finished_at = $8, outcome = u.outcome, reason = u.reason, message_id = u.message_id
             from u
             where a.tenant_id = u.tenant_id and a.attempt_id = u.attempt_id and a.finished_at is null
             returning a.tenant_id, a.contact_id, a.number, u.reason, u.message_id, u.status, u.due_at
         )
         update contacts c
         set status = d.status, reason = d.reason, claim_epoch = null, updated_at = $8,
             claimable = d.status = 'pending', due_at = coalesce(d.due_at, c.due_at),
             message_id = coalesce(d.message_id, c.message_id),
             sent_at = case when d.status = 'sent' then $8 end
         from closed d
         where c.tenant_id = d.tenant_id and c.contact_id = d.contact_id and c.status = 'sending'
           and c.attempts = d.number
         returning c.tenant_id, c.queue_id, c.status",
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
                queue_id: QueueId(row.queue_id),
                status: row.status.parse().map_err(|error| Error::Decode(Box::new(error)))?,
            })
        })
        .collect()
}

/// Settles what a lane's former owner left behind: open attempts become unconfirmed (nobody can say whether they left),
/// and contacts it had claimed may be claimed again. The caller has taken the lane in the same transaction.
///
/// Indexes `attempts_open`, `queues_unfinished` and `contacts_of_queue`.
///
/// # Errors
/// The database's.
pub async fn settle_abandoned(
    conn: &mut PgConnection,
    tenant: TenantId,
    instance: InstanceId,
    now: DateTime<Utc>,
) -> Result<u64, Error> {
    lock_queues_of(conn, tenant, instance).await?;
    let rows = sqlx::query!(
        r#"with closed as (
             update attempts set finished_at = $3, outcome = 'unknown', reason = 'worker_lost'
             where tenant_id = $1 and instance_id = $2 and finished_at is null
             returning contact_id, number
         ), moved as (
             update contacts c
             set status = 'unconfirmed', reason = 'worker_lost', claim_epoch = null, updated_at = $3
             from closed d
             where c.tenant_id = $1 and c.contact_id = d.contact_id and c.status = 'sending' and c.attempts = d.number
             returning c.queue_id
         )
         select queue_id as "queue_id!", count(*)::integer as "count!" from moved group by queue_id"#,
        tenant.0,
        instance.0,
        now
    )
    .fetch_all(&mut *conn)
    .await?;
    let changes: Vec<_> = rows
        .iter()
        .map(|row| {
            let change = CountChange { sending: -row.count, unconfirmed: row.count, ..CountChange::default() };
            (tenant, QueueId(row.queue_id), change)
        })
        .collect();
    crate::queues::change_counts(&mut *conn, &changes, now).await?;
    sqlx::query!(
        "update contacts c set claimable = true, claim_epoch = null
         from queues q
         where q.tenant_id = $1 and q.instance_id = $2 and q.status not in ('completed', 'cancelled', 'failed')
           and c.tenant_id = q.tenant_id and c.queue_id = q.queue_id and c.status = 'pending' and not c.claimable",
        tenant.0,
        instance.0
    )
    .execute(conn)
    .await?;
    Ok(changes.iter().map(|change| u64::from(change.2.unconfirmed.unsigned_abs())).sum())
}

/// Locks, in key order, every queue of an instance that is unfinished or has an open attempt.
async fn lock_queues_of(conn: &mut PgConnection, tenant: TenantId, instance: InstanceId) -> Result<(), Error> {
    sqlx::query!(
        "select queue_id from queues
         where tenant_id = $1 and queue_id in (
             select q.queue_id from queues q
             where q.tenant_id = $1 and q.instance_id = $2 and q.status not in ('completed', 'cancelled', 'failed')
             union
             select c.queue_id from attempts a join contacts c using (tenant_id, contact_id)
             where a.tenant_id = $1 and a.instance_id = $2 and a.finished_at is null)
         order by queue_id
         for no key update",
        tenant.0,
        instance.0
    )
    .fetch_all(conn)
    .await?;
    Ok(())
}

/// Cancels every unsent contact of a locked queue and counts them; what is on its way stays so.
///
/// # Errors
/// The database's.
pub async fn cancel_unsent(
    conn: &mut PgConnection,
    tenant: TenantId,
    queue: QueueId,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let cancelled = sqlx::query!(
        "update contacts set status = 'cancelled', claimable = false, claim_epoch = null, reason = 'queue_cancelled',
                             updated_at = $3
         where tenant_id = $1 and queue_id = $2 and status = 'pending'",
        tenant.0,
        queue.0,
        now
    )
    .execute(&mut *conn)
    .await?
    .rows_affected();
    let count = i32::try_from(cancelled).unwrap_or(i32::MAX);
    let change = CountChange { pending: -count, cancelled: count, ..CountChange::default() };
    crate::queues::change_counts(conn, &[(tenant, queue, change)], now).await
}

/// A contact as people see it.
#[derive(Clone, Debug)]
pub struct Contact {
    /// Its id.
    pub contact_id: ContactId,
    /// Place in the accepted batch.
    pub position: i32,
    /// The caller's id.
    pub external_id: Option<String>,
    /// E.164.
    pub phone: String,
    /// Its state.
    pub status: String,
    /// Wording used, from 1.
    pub variation: i16,
    /// Tries so far.
    pub attempts: i16,
    /// The rule or the gateway's reason behind the last change.
    pub reason: Option<String>,
    /// The message's id at WhatsApp.
    pub message_id: Option<String>,
    /// When it left.
    pub sent_at: Option<DateTime<Utc>>,
    /// When it was delivered.
    pub delivered_at: Option<DateTime<Utc>>,
    /// When it was read.
    pub read_at: Option<DateTime<Utc>>,
    /// The caller's own.
    pub metadata: Value,
}

/// A page of a queue's contacts in the order of the batch. Index `contacts_of_queue`.
///
/// # Errors
/// The database's.
pub async fn list(
    conn: &mut PgConnection,
    tenant: TenantId,
    queue: QueueId,
    status: Option<ContactStatus>,
    after: Option<i32>,
    limit: i64,
) -> Result<Vec<Contact>, Error> {
    let rows = sqlx::query!(
        "select contact_id, position, external_id, phone, status, variation, attempts, reason, message_id, sent_at,
                delivered_at, read_at, metadata
         from contacts
         where tenant_id = $1 and queue_id = $2 and ($3::text is null or status = $3) and position > $4
         order by position limit $5",
        tenant.0,
        queue.0,
        status.map(ContactStatus::as_str),
        after.unwrap_or(-1),
        limit
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Contact {
            contact_id: ContactId(row.contact_id),
            position: row.position,
            external_id: row.external_id,
            phone: row.phone,
            status: row.status,
            variation: row.variation,
            attempts: row.attempts,
            reason: row.reason,
            message_id: row.message_id,
            sent_at: row.sent_at,
            delivered_at: row.delivered_at,
            read_at: row.read_at,
            metadata: row.metadata,
        })
        .collect())
}
