//! Table `attempts`: one row for each try, written with its outcome. The try that is under way stands in its contact.

mod sought;

use chrono::{DateTime, Utc};
use regua_domain::{AttemptId, ContactId, TenantId};
use sqlx::{Error, PgConnection};

pub use sought::{Candidate, Sought, carrying, give_up_looking, look_again, note_reason, stop_looking, take_due};

/// Which try, and of whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AttemptKey {
    /// Whose it is.
    pub tenant: TenantId,
    /// The contact.
    pub contact: ContactId,
    /// The try.
    pub attempt: AttemptId,
}

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

/// All tries of a contact, first first; the last may be under way. Index `attempts_pkey`.
///
/// # Errors
/// The database's.
pub async fn of_contact(conn: &mut PgConnection, tenant: TenantId, contact: ContactId) -> Result<Vec<Attempt>, Error> {
    sqlx::query_as!(
        Attempt,
        r#"select number as "number!", started_at as "started_at!", finished_at, outcome, reason, message_id,
                  looks as "looks!", next_look_at, settled_by
           from (select number, started_at, finished_at, outcome, reason, message_id, looks, next_look_at, settled_by
                 from attempts where tenant_id = $1 and contact_id = $2
                 union all
                 select attempts, attempt_started_at, null, null, null, null, 0::smallint, null, null
                 from contacts where tenant_id = $1 and contact_id = $2 and status = 'sending') tries
           order by number"#,
        tenant.0,
        contact.0
    )
    .fetch_all(conn)
    .await
}
