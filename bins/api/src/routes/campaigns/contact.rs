//! One contact: its attempts, and the operator decision about an unconfirmed contact.

use regua_broker::{Doorbell, DoorbellKind, ring};
use regua_domain::{ContactStatus as Status, EvidenceSource, OperatorDecision, QueueStatus};
use regua_store::attempts::{self, Attempt};
use regua_store::contacts::{self, Contact, ContactKey, Evidence, Locked, Unconfirmed};

use crate::callers::Caller;
use crate::http::error::{ControlProblems, QueueProblems};
use crate::routes::kit::*;

pub(super) fn router() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(contact_history)).routes(routes!(contact_verdict))
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
async fn contact_history(caller: Caller, InPath(key): InPath<ContactKey>) -> Answer<ContactHistory> {
    caller.read(async |conn| history(conn, &caller, key).await).await.map(Json)
}

word_members! { OperatorDecision = OperatorDecision::ALL; }

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
    InPath(key): InPath<ContactKey>,
    caller: Caller,
    Valid(VerdictRequest { verdict: decision, said_by }): Valid<VerdictRequest>,
) -> Answer<ContactHistory> {
    let said_by = said_by.unwrap_or_else(|| caller.name.clone());
    let work = async |conn: &mut PgConnection, now| {
        let id = found(contacts::get(conn, caller.tenant_id, key).await?)?.contact_id;
        match contacts::lock_unconfirmed(conn, caller.tenant_id, id, now).await? {
            Locked::Unconfirmed(contact) => apply(conn, decision, &contact, &said_by, now).await?,
            // Locking the contact applies stored evidence, which may have changed its status: commit it.
            Locked::OtherState(status) => return Ok(Err(not_unconfirmed(status))),
            Locked::Missing => return Err(Problem::of(Code::NotFound)),
        }
        let after = json!({ "verdict": decision.as_str(), "said_by": said_by });
        caller.record(conn, "contact.decided", id, (&(), &after), now).await?;
        history(conn, &caller, key).await.map(Ok)
    };
    let answer = caller.transact(work).await??;
    caller.context.relay_wakeup.notify_one();
    let contact_id = answer.contact.contact_id;
    tracing::info!(%contact_id, verdict = decision.as_str(), "operator decision applied");
    Ok(Json(answer))
}

async fn apply(
    conn: &mut PgConnection,
    decision: OperatorDecision,
    contact: &Unconfirmed,
    said_by: &str,
    now: DateTime<Utc>,
) -> Result<(), Problem> {
    let &Unconfirmed { key, queue_id, queue_status, .. } = contact;
    match decision {
        OperatorDecision::Confirm => {
            let evidence = Evidence::Left { message_id: None, at: now };
            contacts::learn(conn, key, EvidenceSource::Operator, &evidence, Some(said_by), now).await?;
        }
        OperatorDecision::Resend => {
            refuse_unless(!contact.is_to_be_erased, Text::of("contact-data-erased"))?;
            refuse_unless(queue_status != QueueStatus::Cancelled, Text::of("contact-queue-cancelled"))?;
            contacts::resend(conn, contact, now).await?;
            let kind = DoorbellKind::Resume;
            ring(conn, &Doorbell::Queue { kind, tenant_id: key.tenant, queue_id }, now).await?;
        }
        OperatorDecision::GiveUp => contacts::give_up(conn, contact, said_by, now).await?,
    }
    Ok(())
}

async fn history(conn: &mut PgConnection, caller: &Caller, key: ContactKey) -> Result<ContactHistory, Problem> {
    let contact = found(contacts::get(conn, caller.tenant_id, key).await?)?;
    let history = attempts::list(conn, caller.tenant_id, contact.contact_id).await?;
    Ok(ContactHistory { contact, history })
}

fn not_unconfirmed(status: Status) -> Problem {
    let problem = Problem::conflict(Text::of("contact-not-unconfirmed").with("status", status));
    problem.with_member("contact_status", status.as_str())
}
