//! One queue: its status, and an operator's hand on it.

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use regua_broker::{Doorbell, DoorbellKind, ring};
use regua_domain::{ControlAction, Language, MessageType, QueueId, QueueStatus as Status, StateConflict};
use regua_store::access;
use regua_store::contacts;
use regua_store::queues::{self, LockedQueue, Queue};
use serde::Serialize;
use sqlx::PgConnection;
use utoipa::ToSchema;
use utoipa::openapi::{ArrayBuilder, ObjectBuilder, RefOr, Schema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::InPath;
use crate::Context;
use crate::auth::Caller;
use crate::error::{Code, ControlProblems, Problem, QueueProblems};
use crate::form::Form;
use crate::people::Change;
use crate::posted::Posted;

pub(super) fn router() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(status)).routes(routes!(control))
}

/// The progress of one batch.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct QueueStatus {
    pub(crate) queue_id: Uuid,
    campaign_id: Uuid,
    /// The caller's id of the batch.
    external_id: String,
    name: String,
    #[schema(schema_with = message_type_schema)]
    r#type: String,
    #[schema(schema_with = queue_status_schema)]
    status: String,
    /// Accepted contacts: the sum of pending, sending, sent, failed, unconfirmed, skipped and cancelled.
    total: i32,
    /// To be sent.
    pending: i32,
    /// On their way to the gateway.
    sending: i32,
    /// All that left.
    sent: i32,
    /// Of those, delivered.
    delivered: i32,
    /// Of those, read.
    read: i32,
    /// Refused, or tries used up.
    failed: i32,
    /// Nobody can say whether they left.
    unconfirmed: i32,
    /// A rule said no.
    skipped: i32,
    /// Not sent because the queue was cancelled.
    cancelled: i32,
    /// The share of contacts that are neither pending nor sending, 0 to 1, rounded down to four decimals.
    progress: f64,
    /// The number's pace; it is shared with the other queues of the number.
    rate_per_minute: i32,
    /// When the last message leaves at that pace if the number serves this queue alone, counted from now or from the hour
    /// at which the queue goes on. Null when it is final, paused, waits for its instance, or has nothing pending.
    eta: Option<DateTime<Utc>>,
    /// Why it is in this state, where there is something to say.
    reason: Option<String>,
    /// When it goes on by itself.
    resume_at: Option<DateTime<Utc>>,
    /// The worker that holds the number.
    processing_by: Option<String>,
    /// When that worker was last heard of.
    last_heartbeat: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    started_at: Option<DateTime<Utc>>,
    finished_at: Option<DateTime<Utc>>,
}

impl QueueStatus {
    /// A stored queue as it is shown at `now`.
    pub(crate) fn of(queue: Queue, now: DateTime<Utc>) -> Self {
        Self {
            queue_id: queue.queue_id.0,
            campaign_id: queue.campaign_id.0,
            progress: progress(&queue),
            eta: eta(&queue, now),
            external_id: queue.external_id,
            name: queue.name,
            r#type: queue.message_type,
            status: queue.status,
            total: queue.total,
            pending: queue.pending,
            sending: queue.sending,
            sent: queue.sent,
            delivered: queue.delivered,
            read: queue.read,
            failed: queue.failed,
            unconfirmed: queue.unconfirmed,
            skipped: queue.skipped,
            cancelled: queue.cancelled,
            rate_per_minute: queue.rate_per_minute,
            reason: queue.reason,
            resume_at: queue.resume_at,
            processing_by: queue.processing_by,
            last_heartbeat: queue.last_heartbeat,
            created_at: queue.created_at,
            started_at: queue.started_at,
            finished_at: queue.finished_at,
        }
    }
}

/// How one batch is doing.
#[utoipa::path(
    get, path = "/queue/{queue_id}/status", operation_id = "queue_status", tag = "queues", security(("api_key" = []), ("bearer" = []), ("session" = [])),
    params(("queue_id" = Uuid, Path)),
    responses((status = 200, description = "The queue", body = QueueStatus), QueueProblems)
)]
async fn status(
    State(context): State<Context>,
    caller: Caller,
    InPath(queue): InPath,
) -> Result<Json<QueueStatus>, Problem> {
    let mut transaction = access::begin(&context.pool, caller.tenant_id).await?;
    let answer = shown(&mut transaction, &caller, queue, context.clock.now()).await?;
    transaction.commit().await?;
    Ok(answer)
}

/// What an operator asks of a queue.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "it describes the body; a form reads it, so that all that is wrong is answered at once")]
struct ControlRequest {
    #[schema(schema_with = action_schema)]
    action: String,
}

/// Pauses, resumes or cancels a queue. Asking twice is harmless.
#[utoipa::path(
    post, path = "/queue/{queue_id}/control", operation_id = "control_queue", tag = "queues", security(("api_key" = []), ("bearer" = []), ("session" = [])),
    params(("queue_id" = Uuid, Path)),
    request_body = ControlRequest,
    responses((status = 200, description = "The queue after it", body = QueueStatus), ControlProblems)
)]
async fn control(
    State(context): State<Context>,
    InPath(queue): InPath,
    Posted { caller, body, .. }: Posted,
) -> Result<Json<QueueStatus>, Problem> {
    let action = action(&body, caller.language)?;
    let now = context.clock.now();

    let mut transaction = access::begin(&context.pool, caller.tenant_id).await?;
    let locked = queues::lock(&mut transaction, &[(caller.tenant_id, queue)]).await?;
    let locked = locked.into_iter().next().ok_or_else(|| Problem::of(Code::NotFound))?;
    let after = after(&locked, action, now).map_err(|conflict| explain(conflict, caller.language))?;
    if after != locked.status {
        move_on(&mut transaction, &locked, after, now).await?;
        let (before, after) = (locked.status.as_str(), after.as_str());
        let (before, after) = (serde_json::json!({ "status": before }), serde_json::json!({ "status": after }));
        let (object, before, after) = (queue.to_string(), Some(&before), Some(&after));
        caller.record(&mut transaction, Change { action: "queue.controlled", object, before, after }, now).await?;
    }
    let answer = shown(&mut transaction, &caller, queue, now).await?;
    transaction.commit().await?;

    context.rang.notify_one();
    tracing::info!(action = action.as_str(), before = %locked.status, after = %after, "queue controlled");
    Ok(answer)
}

fn after(queue: &LockedQueue, action: ControlAction, now: DateTime<Utc>) -> Result<Status, StateConflict> {
    let is_scheduled_later = queue.scheduled_for.is_some_and(|scheduled_for| scheduled_for > now);
    queue.status.after(action, is_scheduled_later)
}

/// Moves a locked queue, and what hangs on it.
async fn move_on(
    conn: &mut PgConnection,
    queue: &LockedQueue,
    status: Status,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let &LockedQueue { tenant_id, queue_id, .. } = queue;
    let reason = matches!(status, Status::Paused | Status::Cancelled).then_some("operator");
    queues::set_status(&mut *conn, tenant_id, queue_id, status, reason, now).await?;
    if status == Status::Cancelled {
        contacts::cancel_unsent(&mut *conn, tenant_id, queue_id, now).await?;
    }
    if status.is_runnable() {
        ring(conn, &Doorbell { kind: DoorbellKind::Resume, tenant_id, queue_id }, now).await?;
    }
    Ok(())
}

async fn shown(
    conn: &mut PgConnection,
    caller: &Caller,
    queue: QueueId,
    now: DateTime<Utc>,
) -> Result<Json<QueueStatus>, Problem> {
    let found = queues::get(conn, caller.tenant_id, queue).await?;
    found.map(|queue| Json(QueueStatus::of(queue, now))).ok_or_else(|| Problem::of(Code::NotFound))
}

fn action(body: &[u8], language: Language) -> Result<ControlAction, Problem> {
    let mut form = Form::read(body, language)?;
    let named = form.required_text("action", 20);
    let action = ACTIONS.into_iter().find(|action| action.as_str() == named);
    if action.is_none() && !named.is_empty() {
        let message = language.pick("Valores aceitos: pause, resume, cancel.", "Use pause, resume or cancel.");
        form.refuse("action", "invalid_value", message);
    }
    form.finish()?;
    action.ok_or_else(|| Problem::of(Code::ValidationFailed))
}

const ACTIONS: [ControlAction; 3] = [ControlAction::Pause, ControlAction::Resume, ControlAction::Cancel];

fn explain(conflict: StateConflict, language: Language) -> Problem {
    let (status, action) = (conflict.status.as_str(), conflict.action.as_str());
    let detail = language.pick(
        format!("A fila está no estado \"{status}\", que é final; a ação \"{action}\" não se aplica mais."),
        format!("The queue is \"{status}\", which is final; the action \"{action}\" does not apply any more."),
    );
    Problem::with_detail(Code::StateConflict, detail).with_member("queue_status", status).with_member("action", action)
}

fn progress(queue: &Queue) -> f64 {
    let finished = i64::from(queue.total) - i64::from(queue.pending) - i64::from(queue.sending);
    let ten_thousandths = i32::try_from(finished * 10_000 / i64::from(queue.total).max(1)).unwrap_or_default();
    f64::from(ten_thousandths) / 10_000.0
}

fn eta(queue: &Queue, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let begins = match queue.status.parse().ok()? {
        Status::Pending | Status::Running => now,
        Status::Scheduled => queue.scheduled_for.unwrap_or(now).max(now),
        Status::PausedHours => queue.resume_at.unwrap_or(now).max(now),
        Status::Paused | Status::InstanceDown | Status::Completed | Status::Cancelled | Status::Failed => return None,
    };
    let takes = TimeDelta::minutes(queue.pending.into()) / queue.rate_per_minute.max(1);
    (queue.pending > 0).then(|| (begins + takes).trunc_subsecs(0))
}

/// The three message types, for the OpenAPI document.
pub(crate) fn message_type_schema() -> RefOr<Schema> {
    words(MessageType::ALL.iter().map(|message_type| message_type.as_str()))
}

/// A list of them.
pub(crate) fn message_types_schema() -> RefOr<Schema> {
    RefOr::T(ArrayBuilder::new().items(message_type_schema()).min_items(Some(1)).max_items(Some(3)).into())
}

/// The states of a queue, for the OpenAPI document.
pub(crate) fn queue_status_schema() -> RefOr<Schema> {
    words(Status::ALL.iter().map(|status| status.as_str()))
}

fn action_schema() -> RefOr<Schema> {
    words(ACTIONS.iter().map(|action| action.as_str()))
}

/// A string that is one of these.
pub(crate) fn words(words: impl IntoIterator<Item = &'static str>) -> RefOr<Schema> {
    RefOr::T(ObjectBuilder::new().schema_type(utoipa::openapi::Type::String).enum_values(Some(words)).into())
}

#[cfg(test)]
mod tests;
