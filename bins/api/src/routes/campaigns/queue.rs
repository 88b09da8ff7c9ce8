//! One queue: its status, and pause, resume and cancel.

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use regua_broker::{Doorbell, DoorbellKind, ring};
use regua_domain::{ControlAction, Language, MessageType, QueueId, QueueStatus as Status, StateConflict, Text};
use regua_store::access;
use regua_store::contacts;
use regua_store::queues::{self, LockedQueue, Queue};
use serde::Serialize;
use sqlx::PgConnection;
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::callers::{Caller, Change, Posted};
use crate::context::Context;
use crate::http::error::{ControlProblems, QueueProblems};
use crate::http::schema::{message_type_schema, queue_status_schema, words};
use crate::http::{Code, Form, InPath, Problem};
use crate::routes::choice::choose;

pub(super) fn router() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(status)).routes(routes!(control))
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct QueueStatus {
    pub(crate) queue_id: Uuid,
    campaign_id: Uuid,
    /// The caller's id of the batch.
    external_id: String,
    name: String,
    #[schema(schema_with = message_type_schema)]
    r#type: MessageType,
    #[schema(schema_with = queue_status_schema)]
    status: Status,
    /// Accepted contacts: the sum of pending, sending, sent, failed, unconfirmed, skipped and cancelled.
    total: i32,
    pending: i32,
    sending: i32,
    /// Left, delivered and read ones included.
    sent: i32,
    /// Of the sent contacts, those that were delivered.
    delivered: i32,
    /// Of the sent contacts, those that were read.
    read: i32,
    /// Refused by the gateway, or no attempts left.
    failed: i32,
    /// The last attempt has an unknown outcome: the message may have left.
    unconfirmed: i32,
    /// Not sent because of a rule.
    skipped: i32,
    /// Not sent because the queue was cancelled.
    cancelled: i32,
    /// The share of contacts that are neither pending nor sending, 0 to 1, rounded down to four decimals.
    progress: f64,
    /// The instance's rate, shared by all queues of the instance.
    rate_per_minute: i32,
    /// When the last message leaves at that rate if the instance serves this queue alone, counted from now or from the
    /// time at which the queue resumes. Null when the queue is final, paused, waits for its instance, or has nothing
    /// pending.
    eta: Option<DateTime<Utc>>,
    /// The reason of the state; null when there is none.
    reason: Option<String>,
    /// When the queue resumes without an operator.
    resume_at: Option<DateTime<Utc>>,
    /// The worker that holds the lease on the instance's lane.
    processing_by: Option<String>,
    /// The last heartbeat of that worker.
    last_heartbeat: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    started_at: Option<DateTime<Utc>>,
    finished_at: Option<DateTime<Utc>>,
}

impl QueueStatus {
    pub(crate) fn new(queue: Queue, now: DateTime<Utc>) -> Self {
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

/// The progress of one queue.
#[utoipa::path(
    get, path = "/queue/{queue_id}/status", operation_id = "queue_status", tag = "queues", security(("api_key" = []), ("bearer" = []), ("session" = [])),
    params(("queue_id" = Uuid, Path)),
    responses((status = 200, description = "The queue", body = QueueStatus), QueueProblems)
)]
async fn status(
    State(context): State<Context>,
    caller: Caller,
    InPath(queue): InPath<QueueId>,
) -> Result<Json<QueueStatus>, Problem> {
    let mut transaction = access::begin(&context.pool, caller.tenant_id).await?;
    let answer = current_status(&mut transaction, &caller, queue, context.clock.now()).await?;
    transaction.commit().await?;
    Ok(answer)
}

#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "OpenAPI schema only: `Form` reads the body and reports every fault at once")]
struct ControlRequest {
    #[schema(schema_with = action_schema)]
    action: String,
}

/// Pauses, resumes or cancels a queue. A repeated action changes nothing.
#[utoipa::path(
    post, path = "/queue/{queue_id}/control", operation_id = "control_queue", tag = "queues", security(("api_key" = []), ("bearer" = []), ("session" = [])),
    params(("queue_id" = Uuid, Path)),
    request_body = ControlRequest,
    responses((status = 200, description = "The queue after the action", body = QueueStatus), ControlProblems)
)]
async fn control(
    State(context): State<Context>,
    InPath(queue): InPath<QueueId>,
    Posted { caller, body, .. }: Posted,
) -> Result<Json<QueueStatus>, Problem> {
    let action = read_action(&body, caller.language)?;
    let now = context.clock.now();

    let mut transaction = access::begin(&context.pool, caller.tenant_id).await?;
    let locked = queues::lock(&mut transaction, &[(caller.tenant_id, queue)]).await?;
    let locked = locked.into_iter().next().ok_or_else(|| Problem::of(Code::NotFound))?;
    let after = status_after(&locked, action, now).map_err(state_conflict)?;
    if after != locked.status {
        apply_status(&mut transaction, &locked, after, now).await?;
        let (before, after) = (locked.status.as_str(), after.as_str());
        let (before, after) = (serde_json::json!({ "status": before }), serde_json::json!({ "status": after }));
        let (object, before, after) = (queue.to_string(), Some(&before), Some(&after));
        caller.record(&mut transaction, Change { action: "queue.controlled", object, before, after }, now).await?;
    }
    let answer = current_status(&mut transaction, &caller, queue, now).await?;
    transaction.commit().await?;

    context.relay_wakeup.notify_one();
    tracing::info!(action = action.as_str(), before = %locked.status, after = %after, "queue controlled");
    Ok(answer)
}

fn status_after(queue: &LockedQueue, action: ControlAction, now: DateTime<Utc>) -> Result<Status, StateConflict> {
    let is_scheduled_later = queue.scheduled_for.is_some_and(|scheduled_for| scheduled_for > now);
    queue.status.after(action, is_scheduled_later)
}

/// Writes the new status; a cancelled queue cancels its unsent contacts, and a runnable one rings.
async fn apply_status(
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
        ring(conn, &Doorbell::Queue { kind: DoorbellKind::Resume, tenant_id, queue_id }, now).await?;
    }
    Ok(())
}

async fn current_status(
    conn: &mut PgConnection,
    caller: &Caller,
    queue: QueueId,
    now: DateTime<Utc>,
) -> Result<Json<QueueStatus>, Problem> {
    let found = queues::get(conn, caller.tenant_id, queue).await?;
    found.map(|queue| Json(QueueStatus::new(queue, now))).ok_or_else(|| Problem::of(Code::NotFound))
}

fn read_action(body: &[u8], language: Language) -> Result<ControlAction, Problem> {
    let mut form = Form::read(body, language)?;
    let text = form.required_text("action", 20);
    let action = choose(&mut form, "action", &text, &ACTIONS, ControlAction::as_str);
    form.finish()?;
    action.ok_or_else(|| Problem::of(Code::ValidationFailed))
}

const ACTIONS: [ControlAction; 3] = [ControlAction::Pause, ControlAction::Resume, ControlAction::Cancel];

fn state_conflict(conflict: StateConflict) -> Problem {
    let (status, action) = (conflict.status.as_str(), conflict.action.as_str());
    Problem::with_detail(Code::StateConflict, Text::of("queue-final").with("status", status).with("action", action))
        .with_member("queue_status", status)
        .with_member("action", action)
}

fn progress(queue: &Queue) -> f64 {
    let finished = i64::from(queue.total) - i64::from(queue.pending) - i64::from(queue.sending);
    let ten_thousandths = i32::try_from(finished * 10_000 / i64::from(queue.total).max(1)).unwrap_or_default();
    f64::from(ten_thousandths) / 10_000.0
}

fn eta(queue: &Queue, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let start = match queue.status {
        Status::Pending | Status::Running => now,
        Status::Scheduled => queue.scheduled_for.unwrap_or(now).max(now),
        Status::PausedHours => queue.resume_at.unwrap_or(now).max(now),
        Status::Paused | Status::InstanceDown | Status::Completed | Status::Cancelled | Status::Failed => return None,
    };
    let duration = TimeDelta::minutes(queue.pending.into()) / queue.rate_per_minute.max(1);
    (queue.pending > 0).then(|| (start + duration).trunc_subsecs(0))
}

fn action_schema() -> RefOr<Schema> {
    words(ACTIONS.iter().map(|action| action.as_str()))
}

#[cfg(test)]
mod tests;
