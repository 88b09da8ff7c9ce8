//! Webhooks of the gateway about messages that we sent. They are stored and answered; what they mean is periodic's
//! business. Evolution forgets an event that it is answered 4xx for, so that is said of hopeless ones alone.

use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::{FromRequestParts, Path, Request, State};
use axum::http::request::Parts;
use regua_domain::{InstanceId, TenantId};
use regua_evolution::webhook::EVENTS;
use regua_store::{access, instances, webhook_events};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::Context;
use crate::error::{Code, Problem, WebhookProblems};
use crate::keys;
use crate::limits::BAD_WEBHOOKS;
use crate::posted::read_json;
use crate::remembered::Recalled;
use crate::request::note;

/// The header that carries the number's secret.
const SECRET_HEADER: &str = "X-Regua-Webhook-Secret";

/// No event about a text is longer.
const MOST_BYTES: usize = 1 << 20;

/// Where webhooks come in.
pub(super) const BASE: &str = "/webhooks/";

pub(super) fn router() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(evolution))
}

/// An event as Evolution API posts it. Members that are not named are not kept; among them is the instance's token.
#[derive(Deserialize, ToSchema)]
struct GatewayEvent {
    /// Such as `send.message`.
    event: String,
    /// What the event is about.
    #[serde(default)]
    #[schema(value_type = Value)]
    data: Value,
}

/// What became of an event.
#[derive(Serialize, ToSchema)]
struct EventTaken {
    /// False: nobody here has a use for events of that kind.
    stored: bool,
}

/// Takes an event of the gateway about one of a tenant's numbers.
#[utoipa::path(
    post, path = "/webhooks/evolution/{tenant_id}/{instance_id}", operation_id = "evolution_webhook", tag = "webhooks",
    params(
        ("tenant_id" = Uuid, Path), ("instance_id" = Uuid, Path),
        ("X-Regua-Webhook-Secret" = String, Header, description = "As `regua instance webhook` has set it")
    ),
    request_body = GatewayEvent,
    responses((status = 200, description = "Taken", body = EventTaken), WebhookProblems)
)]
async fn evolution(State(context): State<Context>, request: Request) -> Result<Json<EventTaken>, Problem> {
    let (mut parts, body) = request.into_parts();
    let Ok(Path((tenant, instance))) = Path::<(Uuid, Uuid)>::from_request_parts(&mut parts, &context).await else {
        return Err(Problem::of(Code::WebhookSecretInvalid));
    };
    let (tenant, instance) = (TenantId(tenant), InstanceId(instance));
    authenticate(&context, tenant, instance, &parts).await?;
    note("tenant_id", tenant);
    note("instance_id", instance);
    let body = read_json(&parts.headers, &mut body.into_data_stream(), &context, tenant, MOST_BYTES).await?;
    let (body, _memory) = body.ok_or_else(|| Problem::of(Code::BodyTooLarge))?;
    // PostgreSQL's JSON has no NUL, and no message of ours has one.
    let has_nul = body.windows(6).any(|window| window == br"\u0000");
    let event = serde_json::from_slice::<GatewayEvent>(&body).ok().filter(|_| !has_nul);
    let event = event.ok_or_else(|| Problem::of(Code::MalformedJson))?;
    let stored = EVENTS.contains(&event.event.as_str());
    if stored {
        let mut transaction = access::begin(&context.pool, tenant).await?;
        let now = context.clock.now();
        webhook_events::insert(&mut transaction, tenant, instance, &event.event, &event.data, now).await?;
        transaction.commit().await?;
    }
    Ok(Json(EventTaken { stored }))
}

/// The same answer, in the same time, whether the number does not exist, takes no webhooks, or has another secret.
///
/// A gateway posts the webhooks of all its numbers from one address, and each may hold a proof. So those whose secret is
/// right are limited by nothing, whatever else comes from there; and an address that shows wrong ones too often is answered
/// 429, after which Evolution API tries again (after 401 it does not).
async fn authenticate(context: &Context, tenant: TenantId, instance: InstanceId, parts: &Parts) -> Result<(), Problem> {
    let sent = parts.headers.get(SECRET_HEADER).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (limits, number) = (&context.limits, (tenant, instance));
    let recalled = context.webhook_secrets.recall(&number, Instant::now(), |hash| keys::has_hash(sent, Some(hash)));
    let paid = match recalled {
        Recalled::Right(_) => return Ok(()),
        Recalled::RightButAgeing(_) | Recalled::WasRight => None,
        Recalled::Unknown => Some(limits.may_look_up(parts, BAD_WEBHOOKS).await?),
    };
    if !is_secret(context, number, sent).await? {
        if paid.is_none() {
            context.webhook_secrets.forget(&number);
        }
        return Err(Problem::of(Code::WebhookSecretInvalid));
    }
    if let Some(paid) = paid {
        paid.was_good();
    }
    Ok(())
}

/// Looks the number's secret up, and remembers it where it is the one that was sent.
async fn is_secret(context: &Context, number: (TenantId, InstanceId), sent: &str) -> Result<bool, Problem> {
    let began = Instant::now();
    context.metrics.key_look_ups.inc();
    let mut transaction = access::begin(&context.pool, number.0).await?;
    let stored = instances::webhook_secret(&mut transaction, number.0, number.1).await?;
    transaction.commit().await?;
    let is_right = keys::has_hash(sent, stored.as_deref());
    if let Some(hash) = stored.filter(|_| is_right) {
        context.webhook_secrets.remember(number, Arc::new(hash), began);
    }
    Ok(is_right)
}
