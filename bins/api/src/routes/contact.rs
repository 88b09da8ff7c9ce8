//! One contact: what became of each try, and a person's word on one of which nobody can say whether it left.

use axum::Json;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::request::Parts;
use chrono::{DateTime, Utc};
use regua_broker::{Doorbell, DoorbellKind, ring};
use regua_domain::{ContactId, ContactStatus as Status, Language, QueueStatus, Reference};
use regua_store::access;
use regua_store::attempts::{self, Attempt};
use regua_store::contacts::{self, Finding, Locked, Name, Unconfirmed};
use regua_store::evidence::Source;
use serde::Serialize;
use sqlx::PgConnection;
use utoipa::ToSchema;
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::contacts::ContactStatus;
use super::queue::words;
use crate::Context;
use crate::auth::Caller;
use crate::error::{Code, ControlProblems, Problem, QueueProblems};
use crate::form::Form;
use crate::people::Change;
use crate::posted::Posted;

pub(super) fn router() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(show)).routes(routes!(verdict))
}

/// The contact that a path names, by its id or by the reference in its message.
struct InPath(Name);

impl FromRequestParts<Context> for InPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, context: &Context) -> Result<Self, Problem> {
        let text = Path::<String>::from_request_parts(parts, context).await.map_err(|_| Problem::of(Code::NotFound))?;
        let id = text.parse::<ContactId>().map(Name::Id).ok();
        let name = id.or_else(|| Reference::parse(&text).map(Name::Reference).ok());
        name.map(Self).ok_or_else(|| Problem::of(Code::NotFound))
    }
}

/// One contact and all that was tried.
#[derive(Serialize, ToSchema)]
struct ContactHistory {
    #[serde(flatten)]
    contact: ContactStatus,
    /// Every try, first first.
    history: Vec<ContactAttempt>,
}

/// One try.
#[derive(Serialize, ToSchema)]
struct ContactAttempt {
    /// From 1.
    number: i16,
    started_at: DateTime<Utc>,
    finished_at: Option<DateTime<Utc>>,
    #[schema(schema_with = outcome_schema)]
    outcome: Option<String>,
    /// The gateway's reason, or `worker_lost`.
    reason: Option<String>,
    /// The message's id at WhatsApp.
    message_id: Option<String>,
    /// Looks at the gateway's record that could see and saw nothing.
    looks: i16,
    /// When it is looked for next; null when nobody looks.
    next_look_at: Option<DateTime<Utc>>,
    /// What decided an unknown outcome, or why nobody looks any more: `late_answer`, `gateway_history`, `webhook`,
    /// `operator`, `resent` or `gave_up`.
    settled_by: Option<String>,
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

/// What became of one contact, try by try.
#[utoipa::path(
    get, path = "/contact/{contact}", operation_id = "contact_history", tag = "contacts", security(("api_key" = []), ("bearer" = []), ("session" = [])),
    params(("contact" = String, Path, description = "Its `contact_id`, or the reference in its message, such as 7K3F9Q")),
    responses((status = 200, description = "The contact", body = ContactHistory), QueueProblems)
)]
async fn show(
    State(context): State<Context>,
    caller: Caller,
    InPath(name): InPath,
) -> Result<Json<ContactHistory>, Problem> {
    let mut transaction = access::begin(&context.pool, caller.tenant_id).await?;
    let history = history(&mut transaction, &caller, name).await?;
    transaction.commit().await?;
    Ok(history)
}

/// What a person says of an unconfirmed contact.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "it describes the body; a form reads it, so that all that is wrong is answered at once")]
struct VerdictRequest {
    #[schema(schema_with = verdict_schema)]
    verdict: String,
    /// Who says so, for the record; the key's id unless given.
    #[schema(min_length = 1, max_length = 200)]
    said_by: Option<String>,
}

/// Decides an unconfirmed contact: it did leave (`confirm`), it is sent once more (`resend`), or it counts as failed
/// (`give_up`). A proof that comes later is believed whatever was said.
#[utoipa::path(
    post, path = "/contact/{contact}/verdict", operation_id = "contact_verdict", tag = "contacts",
    security(("api_key" = []), ("bearer" = []), ("session" = [])),
    params(("contact" = String, Path, description = "Its `contact_id`, or the reference in its message, such as 7K3F9Q")),
    request_body = VerdictRequest,
    responses((status = 200, description = "The contact after it", body = ContactHistory), ControlProblems)
)]
async fn verdict(
    State(context): State<Context>,
    InPath(name): InPath,
    Posted { caller, body, .. }: Posted,
) -> Result<Json<ContactHistory>, Problem> {
    let (verdict, said_by) = read(&body, &caller)?;
    let now = context.clock.now();

    let mut transaction = access::begin(&context.pool, caller.tenant_id).await?;
    let conn = &mut *transaction;
    let contact = contacts::get(conn, caller.tenant_id, name).await?.ok_or_else(|| Problem::of(Code::NotFound))?;
    match contacts::lock_unconfirmed(conn, caller.tenant_id, contact.contact_id, now).await? {
        Locked::Unconfirmed(contact) => verdict.carry_out(conn, &contact, &said_by, &caller, now).await?,
        Locked::Settled(status) => {
            // Perhaps by a proof that was kept, and was believed only now.
            transaction.commit().await?;
            return Err(not_unconfirmed(status, caller.language));
        }
        Locked::Missing => return Err(Problem::of(Code::NotFound)),
    }
    let answer = history(conn, &caller, name).await?;
    let after = serde_json::json!({ "verdict": verdict.as_str(), "said_by": said_by });
    let object = contact.contact_id.to_string();
    caller.record(conn, Change { action: "contact.decided", object, before: None, after: Some(&after) }, now).await?;
    transaction.commit().await?;

    context.rang.notify_one();
    tracing::info!(contact_id = %contact.contact_id, verdict = verdict.as_str(), "an operator decided");
    Ok(answer)
}

#[derive(Clone, Copy)]
enum Verdict {
    Confirm,
    Resend,
    GiveUp,
}

impl Verdict {
    const ALL: [Self; 3] = [Self::Confirm, Self::Resend, Self::GiveUp];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Confirm => "confirm",
            Self::Resend => "resend",
            Self::GiveUp => "give_up",
        }
    }

    async fn carry_out(
        self,
        conn: &mut PgConnection,
        contact: &Unconfirmed,
        said_by: &str,
        caller: &Caller,
        now: DateTime<Utc>,
    ) -> Result<(), Problem> {
        let &Unconfirmed { key, queue_id, queue_status, .. } = contact;
        match self {
            Self::Confirm => {
                let finding = Finding::Left { message_id: None, at: now };
                contacts::learn(conn, key, Source::Operator, &finding, Some(said_by), now).await?;
            }
            Self::Resend if contact.is_to_be_erased => return Err(erased(caller.language)),
            Self::Resend if queue_status == QueueStatus::Cancelled => return Err(queue_cancelled(caller.language)),
            Self::Resend => {
                contacts::resend(conn, contact, now).await?;
                ring(conn, &Doorbell { kind: DoorbellKind::Resume, tenant_id: key.tenant, queue_id }, now).await?;
            }
            Self::GiveUp => contacts::give_up(conn, contact, said_by, now).await?,
        }
        Ok(())
    }
}

fn read(body: &[u8], caller: &Caller) -> Result<(Verdict, String), Problem> {
    let mut form = Form::read(body, caller.language)?;
    let named = form.required_text("verdict", 20);
    let said_by = form.text("said_by", 200).unwrap_or_else(|| caller.name());
    let verdict = Verdict::ALL.into_iter().find(|verdict| verdict.as_str() == named);
    if verdict.is_none() && !named.is_empty() {
        let message =
            caller.language.pick("Valores aceitos: confirm, resend, give_up.", "Use confirm, resend or give_up.");
        form.refuse("verdict", "invalid_value", message);
    }
    form.finish()?;
    Ok((verdict.ok_or_else(|| Problem::of(Code::ValidationFailed))?, said_by))
}

async fn history(conn: &mut PgConnection, caller: &Caller, name: Name) -> Result<Json<ContactHistory>, Problem> {
    let contact = contacts::get(conn, caller.tenant_id, name).await?.ok_or_else(|| Problem::of(Code::NotFound))?;
    let attempts = attempts::of_contact(conn, caller.tenant_id, contact.contact_id).await?;
    let history = attempts.into_iter().map(ContactAttempt::from).collect();
    Ok(Json(ContactHistory { contact: contact.into(), history }))
}

fn not_unconfirmed(status: Status, language: Language) -> Problem {
    let detail = language.pick(
        format!("O contato está no estado \"{status}\"; só um contato \"unconfirmed\" espera uma decisão."),
        format!("The contact is \"{status}\"; only one that is \"unconfirmed\" waits for a verdict."),
    );
    Problem::with_detail(Code::StateConflict, detail).with_member("contact_status", status.as_str())
}

fn queue_cancelled(language: Language) -> Problem {
    let detail = language.pick(
        "A fila foi cancelada; nada mais é enviado por ela. Poste o contato em outro lote.",
        "The queue was cancelled; nothing more is sent through it. Post the contact in another batch.",
    );
    Problem::with_detail(Code::StateConflict, detail.to_owned())
}

fn erased(language: Language) -> Problem {
    let detail = language.pick(
        "Os dados deste contato foram apagados; não há o que enviar.",
        "This contact's data was erased; there is nothing to send.",
    );
    Problem::with_detail(Code::StateConflict, detail.to_owned())
}

fn verdict_schema() -> RefOr<Schema> {
    words(Verdict::ALL.iter().map(|verdict| verdict.as_str()))
}

/// Null while the try is on its way.
fn outcome_schema() -> RefOr<Schema> {
    let nothing = ObjectBuilder::new().schema_type(Type::Null);
    let words = words(["sent", "not_sent", "refused", "unknown"]);
    RefOr::T(OneOfBuilder::new().item(nothing).item(words).into())
}
