//! The contacts of one queue, in the order in which they were posted.

use regua_domain::{ContactStatus as Status, QueueId, TenantId};
use regua_store::access;
use regua_store::contacts::{self, Contact};
use regua_store::queues;
use sqlx::PgPool;
use utoipa::openapi::RefOr;

use crate::callers::Caller;
use crate::http::error::ContactProblems;
use crate::routes::kit::*;

pub(super) fn router() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(list_contacts))
}

items! { page ContactPage of Contact }

fn status_schema() -> RefOr<Schema> {
    <Status as utoipa::PartialSchema>::schema()
}

#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "OpenAPI schema only: `Parameters` reads the query and reports every fault at once")]
struct ContactFilter {
    /// Only contacts in this state.
    #[param(schema_with = status_schema, required = false)]
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
    get, path = "/queue/{queue_id}/contacts", tag = "queues",
    params(("queue_id" = Uuid, Path), ContactFilter),
    responses((status = 200, description = "A page of contacts", body = ContactPage), ContactProblems)
)]
async fn list_contacts(
    State(context): State<Context>,
    caller: Caller,
    InPath(queue): InPath<QueueId>,
    uri: Uri,
) -> Answer<ContactPage> {
    let mut parameters = Parameters::of(&uri, caller.language);
    let status = parameters.word("status", &Status::ALL.map(Status::as_str));
    let after = parameters.cursor();
    let limit = parameters.limit();
    parameters.finish()?;

    let query = ContactQuery { tenant: caller.tenant_id, queue, status, after, limit: limit + 1 };
    let contacts = match context.listings.read(|database| query.read(database)).await? {
        Some(found) => Some(found),
        // A replica may lack a queue that was accepted a moment ago.
        None => query.read(&context.pool).await?,
    };
    Ok(Json(ContactPage::cut(found(contacts)?, limit, |contact| contact.position.to_string())))
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
