//! Webhooks of Evolution API about sent messages. They are stored here; `regua-periodic` reads their meaning. Evolution
//! API drops an event that gets a 4xx answer, so only a useless event gets one.

use axum::Json;
use axum::body::Body;
use axum::extract::{FromRequestParts, Path, Request, State};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use regua_broker::{Doorbell, ring};
use regua_domain::{GatewayEventName, InstanceId, TenantId, Text};
use regua_evolution::webhook::{GatewayEvent, read_webhook};
use regua_store::instances::{self, WebhookSecret};
use regua_store::webhook_events;
use serde::Serialize;
use serde_json::Value;
use std::sync::Arc;
use std::time::Instant;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::callers::begin_look_up;
use crate::context::Context;
use crate::credentials::cache::Cached;
use crate::credentials::keys;
use crate::http::body::{RequestOwner, read_json};
use crate::http::error::WebhookProblems;
use crate::http::work::compute;
use crate::http::{Code, Problem, record_field};
use crate::limits::{Computations, Refused, Subject};

/// The header of the instance's webhook secret.
pub(crate) const SECRET_HEADER: &str = "X-Regua-Webhook-Secret";

/// No event about a text message is longer.
const MAX_EVENT_BYTES: usize = 1 << 20;

/// An event as Evolution API posts it. Only the members that tell whether a message left, and its status, are stored.
#[derive(ToSchema)]
#[schema(as = GatewayEvent)]
#[expect(dead_code, reason = "it describes a body that `read_webhook` reads")]
pub(super) struct PostedEvent {
    /// Such as `send.message`.
    event: String,
    /// What the event is about.
    #[schema(value_type = Value, required = false)]
    data: Value,
}

#[derive(Serialize, ToSchema)]
pub(super) struct EventAccepted {
    /// False when the API does not use events of this name.
    stored: bool,
}

/// Accepts an event of the gateway about one of a tenant's instances.
#[utoipa::path(
    post, path = "/webhooks/evolution/{tenant_id}/{instance_id}", operation_id = "evolution_webhook", tag = "webhooks",
    params(
        ("tenant_id" = Uuid, Path), ("instance_id" = Uuid, Path),
        ("X-Regua-Webhook-Secret" = String, Header, description = "The secret that `regua instance webhook` set")
    ),
    request_body = PostedEvent,
    responses((status = 200, description = "Accepted", body = EventAccepted), WebhookProblems)
)]
pub(super) async fn evolution(
    State(context): State<Context>,
    request: Request,
) -> Result<Json<EventAccepted>, Problem> {
    let (mut parts, body) = request.into_parts();
    let Ok(Path((tenant, instance))) = Path::<(Uuid, Uuid)>::from_request_parts(&mut parts, &context).await else {
        context.limits.rates.charge(parts.extensions.get(), parts.extensions.get(), Subject::BadWebhooks)?;
        return Err(Problem::of(Code::WebhookSecretInvalid));
    };
    let (tenant, instance) = (TenantId(tenant), InstanceId(instance));
    authenticate(&context, tenant, instance, &parts).await?;
    RequestOwner::record(&parts.extensions, tenant);
    record_field("tenant_id", tenant);
    record_field("instance_id", instance);
    let accepted = accept(&context, tenant, instance, &parts.headers, body).await;
    accepted.map_err(|problem| if problem.code() == Code::RateLimited { Refused::TooBusy.into() } else { problem })
}

/// Accepts an event within the tenant's budgets. `rate_limited` says that one is used up; the gateway gets 503 for it.
async fn accept(
    context: &Context,
    tenant: TenantId,
    instance: InstanceId,
    headers: &HeaderMap,
    body: Body,
) -> Result<Json<EventAccepted>, Problem> {
    let _permit = context.limits.requests.take_for_tenant(tenant).await?;
    let read = read_json(headers, body.into_data_stream(), context, tenant, MAX_EVENT_BYTES).await?;
    let (body, memory) = read.ok_or_else(|| Problem::of(Code::BodyTooLarge))?;
    let read = if Computations::is_large(body.len()) {
        let permit = context.limits.computations.wait_small(tenant).await?;
        compute((permit, memory), move |_| read_webhook(&body)).await?
    } else {
        read_webhook(&body)
    };
    let Some((name, event)) = read.map_err(|_| Problem::of(Code::MalformedJson))? else {
        return Ok(Json(EventAccepted { stored: false }));
    };
    store(context, tenant, instance, name, &event).await?;
    Ok(Json(EventAccepted { stored: true }))
}

/// Stores what the reader needs of an event.
async fn store(
    context: &Context,
    tenant: TenantId,
    instance: InstanceId,
    name: GatewayEventName,
    event: &GatewayEvent,
) -> Result<(), Problem> {
    let (data, proves, now) = (event.to_data(), event.proves_sending(), context.clock.now());
    // PostgreSQL's JSON cannot contain NUL, and no sent message contains one.
    if data.contains(r"\u0000") {
        return Err(Problem::of(Code::MalformedJson));
    }
    context.limits.waiting_events.reserve(&context.database, tenant, instance, data.len()).await?;
    let mut transaction = context.database.begin_webhook(tenant).await?;
    webhook_events::insert_gateway_event(&mut transaction, tenant, instance, name, &data, proves, now).await?;
    ring(&mut transaction, &Doorbell::WebhookEvents, now).await?;
    transaction.commit().await?;
    context.webhook_stored.notify_one();
    Ok(())
}

/// Checks the secret. The refusal is the same, in the same time, for an unknown instance, an instance without webhooks,
/// and a wrong secret. With the right secret, a tenant that the platform suspended is refused.
///
/// A gateway posts the webhooks of all its instances from one address, and each may be evidence, so a request with the
/// right secret has no limit by its address. An address with too many wrong secrets gets 429, which Evolution API
/// retries; it does not retry 401 and 403.
async fn authenticate(context: &Context, tenant: TenantId, instance: InstanceId, parts: &Parts) -> Result<(), Problem> {
    let sent = parts.headers.get(SECRET_HEADER).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let key = (tenant, instance);
    let cached = context.webhook_secrets.get(&key, Instant::now(), |secret| keys::has_hash(sent, Some(&secret.hash)));
    let look_up = match cached {
        Cached::Fresh(secret) => return refuse_suspended(&secret),
        Cached::Ageing(_) | Cached::Expired(_) => None,
        Cached::Unknown => Some(begin_look_up(context, parts, Subject::BadWebhooks).await?),
    };
    let Some(secret) = look_up_secret(context, key, sent).await? else {
        if look_up.is_none() {
            context.webhook_secrets.remove(&key);
        }
        return Err(Problem::of(Code::WebhookSecretInvalid));
    };
    if let Some(look_up) = look_up {
        look_up.end().refund();
    }
    refuse_suspended(&secret)
}

fn refuse_suspended(secret: &WebhookSecret) -> Result<(), Problem> {
    let detail = || Problem::with_detail(Code::Forbidden, Text::of("webhook-tenant-suspended"));
    if secret.is_suspended { Err(detail()) } else { Ok(()) }
}

/// Looks up the instance's secret; none unless it is the sent one. A secret that matches is cached.
async fn look_up_secret(
    context: &Context,
    key: (TenantId, InstanceId),
    sent: &str,
) -> Result<Option<Arc<WebhookSecret>>, Problem> {
    let started = Instant::now();
    context.metrics.key_look_ups.inc();
    let mut transaction = context.database.begin_check(key.0).await?;
    let stored = instances::webhook_secret(&mut transaction, key.0, key.1).await?;
    transaction.commit().await?;
    let is_match = keys::has_hash(sent, stored.as_ref().map(|secret| secret.hash.as_slice()));
    let secret = stored.filter(|_| is_match).map(Arc::new);
    if let Some(secret) = &secret {
        context.webhook_secrets.insert(key, Arc::clone(secret), started);
    }
    Ok(secret)
}
