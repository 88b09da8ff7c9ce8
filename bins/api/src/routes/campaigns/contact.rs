//! One contact: its attempts, and the operator decision about an unconfirmed contact.

use regua_broker::{Doorbell, DoorbellKind, ring};
use regua_domain::{ContactId, ContactStatus as Status, EvidenceSource, QueueStatus, Reference};
use regua_store::access;
use regua_store::attempts::{self, Attempt};
use regua_store::contacts::{self, Contact, Evidence, Locked, Name, Unconfirmed};

use crate::callers::{Caller, Posted};
use crate::http::error::{ControlProblems, QueueProblems};
use crate::routes::kit::*;

pub(super) fn router() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(contact_history)).routes(routes!(contact_verdict))
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
    contact: Contact,
    /// Attempts, oldest first.
    history: Vec<Attempt>,
}

/// The status of one contact, with its attempts.
#[utoipa::path(
    get, path = "/contact/{contact}", tag = "contacts",
    params(("contact" = String, Path, description = "`contact_id`, or the reference in the message, such as 7K3F9Q")),
    responses((status = 200, description = "The contact", body = ContactHistory), QueueProblems)
)]
async fn contact_history(
    State(context): State<Context>,
    caller: Caller,
    InPath(name): InPath<Name>,
) -> Answer<ContactHistory> {
    let mut transaction = access::begin(&context.pool, caller.tenant_id).await?;
    let history = history(&mut transaction, &caller, name).await?;
    transaction.commit().await?;
    Ok(history)
}

body! {
    @closed struct VerdictRequest {
        verdict: OperatorDecision,
        /// Who decides, for the audit log. Default: the id of the API key, or the user's e-mail address.
        said_by: Option<Line<1, 200>>,
    }
}

/// Decides about an unconfirmed contact: its message left (`confirm`), it is sent once more (`resend`), or it counts as
/// failed (`give_up`). Evidence that arrives later overrides the decision.
#[utoipa::path(
    post, path = "/contact/{contact}/verdict", tag = "contacts",
    params(("contact" = String, Path, description = "`contact_id`, or the reference in the message, such as 7K3F9Q")),
    request_body = VerdictRequest,
    responses((status = 200, description = "The contact after the decision", body = ContactHistory), ControlProblems)
)]
async fn contact_verdict(
    State(context): State<Context>,
    InPath(name): InPath<Name>,
    Posted { caller, body, .. }: Posted,
) -> Answer<ContactHistory> {
    let VerdictRequest { verdict: decision, said_by } =
        Draft::<VerdictRequest>::parse(&body, caller.language)?.finish()?;
    let said_by = said_by.unwrap_or_else(|| caller.name());
    let now = context.clock.now();

    let mut transaction = access::begin(&context.pool, caller.tenant_id).await?;
    let conn = &mut *transaction;
    let contact = found(contacts::get(conn, caller.tenant_id, name).await?)?;
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
    caller.record(conn, Change::new("contact.decided", contact.contact_id, &(), &after)?, now).await?;
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

word_members! { OperatorDecision = [OperatorDecision::Confirm, OperatorDecision::Resend, OperatorDecision::GiveUp]; }

impl OperatorDecision {
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
            Self::Resend if contact.is_to_be_erased => return Err(Problem::conflict(Text::of("contact-data-erased"))),
            Self::Resend if queue_status == QueueStatus::Cancelled => {
                return Err(Problem::conflict(Text::of("contact-queue-cancelled")));
            }
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

async fn history(conn: &mut PgConnection, caller: &Caller, name: Name) -> Answer<ContactHistory> {
    let contact = found(contacts::get(conn, caller.tenant_id, name).await?)?;
    let history = attempts::list(conn, caller.tenant_id, contact.contact_id).await?;
    Ok(Json(ContactHistory { contact, history }))
}

fn not_unconfirmed(status: Status) -> Problem {
    let problem = Problem::conflict(Text::of("contact-not-unconfirmed").with("status", status));
    problem.with_member("contact_status", status.as_str())
}
