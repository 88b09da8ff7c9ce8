//! The way in: a batch is read, composed, and stored with its doorbell in one transaction. What it looks like to a caller
//! stands here; how a body becomes messages stands in `batch` and `compose`.

mod answer;
mod shape;

use axum::extract::State;
use axum::response::Response;
use chrono::{DateTime, Utc};
use fail::fail_point;
use regua_broker::{Doorbell, ring};
use regua_domain::{ApiKeyId, CampaignId, InstanceId, MessageType, QueueId, TemplateId, VariablesSchema, Variations};
use regua_store::access;
use regua_store::campaigns::{self, NewCampaign};
use regua_store::{contacts, instances, templates, tenants};
use sqlx::PgConnection;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::answer::{DryRun, SendAccepted};
use self::shape::SendRequest;
use crate::Context;
use crate::auth::Caller;
use crate::batch::{Batch, ContactReader};
use crate::compose::{Composed, Recipe, compose};
use crate::error::{BatchProblems, Code, Problem};
use crate::limits::Turn;
use crate::posted::Posted;
use crate::request::note;
use crate::rules::Hours;

pub(super) fn router() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(overdue)).routes(routes!(upcoming)).routes(routes!(notification))
}

/// Takes a batch about bills that are past their due date.
///
/// It keeps business hours and goes before all others. A batch that was taken before is answered as it was then.
#[utoipa::path(
    post, path = "/send/overdue", operation_id = "send_overdue", tag = "send", security(("api_key" = [])), request_body = SendRequest,
    responses(
        (status = 202, description = "Taken", body = SendAccepted),
        (status = 200, description = "Taken before, or a dry run", body = inline(answer::Answered)),
        BatchProblems
    )
)]
async fn overdue(State(context): State<Context>, posted: Posted) -> Result<Response, Problem> {
    send(&context, MessageType::Overdue, posted).await
}

/// Takes a batch about bills that will fall due.
///
/// It keeps business hours. A batch that was taken before is answered as it was then.
#[utoipa::path(
    post, path = "/send/upcoming", operation_id = "send_upcoming", tag = "send", security(("api_key" = [])), request_body = SendRequest,
    responses(
        (status = 202, description = "Taken", body = SendAccepted),
        (status = 200, description = "Taken before, or a dry run", body = inline(answer::Answered)),
        BatchProblems
    )
)]
async fn upcoming(State(context): State<Context>, posted: Posted) -> Result<Response, Problem> {
    send(&context, MessageType::Upcoming, posted).await
}

/// Takes a batch of anything else that people must be told. It goes at any hour, and needs no bill.
///
/// A batch that was taken before is answered as it was then.
#[utoipa::path(
    post, path = "/send/notification", operation_id = "send_notification", tag = "send", security(("api_key" = [])), request_body = SendRequest,
    responses(
        (status = 202, description = "Taken", body = SendAccepted),
        (status = 200, description = "Taken before, or a dry run", body = inline(answer::Answered)),
        BatchProblems
    )
)]
async fn notification(State(context): State<Context>, posted: Posted) -> Result<Response, Problem> {
    send(&context, MessageType::Notification, posted).await
}

/// The use case: authenticated, read, not taken before, composed, and stored.
pub(crate) async fn send(
    context: &Context,
    message_type: MessageType,
    Posted { caller, body, memory: _held }: Posted,
) -> Result<Response, Problem> {
    note("template_type", message_type);
    let api_key_id = caller.may_send(message_type)?;
    let now = context.clock.now();
    let language = caller.language;
    let mut turn = context.limits.turn(caller.tenant_id, body.len()).await?;
    let mut batch = turn.work(move || Batch::parse(&body, message_type, language, now)).await??;

    let mut transaction = access::begin(&context.pool, caller.tenant_id).await?;
    if !batch.dry_run
        && let Some(replayed) = replay(context, &mut transaction, &caller, &batch).await?
    {
        return Ok(replayed);
    }
    let (plan, mut recipe) = Plan::load(&mut transaction, &caller, api_key_id, &batch, message_type, now).await?;
    if !batch.dry_run {
        let count = i64::try_from(batch.contacts.len()).map_err(Problem::internal)?;
        let first = tenants::take_references(&mut transaction, caller.tenant_id, count).await?;
        recipe.first_reference = u64::try_from(first).map_err(Problem::internal)?;
    }
    transaction.commit().await?;

    let sent = std::mem::take(&mut batch.contacts);
    let composed = turn.work(move || compose(&recipe, sent)).await?;
    if composed.contacts.ids.is_empty() {
        return Err(none_valid(composed));
    }
    if batch.dry_run {
        return Ok(DryRun::of(message_type, composed, &plan).into());
    }
    store(context, &caller, &batch, &plan, composed, &mut turn, now).await
}

/// What a batch goes with, and when.
struct Plan {
    api_key_id: ApiKeyId,
    message_type: MessageType,
    template: TemplateId,
    instance: InstanceId,
    per_minute: i32,
    hours: Hours,
    /// Not before then: now, or the hour that was asked for.
    due_at: DateTime<Utc>,
}

impl Plan {
    /// Looks up what the batch names, or what the tenant has set for the type.
    async fn load(
        conn: &mut PgConnection,
        caller: &Caller,
        api_key_id: ApiKeyId,
        batch: &Batch,
        message_type: MessageType,
        now: DateTime<Utc>,
    ) -> Result<(Self, Recipe), Problem> {
        let tenant = caller.tenant_id;
        let template = templates::for_type(conn, tenant, message_type, batch.template.as_deref()).await?;
        let template = template.ok_or_else(|| no_template(caller, batch, message_type))?;
        let instance = instances::for_type(conn, tenant, message_type, batch.instance.as_deref()).await?;
        let instance = instance.ok_or_else(|| no_instance(caller, batch, message_type))?;
        note("instance_id", instance);
        let pace =
            instances::get(conn, tenant, instance).await?.ok_or_else(|| no_instance(caller, batch, message_type))?;
        let hours = Hours::load(conn, tenant, message_type).await?;
        let company = tenants::name(conn, tenant).await?;
        let due_at = batch.scheduled_for.map_or(now, |scheduled_for| scheduled_for.max(now));
        let recipe = Recipe {
            reader: ContactReader { message_type, language: caller.language },
            batch_id: batch.external_id.clone(),
            variations: Variations::parse(template.variations).map_err(Problem::internal)?,
            schema: template
                .variables_schema
                .as_ref()
                .map(VariablesSchema::parse)
                .transpose()
                .map_err(Problem::internal)?,
            tenant,
            company,
            first_reference: 0,
            today: hours.calendar.today(hours.first_from(due_at).unwrap_or(due_at)),
            now,
        };
        let (template, per_minute) = (template.template_id, pace.messages_per_minute);
        Ok((Self { api_key_id, message_type, template, instance, per_minute, hours, due_at }, recipe))
    }
}

/// Campaign, queue, contacts and doorbell, or nothing of them.
async fn store(
    context: &Context,
    caller: &Caller,
    batch: &Batch,
    plan: &Plan,
    composed: Composed,
    turn: &mut Turn<'_>,
    now: DateTime<Utc>,
) -> Result<Response, Problem> {
    let (campaign_id, queue_id) = (CampaignId::new(now), QueueId::new(now));
    let (tenant_id, message_type) = (caller.tenant_id, plan.message_type);
    let accepted = SendAccepted::new(context, campaign_id, queue_id, plan, &composed, now)?;
    let (rows, due_at, rejected) = (composed.contacts, plan.due_at, composed.rejected.len());
    let pieces = turn.work(move || contacts::insertions(tenant_id, queue_id, &rows, due_at, now)).await?;
    let new = NewCampaign {
        tenant_id,
        campaign_id,
        queue_id,
        external_id: &batch.external_id,
        name: &batch.name,
        message_type,
        template_id: plan.template,
        instance_id: plan.instance,
        api_key_id: plan.api_key_id,
        body_hash: &batch.hash,
        rejected: &accepted.rejected,
        warnings: &accepted.warnings,
        metadata: &batch.metadata,
        scheduled_for: batch.scheduled_for,
        total: accepted.accepted,
    };

    let mut transaction = access::begin(&context.pool, caller.tenant_id).await?;
    if !campaigns::create(&mut transaction, &new, now).await? {
        // Somebody posted the same batch meanwhile, and has just committed it.
        let replayed = replay(context, &mut transaction, caller, batch).await?;
        return replayed.ok_or_else(|| Problem::internal(anyhow::anyhow!("the batch that was taken first is gone")));
    }
    for piece in pieces {
        turn.give_way().await;
        piece.execute(&mut transaction).await?;
    }
    if plan.due_at <= now {
        ring(&mut transaction, &Doorbell { kind: message_type.into(), tenant_id, queue_id }, now).await?;
    }
    fail_point!("intake::before_commit");
    transaction.commit().await?;
    fail_point!("intake::committed");

    context.rang.notify_one();
    note("billing_campaign_id", campaign_id);
    note("queue_id", queue_id);
    let labels = [tenant_id.to_string(), message_type.to_string()];
    context.metrics.contacts_accepted.with_label_values(&labels).inc_by(f64::from(accepted.accepted));
    tracing::info!(accepted = accepted.accepted, rejected, "batch taken");
    Ok(accepted.into())
}

/// The answer where the batch was taken before; none where it was not.
async fn replay(
    context: &Context,
    conn: &mut PgConnection,
    caller: &Caller,
    batch: &Batch,
) -> Result<Option<Response>, Problem> {
    let Some(taken) = campaigns::taken(conn, caller.tenant_id, &batch.external_id).await? else { return Ok(None) };
    note("billing_campaign_id", taken.campaign_id);
    note("queue_id", taken.queue_id);
    if taken.body_hash == batch.hash {
        return Ok(Some(SendAccepted::replayed(context, taken).into()));
    }
    let (external_id, queue_id) = (&batch.external_id, taken.queue_id);
    let detail = caller.language.pick(
        format!("O lote \"{external_id}\" já foi recebido com outro conteúdo, na fila {queue_id}. Para enviar outro lote, use outro external_id."),
        format!("The batch \"{external_id}\" was taken before with other contents, as queue {queue_id}. For another batch, use another external_id."),
    );
    Err(Problem::with_detail(Code::BatchConflict, detail)
        .with_member("external_id", external_id.as_str())
        .with_member("campaign_id", taken.campaign_id.to_string())
        .with_member("queue_id", queue_id.to_string()))
}

fn none_valid(composed: Composed) -> Problem {
    Problem::with_errors(Code::NoValidContact, composed.rejected.into_iter().map(Into::into).collect())
}

fn no_template(caller: &Caller, batch: &Batch, message_type: MessageType) -> Problem {
    let detail = match &batch.template {
        Some(name) => caller.language.pick(
            format!("Não há modelo \"{name}\" do tipo {message_type}. Confira o nome e o tipo."),
            format!("There is no template \"{name}\" of type {message_type}. Check its name and its type."),
        ),
        None => caller.language.pick(
            format!("O lote não indica \"template\", e não há modelo padrão para o tipo {message_type}. Indique um, ou importe um modelo com `regua template import`: o primeiro de cada tipo se torna o padrão."),
            format!("The batch names no \"template\", and there is no default for type {message_type}. Name one, or import one with `regua template import`: the first of each type becomes its default."),
        ),
    };
    Problem::with_detail(Code::TemplateNotFound, detail)
}

fn no_instance(caller: &Caller, batch: &Batch, message_type: MessageType) -> Problem {
    let detail = match &batch.instance {
        Some(name) => caller.language.pick(
            format!("Não há instância \"{name}\". Confira o nome."),
            format!("There is no instance \"{name}\". Check its name."),
        ),
        None => caller.language.pick(
            format!("O lote não indica \"instance\", e não há instância padrão para o tipo {message_type}. Indique uma, ou cadastre um número com `regua instance add`: o primeiro se torna o padrão."),
            format!("The batch names no \"instance\", and there is no default for type {message_type}. Name one, or add a number with `regua instance add`: the first becomes the default."),
        ),
    };
    Problem::with_detail(Code::InstanceNotFound, detail)
}
