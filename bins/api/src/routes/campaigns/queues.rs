//! A tenant's queues, newest first.

use regua_domain::{MessageType, QueueStatus as Status};
use regua_store::PageRows;
use regua_store::queues::{self, Page, Queue};

use super::queue::with_progress;
use crate::callers::Caller;
use crate::http::error::ListProblems;
use crate::routes::kit::*;

pub(super) fn router() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(list_queues))
}

items! { page QueuePage of Queue }

#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "OpenAPI schema only: `Parameters` reads the query and reports every fault at once")]
struct QueueFilter {
    /// Only queues of this type.
    #[param(schema_with = <MessageType as utoipa::PartialSchema>::schema, required = false)]
    r#type: Option<String>,
    /// Only queues in this state.
    #[param(schema_with = <Status as utoipa::PartialSchema>::schema, required = false)]
    status: Option<String>,
    /// `next_cursor` of the previous page.
    cursor: Option<Uuid>,
    /// Items of a page, 1 to 1000. Default: 100.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<i64>,
}

/// The tenant's queues, newest first.
#[utoipa::path(
    get, path = "/queues", tag = "queues", params(QueueFilter),
    responses((status = 200, description = "A page of queues", body = QueuePage), ListProblems)
)]
async fn list_queues(caller: Caller, uri: Uri) -> Answer<QueuePage> {
    let mut parameters = Parameters::of(&uri, caller.language);
    let filter = Page {
        only: None,
        message_type: parameters.word("type", &MessageType::ALL.map(MessageType::as_str)),
        status: parameters.word("status", &Status::ALL.map(Status::as_str)),
        after: parameters.cursor(),
        limit: parameters.limit(),
    };
    parameters.finish()?;

    let work = async |conn: &mut PgConnection| queues::list(conn, caller.tenant_id, &filter).await;
    let PageRows { rows, has_more } = caller.list(work).await?;
    let now = caller.context.clock.now();
    let rows = rows.into_iter().map(|queue| with_progress(queue, now)).collect();
    Ok(Json(QueuePage::of(PageRows { rows, has_more }, |queue| queue.queue_id.to_string())))
}
