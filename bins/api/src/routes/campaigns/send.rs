//! Accepts batches: stores a campaign with its doorbell in one transaction. Reading and composing are in `intake`.

mod answer;

use std::sync::Arc;

use anyhow::anyhow;
use axum::Json;
use axum::response::{IntoResponse, Response};
use fail::fail_point;
use regua_broker::Doorbell;
use regua_domain::{CampaignId, MessageType, QueueId, TenantId, Text};
use regua_store::access;
use regua_store::intake::{self, AcceptedBatch, BatchRequest, Insertion, NewCampaign, NewContacts};
use serde_json::value::RawValue;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::answer::{DryRun, SendAccepted};
use crate::callers::Posted;
use crate::context::Context;
use crate::http::error::BatchProblems;
use crate::http::work::compute;
use crate::http::{ACCEPTED, Code, Problem, record_field};
use crate::intake::batch::{Batch, SendRequest};
use crate::intake::compose::{Composed, Composer, Uncomposed};
use crate::intake::plan::Plan;
use crate::limits::{Computations, Permit, Refused, TenantTransaction};

pub(super) fn router() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(overdue)).routes(routes!(upcoming)).routes(routes!(notification))
}

/// The handler of one message type. Its doc comment is the text of the OpenAPI operation.
macro_rules! send_route {
    ($(#[$doc:meta])* $handler:ident, $message_type:ident, $path:tt, $operation:tt) => {
        $(#[$doc])*
        #[utoipa::path(
            post, path = $path, operation_id = $operation, tag = "send", security(("api_key" = [])), request_body = SendRequest,
            responses(
                (status = 202, description = "Accepted", body = SendAccepted),
                (status = 200, description = "Accepted before, or a dry run", body = inline(answer::StoredNothing)),
                BatchProblems
            )
        )]
        async fn $handler(posted: Posted) -> Result<Response, Problem> {
            send(MessageType::$message_type, posted).await
        }
    };
}

send_route! {
    /// Accepts a batch about bills that are past their due date.
    ///
    /// Messages keep business hours and go before those of the other types. A batch that was accepted before
    /// is not stored again; its answer has `replayed`.
    overdue, Overdue, "/send/overdue", "send_overdue"
}

send_route! {
    /// Accepts a batch about bills that will fall due.
    ///
    /// Messages keep business hours. A batch that was accepted before is not stored again; its answer has `replayed`.
    upcoming, Upcoming, "/send/upcoming", "send_upcoming"
}

send_route! {
    /// Accepts a batch of other notices. Messages go at any hour and need no bill.
    ///
    /// A batch that was accepted before is not stored again; its answer has `replayed`.
    notification, Notification, "/send/notification", "send_notification"
}

/// Reads the batch, answers a replay, composes the messages and stores them.
pub(crate) async fn send(
    message_type: MessageType,
    Posted { caller, body, memory }: Posted,
) -> Result<Response, Problem> {
    let context = &caller.context;
    record_field("template_type", message_type);
    let api_key_id = caller.may_send(message_type)?;
    let (now, language, computations) = (context.clock.now(), caller.language, &context.limits.computations);
    let is_large = Computations::is_large(body.len());
    let large = if is_large { Some(computations.wait_large(caller.tenant_id).await?) } else { None };
    let small = if large.is_none() { Some(computations.wait_small(caller.tenant_id).await?) } else { None };
    let is_small = small.is_some();
    // The request keeps them until the batch is stored, and each computation until it ends.
    let permits = Arc::new((Arc::clone(&caller.permit), memory, large));
    let held = (Arc::clone(&permits), small);
    let mut batch = compute(held, move |_| Batch::parse(&body, message_type, language, now)).await??;

    let mut transaction = context.database.begin_intake(caller.tenant_id).await?;
    let found = intake::plan_batch(&mut transaction, batch.request(caller.tenant_id, message_type)).await?;
    if !batch.dry_run
        && let Some(accepted) = found.accepted
    {
        return replay(context, &batch, accepted);
    }
    let (plan, composer) = Plan::new(found, &caller, api_key_id, &batch, message_type, now)?;
    let (open, small) = permit_to_compose(computations, transaction, caller.tenant_id, is_small).await?;
    let contacts = std::mem::take(&mut batch.contacts);
    let messages = compose((Arc::clone(&permits), small), composer, contacts, &plan, batch.dry_run).await?;
    if messages.composed.accepted == 0 {
        let rejected = messages.composed.rejected.into_iter().map(Into::into).collect();
        return Err(Problem::with_errors(Code::NoValidContact, rejected));
    }
    if batch.dry_run {
        return Ok(Json(DryRun::new(messages.composed, &plan)).into_response());
    }
    store(context, &batch, &plan, messages, open).await
}

/// The permit of a small batch, and the transaction in which it is stored. The next transaction holds no lock yet; but
/// where the permit is not free at once, and for a large batch, no transaction is open meanwhile.
async fn permit_to_compose(
    computations: &Computations,
    mut transaction: TenantTransaction,
    tenant_id: TenantId,
    is_small: bool,
) -> Result<(Option<TenantTransaction>, Option<Permit>), Problem> {
    if !is_small {
        transaction.commit().await?;
        return Ok((None, None));
    }
    access::begin_next(&mut transaction, tenant_id).await?;
    if let Some(permit) = computations.take_small(tenant_id).await {
        return Ok((Some(transaction), Some(permit)));
    }
    transaction.commit().await?;
    Ok((None, Some(computations.wait_small(tenant_id).await?)))
}

/// The composed messages of a batch.
struct Messages {
    queue_id: QueueId,
    /// Its contacts are the first ones, and for a dry run all.
    composed: Composed,
    /// Insert the other contacts.
    later: Vec<Insertion>,
}

/// Composes and encodes the messages. A caller that disconnects stops it.
async fn compose(
    permits: impl Send + 'static,
    composer: Composer,
    contacts: Vec<Option<Box<RawValue>>>,
    plan: &Plan,
    dry_run: bool,
) -> Result<Messages, Problem> {
    let &Plan { tenant_id, now, due_at, .. } = plan;
    let queue_id = QueueId::new(now);
    let messages = compute(permits, move |stop| {
        let mut composed = composer.compose(contacts, stop)?;
        let rows = &mut composed.contacts;
        let later = if dry_run { Vec::new() } else { intake::insertions(tenant_id, queue_id, rows, due_at, now) };
        Ok(Messages { queue_id, composed, later })
    });
    messages.await?.map_err(|uncomposed| match uncomposed {
        Uncomposed::CostlySchema => {
            let detail = Text::of("batch-schema-too-costly").with("name", &plan.template_name);
            Problem::with_detail(Code::SchemaTooCostly, detail)
        }
        Uncomposed::Schema(error) => Problem::internal(error),
        // The caller of a stopped batch is gone, so this answer is not sent.
        Uncomposed::Stopped | Uncomposed::OutOfTime => Refused::TooBusy.into(),
    })
}

/// Stores campaign, queue, contacts and doorbell in one transaction: `open`, or a new one.
async fn store(
    context: &Context,
    batch: &Batch,
    plan: &Plan,
    messages: Messages,
    open: Option<TenantTransaction>,
) -> Result<Response, Problem> {
    let &Plan { tenant_id, now, message_type, .. } = plan;
    let Messages { queue_id, composed, later } = messages;
    let campaign_id = CampaignId::new(now);
    let accepted = SendAccepted::new(context, campaign_id, queue_id, plan, &composed)?;
    let (rows, rejected) = (composed.contacts, composed.rejected.len());
    let mut transaction = match open {
        Some(open) => open,
        None => context.database.begin_intake(tenant_id).await?,
    };
    let new = new_campaign(batch, plan, campaign_id, queue_id, &accepted, &rows);
    if !intake::create(&mut transaction, &new, now).await? {
        // Another request has just committed the same batch.
        let request = BatchRequest { references: 0, ..batch.request(tenant_id, message_type) };
        let first = intake::plan_batch(&mut transaction, request).await?.accepted;
        let first = first.ok_or_else(|| Problem::internal(anyhow!("the batch that was accepted first is missing")))?;
        return replay(context, batch, first);
    }
    for insertion in later {
        insertion.execute(&mut transaction).await?;
    }
    fail_point!("intake::before_commit");
    transaction.commit().await?;
    fail_point!("intake::committed");

    context.relay_wakeup.notify_one();
    record_field("billing_campaign_id", campaign_id);
    record_field("queue_id", queue_id);
    let labels = [tenant_id.to_string(), message_type.to_string()];
    context.metrics.contacts_accepted.with_label_values(&labels).inc_by(f64::from(accepted.accepted));
    tracing::info!(accepted = accepted.accepted, rejected, "batch accepted");
    Ok((ACCEPTED, Json(accepted)).into_response())
}

fn new_campaign<'a>(
    batch: &'a Batch,
    plan: &Plan,
    campaign_id: CampaignId,
    queue_id: QueueId,
    accepted: &'a SendAccepted,
    contacts: &'a NewContacts,
) -> NewCampaign<'a> {
    let (tenant_id, kind) = (plan.tenant_id, plan.message_type.into());
    NewCampaign {
        tenant_id,
        campaign_id,
        queue_id,
        external_id: &batch.external_id,
        name: &batch.name,
        message_type: plan.message_type,
        template_id: plan.template,
        instance_id: plan.instance,
        api_key_id: plan.api_key_id,
        body_hash: &batch.fingerprint,
        rejected: &accepted.rejected,
        warnings: &accepted.warnings,
        metadata: &batch.metadata,
        scheduled_for: batch.scheduled_for,
        contacts,
        total: accepted.accepted,
        due_at: plan.due_at,
        doorbell: (plan.due_at <= plan.now).then(|| Doorbell::Queue { kind, tenant_id, queue_id }.to_row()),
    }
}

/// The answer to a batch that was accepted before, if it is the same batch.
fn replay(context: &Context, batch: &Batch, accepted: AcceptedBatch) -> Result<Response, Problem> {
    record_field("billing_campaign_id", accepted.campaign_id);
    record_field("queue_id", accepted.queue_id);
    if accepted.body_hash == batch.fingerprint {
        return Ok(Json(SendAccepted::replayed(context, accepted)).into_response());
    }
    let (external_id, queue_id) = (&batch.external_id, accepted.queue_id);
    Err(Problem::with_detail(
        Code::BatchConflict,
        Text::of("batch-conflict").with("batch", external_id).with("queue", queue_id),
    )
    .with_member("external_id", external_id.as_str())
    .with_member("campaign_id", accepted.campaign_id.to_string())
    .with_member("queue_id", queue_id.to_string()))
}
