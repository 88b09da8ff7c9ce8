//! An instance at its gateway: address and token, connection state, webhook.

use axum::Json;
use axum::extract::State;
use regua_domain::{Capability, InstanceId, InstanceState, Sealed, Text};
use regua_evolution::{ConnectionState, InstanceAddress, InvalidAddress, Reason, Token};
use regua_secrets::{Place, UnusableAddress, open_address, open_token};
use regua_store::instances::{self, InstanceSettings};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::find;
use crate::callers::{Access, Change};
use crate::context::Context;
use crate::credentials::{keys, random_bytes};
use crate::http::error::{UserActionProblems, UserChangeProblems};
use crate::http::{Code, Form, InPath, JsonBody, Problem};
use crate::routes::webhooks::evolution::SECRET_HEADER;

#[derive(Serialize, ToSchema)]
pub(super) struct Checked {
    /// `open`, `connecting`, `close` or `unreachable`.
    #[schema(value_type = String, example = "open")]
    state: InstanceState,
    /// Why the gateway is not reachable.
    reason: Option<String>,
}

/// The address to which the gateway posts webhooks.
#[derive(Serialize, ToSchema)]
pub(super) struct WebhookSet {
    webhook_url: String,
}

/// The address of the API for the gateway.
#[derive(ToSchema)]
#[expect(dead_code, reason = "OpenAPI schema only: `Form` reads the body and reports every fault at once")]
pub(super) struct WebhookRequest {
    /// Default: `REGUA_PUBLIC_URL`.
    #[schema(example = "https://regua.acme.example", max_length = 500)]
    public_url: Option<String>,
}

/// Asks the gateway for the connection state of an instance. It changes nothing.
#[utoipa::path(
    post, path = "/instances/{instance_id}/check", operation_id = "check_instance", tag = "admin",
    security(("bearer" = []), ("session" = [])), params(("instance_id" = Uuid, Path)),
    responses((status = 200, description = "The connection state", body = Checked), UserActionProblems)
)]
pub(super) async fn check(
    State(context): State<Context>,
    access: Access,
    InPath(id): InPath<Uuid>,
) -> Result<Json<Checked>, Problem> {
    access.require(Capability::Operate)?;
    let mut transaction = access.begin(&context).await?;
    let found = find(&mut transaction, &access, id).await?;
    // No transaction stays open while the gateway answers.
    transaction.commit().await?;
    Ok(Json(match address_of(&context, &access, &found) {
        Ok(address) => connection_state(&context, &address).await,
        Err(why) => Checked { state: InstanceState::Unreachable, reason: Some(why) },
    }))
}

/// Sets the instance's webhook at the gateway, with a new secret. The gateway then reports sent, delivered and read
/// messages.
///
/// The secret is stored first, so webhooks are accepted even if the gateway's answer is lost.
#[utoipa::path(
    post, path = "/instances/{instance_id}/webhook", operation_id = "set_instance_webhook", tag = "admin",
    security(("bearer" = []), ("session" = [])), params(("instance_id" = Uuid, Path)), request_body = WebhookRequest,
    responses((status = 200, description = "Set", body = WebhookSet), UserChangeProblems)
)]
pub(super) async fn set_webhook(
    State(context): State<Context>,
    access: Access,
    InPath(id): InPath<Uuid>,
    JsonBody(body): JsonBody,
) -> Result<Json<WebhookSet>, Problem> {
    access.require(Capability::Operate)?;
    let public_url = public_url(&body, &context, &access)?;
    let mut transaction = access.begin(&context).await?;
    let found = find(&mut transaction, &access, id).await?;
    let address = address_of(&context, &access, &found).map_err(|why| {
        Problem::with_detail(
            Code::StateConflict,
            Text::of("instance-unusable").with("name", &found.name).with("reason", why),
        )
    })?;
    let (secret, hash) = keys::secret_with_hash(&random_bytes()?);
    instances::set_webhook_secret(&mut transaction, access.tenant_id, found.instance_id, &hash).await?;
    let webhook_url = format!("{public_url}/webhooks/evolution/{}/{id}", access.tenant_id);
    let after = json!({"webhook_url": webhook_url, "secret_replaced": true});
    let change = Change { action: "instance.webhook_set", object: id.to_string(), before: None, after: Some(&after) };
    access.record(&mut transaction, change, context.clock.now()).await?;
    transaction.commit().await?;
    let set = context.gateway.set_webhook(&address, &webhook_url, (SECRET_HEADER, &secret)).await;
    set.map_err(|reason| {
        Problem::with_detail(Code::StateConflict, Text::of("instance-webhook-not-accepted").with("reason", reason))
    })?;
    Ok(Json(WebhookSet { webhook_url }))
}

/// The address of the API for the gateway, without a slash at the end.
fn public_url(body: &[u8], context: &Context, access: &Access) -> Result<String, Problem> {
    let mut form = Form::read(body, access.language)?;
    let requested = form.text("public_url", 500);
    let is_url =
        |url: &String| ["http://", "https://"].iter().any(|scheme| url.len() > scheme.len() && url.starts_with(scheme));
    if requested.as_ref().is_some_and(|url| !is_url(url)) {
        form.refuse("public_url", "invalid_url", &Text::of("instance-public-url-invalid"));
    } else if requested.is_none() && context.settings.public_url.is_none() && !form.has_error("public_url") {
        form.required("public_url");
    }
    form.finish()?;
    // The receiver of the webhooks decides what counts as evidence.
    if requested.is_some() && context.settings.public_url.is_some() {
        access.require(Capability::Administer)?;
    }
    let url = requested.or_else(|| context.settings.public_url.clone()).unwrap_or_default();
    Ok(url.trim_end_matches('/').to_owned())
}

async fn connection_state(context: &Context, address: &InstanceAddress) -> Checked {
    let (state, reason) = match context.gateway.connection_state(address).await {
        ConnectionState::Open => (InstanceState::Open, None),
        ConnectionState::Connecting => (InstanceState::Connecting, None),
        ConnectionState::Close => (InstanceState::Close, None),
        ConnectionState::Unreachable { reason: Reason::AddressNotAllowed } => {
            (InstanceState::Unreachable, Some("its address is not allowed: see GATEWAY_ALLOW_NETWORKS".to_owned()))
        }
        ConnectionState::Unreachable { reason } => (InstanceState::Unreachable, Some(reason.to_string())),
    };
    Checked { state, reason }
}

/// An instance's own rate, cap and concurrency.
pub(super) struct Pace {
    pub(super) messages_per_minute: Option<i32>,
    pub(super) daily_cap: Option<i32>,
    pub(super) concurrency: i16,
}

pub(super) fn read_pace(form: &mut Form<'_>) -> Pace {
    Pace {
        messages_per_minute: form.number("messages_per_minute", 1..=6_000_000),
        daily_cap: form.number("daily_cap", 1..=i32::MAX),
        concurrency: form.number("lane_concurrency", 1..=256).unwrap_or(1),
    }
}

/// The address of an instance. Refuses an invalid one, and one outside the allowed networks.
pub(super) fn read_address(
    form: &mut Form<'_>,
    context: &Context,
    base_url: &str,
    name: &str,
    token: &str,
) -> Option<InstanceAddress> {
    if base_url.is_empty() || name.is_empty() || token.is_empty() {
        return None;
    }
    let parsed = Token::parse(token).and_then(|token| InstanceAddress::parse(base_url, name, token));
    match parsed {
        Ok(address) if address.is_allowed(&context.settings.gateway_networks) => Some(address),
        Ok(address) => {
            let server = address.server();
            form.refuse(
                "base_url",
                "address_not_allowed",
                &Text::of("instance-address-not-allowed").with("server", server),
            );
            None
        }
        Err(InvalidAddress::BaseUrl) => {
            form.refuse("base_url", "invalid_url", &Text::of("instance-address-invalid"));
            None
        }
        Err(InvalidAddress::Name) => {
            form.refuse("name", "invalid_name", &Text::of("instance-name-not-in-path"));
            None
        }
        Err(InvalidAddress::Token) => {
            form.refuse("token", "invalid_token", &Text::of("instance-token-not-in-header"));
            None
        }
    }
}

pub(super) fn seal(context: &Context, access: &Access, id: InstanceId, token: &str) -> Result<Sealed, Problem> {
    let place = Place::instance_token(access.tenant_id, id);
    context.secrets.seal(&place, token).map_err(Problem::internal)
}

pub(super) fn open_stored_token(
    context: &Context,
    access: &Access,
    stored: &InstanceSettings,
) -> Result<String, Problem> {
    open_token(&context.secrets, access.tenant_id, stored).map_err(|error| {
        Problem::with_detail(Code::StateConflict, Text::of("instance-token-unreadable").with("error", error))
    })
}

/// The address of an instance, or why the stored row cannot be used.
fn address_of(context: &Context, access: &Access, stored: &InstanceSettings) -> Result<InstanceAddress, String> {
    open_address(&context.secrets, access.tenant_id, stored).map_err(|why| match why {
        UnusableAddress::TokenUnreadable(error) => {
            format!("the token of instance {} cannot be read: {error}", stored.name)
        }
        UnusableAddress::Invalid(invalid) => invalid.to_string(),
    })
}
