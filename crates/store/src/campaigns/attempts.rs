//! Table `attempts`: one row for each attempt, inserted with its outcome. An attempt under way has no row: columns of
//! its contact store it.

mod unknown;

use chrono::{DateTime, Utc};
use regua_domain::{AttemptId, AttemptOutcome, ContactId, Resolution, TenantId};
use sqlx::{Error, PgConnection};

pub use unknown::{
    Candidate, UnknownAttempt, find_by_reference, give_up_looking, look_again, set_reason, stop_looking, take_due,
};

/// Identifies an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AttemptKey {
    /// The owner.
    pub tenant: TenantId,
    /// The contact.
    pub contact: ContactId,
    /// The attempt.
    pub attempt: AttemptId,
}

/// One attempt, for people.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// From 1.
    pub number: i16,
    /// Time of the mark.
    pub started_at: DateTime<Utc>,
    /// Time of the finish.
    pub finished_at: Option<DateTime<Utc>>,
    /// None: it is under way.
    pub outcome: Option<AttemptOutcome>,
    /// The gateway client's reason, as text: this crate does not know the gateway.
    pub reason: Option<String>,
    /// The message's id at WhatsApp.
    pub message_id: Option<String>,
    /// Looks that searched the gateway's history and found nothing.
    pub looks: i16,
    /// Time of the next look.
    pub next_look_at: Option<DateTime<Utc>>,
    /// What resolved an unknown outcome.
    pub settled_by: Option<Resolution>,
}

/// All attempts of a contact, oldest first; the last may be under way. Index `attempts_pkey`.
pub async fn list(conn: &mut PgConnection, tenant: TenantId, contact: ContactId) -> Result<Vec<Attempt>, Error> {
    sqlx::query_as!(
        Attempt,
        r#"select number as "number!", started_at as "started_at!", finished_at, outcome as "outcome: AttemptOutcome",
                  reason, message_id, looks as "looks!", next_look_at, settled_by as "settled_by: Resolution"
           from (select number, started_at, finished_at, outcome, reason, message_id, looks, next_look_at, settled_by
                 from attempts where tenant_id = $1 and contact_id = $2
                 union all
                 select attempts, attempt_started_at, null, null, null, null, 0::smallint, null, null
                 from contacts where tenant_id = $1 and contact_id = $2 and status = 'sending') all_attempts
           order by number"#,
        tenant as TenantId,
        contact as ContactId
    )
    .fetch_all(conn)
    .await
}
