//! Webhooks of Evolution API about sent messages. They are stored here; `regua-periodic` reads their meaning. Evolution
//! API drops an event that gets a 4xx answer, so only a useless event gets one.

use axum::Json;
use axum::extract::{FromRequestParts, Path, Request, State};
use axum::http::request::Parts;
use regua_broker::{Doorbell, ring};
use regua_domain::{GatewayEventName, InstanceId, TenantId};
use regua_store::{access, instances, webhook_events};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use std::time::Instant;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::context::Context;
use crate::credentials::cache::Cached;
use crate::credentials::keys;
use crate::http::body::read_json;
use crate::http::error::WebhookProblems;
use crate::http::{Code, Problem, record_field};
use crate::limits::Subject;

/// The header of the instance's webhook secret.
pub(crate) const SECRET_HEADER: &str = "X-Regua-Webhook-Secret";

/// No event about a text message is longer.
const MAX_EVENT_BYTES: usize = 1 << 20;

/// An event as Evolution API posts it. Other members, such as the instance's token, are dropped.
#[derive(Deserialize, ToSchema)]
pub(super) struct GatewayEvent {
    /// Such as `send.message`.
    event: String,
    /// What the event is about.
    #[serde(default)]
    #[schema(value_type = Value)]
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
    request_body = GatewayEvent,
    responses((status = 200, description = "Accepted", body = EventAccepted), WebhookProblems)
)]
pub(super) async fn evolution(
    State(context): State<Context>,
    request: Request,
) -> Result<Json<EventAccepted>, Problem> {
    let (mut parts, body) = request.into_parts();
    let Ok(Path((tenant, instance))) = Path::<(Uuid, Uuid)>::from_request_parts(&mut parts, &context).await else {
        return Err(Problem::of(Code::WebhookSecretInvalid));
    };
    let (tenant, instance) = (TenantId(tenant), InstanceId(instance));
    authenticate(&context, tenant, instance, &parts).await?;
    record_field("tenant_id", tenant);
    record_field("instance_id", instance);
    let body = read_json(&parts.headers, &mut body.into_data_stream(), &context, tenant, MAX_EVENT_BYTES).await?;
    let (body, _memory) = body.ok_or_else(|| Problem::of(Code::BodyTooLarge))?;
    // PostgreSQL's JSON cannot contain NUL, and no sent message contains one.
    let has_nul = body.windows(6).any(|window| window == br"\u0000");
    let event = serde_json::from_slice::<GatewayEvent>(&body).ok().filter(|_| !has_nul);
    let event = event.ok_or_else(|| Problem::of(Code::MalformedJson))?;
    let Ok(name) = event.event.parse::<GatewayEventName>() else {
        return Ok(Json(EventAccepted { stored: false }));
    };
    let now = context.clock.now();
    let mut transaction = access::begin_webhook(&context.pool, tenant).await?;
    webhook_events::insert_gateway_event(&mut transaction, tenant, instance, name, &event.data, now).await?;
    ring(&mut transaction, &Doorbell::WebhookEvents, now).await?;
    transaction.commit().await?;
    context.webhook_stored.notify_one();
    Ok(Json(EventAccepted { stored: true }))
}

/// Checks the secret. The refusal is the same, in the same time, for an unknown instance, an instance without webhooks,
/// and a wrong secret.
///
/// A gateway posts the webhooks of all its instances from one address, and each may be evidence, so a request with the
/// right secret is never limited. An address with too many wrong secrets gets 429, which Evolution API retries; it does
/// not retry 401.
async fn authenticate(context: &Context, tenant: TenantId, instance: InstanceId, parts: &Parts) -> Result<(), Problem> {
    let sent = parts.headers.get(SECRET_HEADER).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let key = (tenant, instance);
    let cached = context.webhook_secrets.get(&key, Instant::now(), |hash| keys::has_hash(sent, Some(hash)));
    let look_up = match cached {
        Cached::Fresh(_) => return Ok(()),
        Cached::Ageing(_) | Cached::Expired => None,
        Cached::Unknown => Some(context.limits.look_ups.begin(parts, Subject::BadWebhooks).await?),
    };
    if !is_current_secret(context, key, sent).await? {
        if look_up.is_none() {
            context.webhook_secrets.remove(&key);
        }
        return Err(Problem::of(Code::WebhookSecretInvalid));
    }
    if let Some(look_up) = look_up {
        look_up.refund();
    }
    Ok(())
}

/// Looks up the instance's secret, and caches it when it matches.
async fn is_current_secret(context: &Context, key: (TenantId, InstanceId), sent: &str) -> Result<bool, Problem> {
    let started = Instant::now();
    context.metrics.key_look_ups.inc();
    let mut transaction = access::begin(&context.pool, key.0).await?;
    let stored = instances::webhook_secret(&mut transaction, key.0, key.1).await?;
    transaction.commit().await?;
    let is_match = keys::has_hash(sent, stored.as_deref());
    if let Some(hash) = stored.filter(|_| is_match) {
        context.webhook_secrets.insert(key, Arc::new(hash), started);
    }
    Ok(is_match)
}
