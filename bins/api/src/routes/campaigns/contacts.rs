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

use crate::callers::Caller;
use crate::context::Context;
use crate::http::error::ContactProblems;
use crate::http::schema::words;
use crate::http::{Code, InPath, Parameters, Problem, page};

pub(super) fn router() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(list))
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ContactStatus {
    /// For `GET /contact/{contact}`.
    contact_id: uuid::Uuid,
    /// The ERP's id.
    external_id: Option<String>,
    /// In E.164; empty after erasure.
    phone: String,
    #[schema(schema_with = contact_status_schema)]
    status: Status,
    /// The short code in the message. The API accepts it in place of `contact_id`.
    reference: String,
    /// Number of the template's variation, from 1.
    variation: i16,
    /// Number of attempts so far.
    attempts: i16,
    /// Number of attempts that followed an attempt with unknown outcome.
    resends: i16,
    /// The rule or the gateway's reason for the last change.
    reason: Option<String>,
    /// The message's id at WhatsApp.
    message_id: Option<String>,
    sent_at: Option<DateTime<Utc>>,
    delivered_at: Option<DateTime<Utc>>,
    read_at: Option<DateTime<Utc>>,
    #[schema(value_type = Object)]
    metadata: Value,
    /// When the debtor's data was erased; null while it is not.
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

#[derive(Debug, Serialize, ToSchema)]
struct ContactPage {
    items: Vec<ContactStatus>,
    /// Cursor of the next page; null on the last page.
    next_cursor: Option<String>,
}

#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "OpenAPI schema only: `Parameters` reads the query and reports every fault at once")]
struct ContactFilter {
    /// Only contacts in this state.
    #[param(schema_with = contact_status_schema, required = false)]
    status: Option<String>,
    /// `next_cursor` of the previous page.
    #[param(pattern = r"^[0-9]{1,9}$")]
    cursor: Option<String>,
    /// Items of a page, 1 to 1000. Default: 100.
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
    InPath(queue): InPath<QueueId>,
    uri: Uri,
) -> Result<Json<ContactPage>, Problem> {
    let mut parameters = Parameters::of(&uri, caller.language);
    let status = parameters.word("status", &Status::ALL.map(Status::as_str));
    let after = parameters.cursor();
    let limit = parameters.limit();
    parameters.finish()?;

    let query = ContactQuery { tenant: caller.tenant_id, queue, status, after, limit: limit + 1 };
    let found = match context.listings.read(|database| query.read(database)).await? {
        Some(found) => Some(found),
        // A replica may lack a queue that was accepted a moment ago.
        None => query.read(&context.pool).await?,
    };
    let found = found.ok_or_else(|| Problem::of(Code::NotFound))?;
    let (found, next_cursor) = page(found, limit, |contact| contact.position.to_string());
    Ok(Json(ContactPage { items: found.into_iter().map(ContactStatus::from).collect(), next_cursor }))
}

fn contact_status_schema() -> RefOr<Schema> {
    words(Status::ALL.iter().map(|status| status.as_str()))
}

struct ContactQuery {
    tenant: TenantId,
    queue: QueueId,
    status: Option<Status>,
    after: Option<i32>,
    limit: i64,
}

impl ContactQuery {
    /// None when the queue does not exist.
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
