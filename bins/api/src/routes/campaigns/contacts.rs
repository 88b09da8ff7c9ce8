//! The contacts of one queue, in the order in which they were posted.

use regua_domain::{ContactStatus as Status, QueueId};
use regua_store::contacts::{self, Contact};
use regua_store::queues;

use crate::callers::Caller;
use crate::http::error::ContactProblems;
use crate::routes::kit::*;

pub(super) fn router() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(list_contacts))
}

items! { page ContactPage of Contact }

#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "OpenAPI schema only: `Parameters` reads the query and reports every fault at once")]
struct ContactFilter {
    /// Only contacts in this state.
    #[param(schema_with = <Status as utoipa::PartialSchema>::schema, required = false)]
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
async fn list_contacts(caller: Caller, InPath(queue): InPath<QueueId>, uri: Uri) -> Answer<ContactPage> {
    record_field("queue_id", queue);
    let mut parameters = Parameters::of(&uri, caller.language);
    let status = parameters.word("status", &Status::ALL.map(Status::as_str));
    let (after, limit) = (parameters.cursor(), parameters.limit());
    parameters.finish()?;

    let tenant = caller.tenant_id;
    let work = async |conn: &mut PgConnection| match queues::instance_of(conn, tenant, queue).await? {
        Some(_) => contacts::list(conn, tenant, queue, status, after, limit).await.map(Some),
        None => Ok(None),
    };
    let contacts = match caller.list(work).await? {
        Some(found) => found,
        // A replica may lack a queue that was accepted a moment ago.
        None => found(caller.read(work).await?)?,
    };
    Ok(Json(ContactPage::of(contacts, |contact| contact.position.to_string())))
}
