//! One queue: its status, and pause, resume and cancel.

use chrono::{SubsecRound, TimeDelta};
use regua_broker::{Doorbell, DoorbellKind, ring};
use regua_domain::{ControlAction, QueueId, QueueStatus as Status, StateConflict};
use regua_store::contacts;
use regua_store::queues::{self, LockedQueue, Queue};

use crate::callers::Caller;
use crate::http::error::{ControlProblems, QueueProblems};
use crate::routes::kit::*;

pub(super) fn router() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(queue_status)).routes(routes!(control_queue))
}

/// The queue with its progress and the time at which its last message leaves.
pub(super) fn with_progress(queue: Queue, now: DateTime<Utc>) -> Queue {
    Queue { progress: progress(&queue), eta: eta(&queue, now), ..queue }
}

/// The progress of one queue.
#[utoipa::path(
    get, path = "/queue/{queue_id}/status", tag = "queues",
    params(("queue_id" = Uuid, Path)),
    responses((status = 200, description = "The queue", body = Queue), QueueProblems)
)]
async fn queue_status(caller: Caller, InPath(queue): InPath<QueueId>) -> Answer<Queue> {
    record_field("queue_id", queue);
    caller.transact(async |conn, now| current_status(conn, &caller, queue, now).await).await.map(Json)
}

body! {
    @closed struct ControlRequest {
        action: ControlAction,
    }
}

word_members! { ControlAction = ControlAction::ALL; }

/// Pauses, resumes or cancels a queue. A repeated action changes nothing.
#[utoipa::path(
    post, path = "/queue/{queue_id}/control", tag = "queues",
    params(("queue_id" = Uuid, Path)),
    request_body = ControlRequest,
    responses((status = 200, description = "The queue after the action", body = Queue), ControlProblems)
)]
async fn control_queue(
    InPath(queue): InPath<QueueId>,
    caller: Caller,
    Valid(ControlRequest { action }): Valid<ControlRequest>,
) -> Answer<Queue> {
    record_field("queue_id", queue);
    let work = async |conn: &mut PgConnection, now| {
        let locked = queues::lock(conn, &[(caller.tenant_id, queue)]).await?;
        let locked = found(locked.into_iter().next())?;
        let after = status_after(&locked, action, now).map_err(state_conflict)?;
        if after != locked.status {
            apply_status(conn, &locked, after, now).await?;
            let (before, after) = (json!({ "status": locked.status }), json!({ "status": after }));
            caller.record(conn, "queue.controlled", queue, (&before, &after), now).await?;
        }
        Ok((locked.status, current_status(conn, &caller, queue, now).await?))
    };
    let (before, answer) = caller.transact(work).await?;
    caller.context.relay_wakeup.notify_one();
    tracing::info!(action = action.as_str(), %before, after = %answer.status, "queue controlled");
    Ok(Json(answer))
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

/// The queue with its progress.
async fn current_status(
    conn: &mut PgConnection,
    caller: &Caller,
    queue: QueueId,
    now: DateTime<Utc>,
) -> Result<Queue, Problem> {
    Ok(with_progress(found(queues::get(conn, caller.tenant_id, queue).await?)?, now))
}

fn state_conflict(conflict: StateConflict) -> Problem {
    let (status, action) = (conflict.status.as_str(), conflict.action.as_str());
    Problem::conflict(Text::of("queue-final").with("status", status).with("action", action))
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

#[cfg(test)]
mod tests;
