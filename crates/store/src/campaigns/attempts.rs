//! Table `attempts`: one row for each attempt, inserted with its outcome. An attempt under way has no row: columns of
//! its contact store it.

mod unknown;

use chrono::{DateTime, Utc};
use regua_domain::{AttemptId, AttemptOutcome, ContactId, Resolution, TenantId};
use serde::{Deserialize, Serialize};
use sqlx::{Error, PgConnection};

pub use unknown::{
    Candidate, UnknownAttempt, find_by_reference, give_up_looking, look_again, set_reason, stop_looking, take_due,
};

/// Identifies an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the fields are the table's columns")]
pub struct AttemptKey {
    pub tenant: TenantId,
    pub contact: ContactId,
    pub attempt: AttemptId,
}

// One attempt, for people. Its outcome is null while it is under way. Its reason is text, because this crate does not
// know the gateway.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = ContactAttempt))]
#[expect(missing_docs, reason = "the fields are the table's columns")]
pub struct Attempt {
    /// From 1.
    pub number: i16,
    pub started_at: DateTime<Utc>,
    pub finished_at: Option<DateTime<Utc>>,
    #[cfg_attr(feature = "openapi", schema(schema_with = outcome_schema))]
    pub outcome: Option<AttemptOutcome>,
    /// The gateway's reason, or `worker_lost`.
    pub reason: Option<String>,
    /// The message's id at WhatsApp.
    pub message_id: Option<String>,
    /// Number of complete searches of the gateway's history that did not find the message.
    pub looks: i16,
    /// Time of the next search; null when no search is due.
    pub next_look_at: Option<DateTime<Utc>>,
    /// What resolved an unknown outcome or ended the search: `late_answer`, `gateway_history`, `webhook`, `operator`,
    /// `resent` or `gave_up`.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub settled_by: Option<Resolution>,
}

/// Null while the attempt is under way.
#[cfg(feature = "openapi")]
fn outcome_schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
    let null = utoipa::openapi::ObjectBuilder::new().schema_type(utoipa::openapi::Type::Null);
    let outcome = <AttemptOutcome as utoipa::PartialSchema>::schema();
    utoipa::openapi::schema::OneOfBuilder::new().item(null).item(outcome).into()
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
