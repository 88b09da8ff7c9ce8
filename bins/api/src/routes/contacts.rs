//! The contacts of one queue, in the order in which they were posted.

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use chrono::{DateTime, Utc};
use regua_domain::{ContactStatus as Status, QueueId, TenantId};
use regua_store::access;
use regua_store::contacts::{self, Contact};
use regua_store::queues;
use serde::Serialize;
use serde_json::Value;
use sqlx::PgPool;
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::queue::words;
use super::{InPath, Parameters, page};
use crate::Context;
use crate::auth::Caller;
use crate::error::{Code, ContactProblems, Problem};

pub(super) fn router() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(list))
}

/// What became of one contact.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ContactStatus {
    /// Ours, for `GET /contact/{contact}`.
    contact_id: uuid::Uuid,
    /// The caller's id.
    external_id: Option<String>,
    /// In E.164; empty once it was erased.
    phone: String,
    #[schema(schema_with = contact_status_schema)]
    status: String,
    /// The short reference in its message; it names the contact as its id does.
    reference: String,
    /// Which of the template's wordings was used, from 1.
    variation: i16,
    /// Tries so far.
    attempts: i16,
    /// Of them, those that were made because nobody could say whether an earlier one left.
    resends: i16,
    /// The rule or the gateway's reason behind the last change.
    reason: Option<String>,
    /// The message's id at WhatsApp.
    message_id: Option<String>,
    sent_at: Option<DateTime<Utc>>,
    delivered_at: Option<DateTime<Utc>>,
    read_at: Option<DateTime<Utc>>,
    /// The caller's own, as it was posted.
    #[schema(value_type = Object)]
    metadata: Value,
    /// When the person's data was erased; null: it was not.
    erased_at: Option<DateTime<Utc>>,
}

impl From<Contact> for ContactStatus {
    fn from(contact: Contact) -> Self {
        Self {
            contact_id: contact.contact_id.0,
            external_id: contact.external_id,
            phone: contact.phone,
            status: contact.status,
            reference: contact.reference,
            variation: contact.variation,
            attempts: contact.attempts,
            resends: contact.resends,
            reason: contact.reason,
            message_id: contact.message_id,
            sent_at: contact.sent_at,
            delivered_at: contact.delivered_at,
            read_at: contact.read_at,
            metadata: contact.metadata,
            erased_at: contact.erased_at,
        }
    }
}

/// A page of contacts.
#[derive(Debug, Serialize, ToSchema)]
struct ContactPage {
    items: Vec<ContactStatus>,
    /// For the next page; null on the last one.
    next_cursor: Option<String>,
}

/// What a listing is narrowed down to.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(
    dead_code,
    reason = "it describes the parameters; they are read one by one, so that all that is wrong is said"
)]
struct ContactFilter {
    /// Only in this state.
    #[param(schema_with = contact_status_schema, required = false)]
    status: Option<String>,
    /// The page before's `next_cursor`.
    #[param(pattern = r"^[0-9]{1,9}$")]
    cursor: Option<String>,
    /// Items of a page: 1 to 1000, usually 100.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<i64>,
}

/// The contacts of one queue, in the order in which they were posted.
#[utoipa::path(
    get, path = "/queue/{queue_id}/contacts", operation_id = "list_contacts", tag = "queues", security(("api_key" = []), ("bearer" = []), ("session" = [])),
    params(("queue_id" = uuid::Uuid, Path), ContactFilter),
    responses((status = 200, description = "A page of contacts", body = ContactPage), ContactProblems)
)]
async fn list(
    State(context): State<Context>,
    caller: Caller,
    InPath(queue): InPath,
    uri: Uri,
) -> Result<Json<ContactPage>, Problem> {
    let mut parameters = Parameters::of(&uri, caller.language);
    let status = parameters.word("status", &Status::ALL.map(Status::as_str));
    let after = parameters.cursor();
    let limit = parameters.limit();
    parameters.finish()?;

    let wanted = Wanted { tenant: caller.tenant_id, queue, status, after, limit: limit + 1 };
    let found = match context.listings.read(|database| wanted.read(database)).await? {
        Some(found) => Some(found),
        // A replica may not know yet what was accepted a moment ago.
        None => wanted.read(&context.pool).await?,
    };
    let found = found.ok_or_else(|| Problem::of(Code::NotFound))?;
    let (found, next_cursor) = page(found, limit, |contact| contact.position.to_string());
    Ok(Json(ContactPage { items: found.into_iter().map(ContactStatus::from).collect(), next_cursor }))
}

fn contact_status_schema() -> RefOr<Schema> {
    words(Status::ALL.iter().map(|status| status.as_str()))
}

struct Wanted {
    tenant: TenantId,
    queue: QueueId,
    status: Option<Status>,
    after: Option<i32>,
    limit: i64,
}

impl Wanted {
    /// None where there is no such queue.
    async fn read(&self, database: &PgPool) -> Result<Option<Vec<Contact>>, sqlx::Error> {
        let Self { tenant, queue, status, after, limit } = *self;
        let mut transaction = access::begin(database, tenant).await?;
        let found = match queues::instance_of(&mut transaction, tenant, queue).await? {
            Some(_) => Some(contacts::list(&mut transaction, tenant, queue, status, after, limit).await?),
            None => None,
        };
        transaction.commit().await?;
        Ok(found)
    }
}
