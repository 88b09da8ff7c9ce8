//! One contact: its attempts, and the operator decision about an unconfirmed contact.

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use regua_broker::{Doorbell, DoorbellKind, ring};
use regua_domain::{
    AttemptOutcome, ContactId, ContactStatus as Status, EvidenceSource, QueueStatus, Reference, Resolution, Text,
};
use regua_store::access;
use regua_store::attempts::{self, Attempt};
use regua_store::contacts::{self, Evidence, Locked, Name, Unconfirmed};
use serde::Serialize;
use sqlx::PgConnection;
use utoipa::ToSchema;
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::contacts::ContactStatus;
use crate::callers::{Caller, Change, Posted};
use crate::context::Context;
use crate::http::error::{ControlProblems, QueueProblems};
use crate::http::schema::words;
use crate::http::{Code, Form, InPath, PathId, Problem};
use crate::routes::choice::choose;

pub(super) fn router() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(get)).routes(routes!(decide))
}

/// The id of a contact, or the reference in its message.
impl PathId for Name {
    fn parse(text: &str) -> Option<Self> {
        let id = text.parse::<ContactId>().map(Self::Id).ok();
        id.or_else(|| Reference::parse(text).map(Self::Reference).ok())
    }
}

#[derive(Serialize, ToSchema)]
struct ContactHistory {
    #[serde(flatten)]
    contact: ContactStatus,
    /// Attempts, oldest first.
    history: Vec<ContactAttempt>,
}

#[derive(Serialize, ToSchema)]
struct ContactAttempt {
    /// From 1.
    number: i16,
    started_at: DateTime<Utc>,
    finished_at: Option<DateTime<Utc>>,
    #[schema(schema_with = outcome_schema)]
    outcome: Option<AttemptOutcome>,
    /// The gateway's reason, or `worker_lost`.
    reason: Option<String>,
    /// The message's id at WhatsApp.
    message_id: Option<String>,
    /// Number of complete searches of the gateway's history that did not find the message.
    looks: i16,
    /// Time of the next search; null when no search is due.
    next_look_at: Option<DateTime<Utc>>,
    /// What resolved an unknown outcome or ended the search: `late_answer`, `gateway_history`, `webhook`, `operator`,
    /// `resent` or `gave_up`.
    #[schema(value_type = Option<String>)]
    settled_by: Option<Resolution>,
}

impl From<Attempt> for ContactAttempt {
    fn from(attempt: Attempt) -> Self {
        Self {
            number: attempt.number,
            started_at: attempt.started_at,
            finished_at: attempt.finished_at,
            outcome: attempt.outcome,
            reason: attempt.reason,
            message_id: attempt.message_id,
            looks: attempt.looks,
            next_look_at: attempt.next_look_at,
            settled_by: attempt.settled_by,
        }
    }
}

/// The status of one contact, with its attempts.
#[utoipa::path(
    get, path = "/contact/{contact}", operation_id = "contact_history", tag = "contacts", security(("api_key" = []), ("bearer" = []), ("session" = [])),
    params(("contact" = String, Path, description = "`contact_id`, or the reference in the message, such as 7K3F9Q")),
    responses((status = 200, description = "The contact", body = ContactHistory), QueueProblems)
)]
async fn get(
    State(context): State<Context>,
    caller: Caller,
    InPath(name): InPath<Name>,
) -> Result<Json<ContactHistory>, Problem> {
    let mut transaction = access::begin(&context.pool, caller.tenant_id).await?;
    let history = history(&mut transaction, &caller, name).await?;
    transaction.commit().await?;
    Ok(history)
}

#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "OpenAPI schema only: `Form` reads the body and reports every fault at once")]
struct VerdictRequest {
    #[schema(schema_with = decision_schema)]
    verdict: String,
    /// Who decides, for the audit log. Default: the id of the API key, or the user's e-mail address.
    #[schema(min_length = 1, max_length = 200)]
    said_by: Option<String>,
}

/// Decides about an unconfirmed contact: its message left (`confirm`), it is sent once more (`resend`), or it counts as
/// failed (`give_up`). Evidence that arrives later overrides the decision.
#[utoipa::path(
    post, path = "/contact/{contact}/verdict", operation_id = "contact_verdict", tag = "contacts",
    security(("api_key" = []), ("bearer" = []), ("session" = [])),
    params(("contact" = String, Path, description = "`contact_id`, or the reference in the message, such as 7K3F9Q")),
    request_body = VerdictRequest,
    responses((status = 200, description = "The contact after the decision", body = ContactHistory), ControlProblems)
)]
async fn decide(
    State(context): State<Context>,
    InPath(name): InPath<Name>,
    Posted { caller, body, .. }: Posted,
) -> Result<Json<ContactHistory>, Problem> {
    let (decision, said_by) = read(&body, &caller)?;
    let now = context.clock.now();

    let mut transaction = access::begin(&context.pool, caller.tenant_id).await?;
    let conn = &mut *transaction;
    let contact = contacts::get(conn, caller.tenant_id, name).await?.ok_or_else(|| Problem::of(Code::NotFound))?;
    match contacts::lock_unconfirmed(conn, caller.tenant_id, contact.contact_id, now).await? {
        Locked::Unconfirmed(contact) => decision.apply(conn, &contact, &said_by, now).await?,
        Locked::OtherState(status) => {
            // Locking the contact applies stored evidence, which may have changed its status: commit it.
            transaction.commit().await?;
            return Err(not_unconfirmed(status));
        }
        Locked::Missing => return Err(Problem::of(Code::NotFound)),
    }
    let answer = history(conn, &caller, name).await?;
    let after = serde_json::json!({ "verdict": decision.as_str(), "said_by": said_by });
    let object = contact.contact_id.to_string();
    caller.record(conn, Change { action: "contact.decided", object, before: None, after: Some(&after) }, now).await?;
    transaction.commit().await?;

    context.relay_wakeup.notify_one();
    tracing::info!(contact_id = %contact.contact_id, verdict = decision.as_str(), "operator decision applied");
    Ok(answer)
}

#[derive(Clone, Copy)]
enum OperatorDecision {
    Confirm,
    Resend,
    GiveUp,
}

impl OperatorDecision {
    const ALL: [Self; 3] = [Self::Confirm, Self::Resend, Self::GiveUp];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Confirm => "confirm",
            Self::Resend => "resend",
            Self::GiveUp => "give_up",
        }
    }

    async fn apply(
        self,
        conn: &mut PgConnection,
        contact: &Unconfirmed,
        said_by: &str,
        now: DateTime<Utc>,
    ) -> Result<(), Problem> {
        let &Unconfirmed { key, queue_id, queue_status, .. } = contact;
        match self {
            Self::Confirm => {
                let evidence = Evidence::Left { message_id: None, at: now };
                contacts::learn(conn, key, EvidenceSource::Operator, &evidence, Some(said_by), now).await?;
            }
            Self::Resend if contact.is_to_be_erased => return Err(data_erased()),
            Self::Resend if queue_status == QueueStatus::Cancelled => return Err(queue_cancelled()),
            Self::Resend => {
                contacts::resend(conn, contact, now).await?;
                ring(conn, &Doorbell::Queue { kind: DoorbellKind::Resume, tenant_id: key.tenant, queue_id }, now)
                    .await?;
            }
            Self::GiveUp => contacts::give_up(conn, contact, said_by, now).await?,
        }
        Ok(())
    }
}

fn read(body: &[u8], caller: &Caller) -> Result<(OperatorDecision, String), Problem> {
    let mut form = Form::read(body, caller.language)?;
    let text = form.required_text("verdict", 20);
    let decision = choose(&mut form, "verdict", &text, &OperatorDecision::ALL, OperatorDecision::as_str);
    let said_by = form.text("said_by", 200).unwrap_or_else(|| caller.name());
    form.finish()?;
    Ok((decision.ok_or_else(|| Problem::of(Code::ValidationFailed))?, said_by))
}

async fn history(conn: &mut PgConnection, caller: &Caller, name: Name) -> Result<Json<ContactHistory>, Problem> {
    let contact = contacts::get(conn, caller.tenant_id, name).await?.ok_or_else(|| Problem::of(Code::NotFound))?;
    let attempts = attempts::list(conn, caller.tenant_id, contact.contact_id).await?;
    let history = attempts.into_iter().map(ContactAttempt::from).collect();
    Ok(Json(ContactHistory { contact: contact.into(), history }))
}

fn not_unconfirmed(status: Status) -> Problem {
    Problem::with_detail(Code::StateConflict, Text::of("contact-not-unconfirmed").with("status", status))
        .with_member("contact_status", status.as_str())
}

fn queue_cancelled() -> Problem {
    Problem::with_detail(Code::StateConflict, Text::of("contact-queue-cancelled"))
}

fn data_erased() -> Problem {
    Problem::with_detail(Code::StateConflict, Text::of("contact-data-erased"))
}

fn decision_schema() -> RefOr<Schema> {
    words(OperatorDecision::ALL.iter().map(|decision| decision.as_str()))
}

/// Null while the message is being sent.
fn outcome_schema() -> RefOr<Schema> {
    let null = ObjectBuilder::new().schema_type(Type::Null);
    let words = words(AttemptOutcome::ALL.map(AttemptOutcome::as_str));
    RefOr::T(OneOfBuilder::new().item(null).item(words).into())
}
