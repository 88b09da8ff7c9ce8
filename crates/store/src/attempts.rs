//! Table `attempts`: one row for each try, written before the try.

mod sought;

use chrono::{DateTime, Utc};
use regua_domain::{AttemptId, ContactId, InstanceId, TenantId};
use sqlx::{Error, PgConnection};

pub use sought::{Candidate, Sought, carrying, give_up_looking, look_again, note_reason, stop_looking, take_due};

/// One try, for people.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// From 1.
    pub number: i16,
    /// When it was written down.
    pub started_at: DateTime<Utc>,
    /// When its outcome was written down.
    pub finished_at: Option<DateTime<Utc>>,
    /// `sent`, `not_sent`, `refused` or `unknown`.
    pub outcome: Option<String>,
    /// The gateway's reason.
    pub reason: Option<String>,
    /// The message's id at WhatsApp.
    pub message_id: Option<String>,
    /// Looks at the gateway's history that could see and saw nothing.
    pub looks: i16,
    /// When it is looked for next.
    pub next_look_at: Option<DateTime<Utc>>,
    /// What decided an unknown outcome, or why nobody looks any more.
    pub settled_by: Option<String>,
}

/// A try to be written down.
#[derive(Clone, Debug)]
pub struct NewAttempt {
    /// Whose it is.
    pub tenant_id: TenantId,
    /// Its id, made by the lane: a repeated mark is recognised by it.
    pub attempt_id: AttemptId,
    /// Whom it goes to.
    pub contact_id: ContactId,
    /// The number it leaves through.
    pub instance_id: InstanceId,
    /// From 1.
    pub number: i16,
    /// The reference in the text.
    pub reference: String,
    /// The fence.
    pub lease_epoch: i64,
}

/// Writes tries down. One that is there already (a mark repeated after a lost answer) is left as it is.
///
/// # Errors
/// The database's.
pub async fn open(
    conn: &mut PgConnection,
    worker: &str,
    attempts: &[NewAttempt],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "insert into attempts (tenant_id, attempt_id, contact_id, instance_id, number, reference, lease_epoch, worker,
                               started_at)
         select u.*, $8, $9
         from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::smallint[], $6::text[], $7::bigint[]) as u
         on conflict (tenant_id, attempt_id) do nothing",
        &attempts.iter().map(|attempt| attempt.tenant_id.0).collect::<Vec<_>>(),
        &attempts.iter().map(|attempt| attempt.attempt_id.0).collect::<Vec<_>>(),
        &attempts.iter().map(|attempt| attempt.contact_id.0).collect::<Vec<_>>(),
        &attempts.iter().map(|attempt| attempt.instance_id.0).collect::<Vec<_>>(),
        &attempts.iter().map(|attempt| attempt.number).collect::<Vec<_>>(),
        &attempts.iter().map(|attempt| attempt.reference.clone()).collect::<Vec<_>>(),
        &attempts.iter().map(|attempt| attempt.lease_epoch).collect::<Vec<_>>(),
        worker,
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Whether an attempt through a number is open. Index `attempts_open`.
///
/// # Errors
/// The database's.
pub async fn is_any_open(conn: &mut PgConnection, tenant: TenantId, instance: InstanceId) -> Result<bool, Error> {
    let row = sqlx::query!(
        r#"select exists (select from attempts where tenant_id = $1 and instance_id = $2 and finished_at is null)
           as "exists!""#,
        tenant.0,
        instance.0
    )
    .fetch_one(conn)
    .await?;
    Ok(row.exists)
}

/// All tries of a contact, first first. Index `attempts_of_contact`.
///
/// # Errors
/// The database's.
pub async fn of_contact(conn: &mut PgConnection, tenant: TenantId, contact: ContactId) -> Result<Vec<Attempt>, Error> {
    sqlx::query_as!(
        Attempt,
        "select number, started_at, finished_at, outcome, reason, message_id, looks, next_look_at, settled_by
         from attempts
         where tenant_id = $1 and contact_id = $2 order by number",
        tenant.0,
        contact.0
    )
    .fetch_all(conn)
    .await
}
