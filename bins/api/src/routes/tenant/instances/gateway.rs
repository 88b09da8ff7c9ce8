//! An instance at its gateway: connection state and webhook.

use regua_domain::{Capability, InstanceId, InstanceState};
use regua_evolution::{ConnectionState, InstanceAddress};
use regua_secrets::{UnusableAddress, open_address};
use regua_store::instances::{self, Instance};

use super::ask::ask;
use crate::context::is_url;
use crate::credentials::{keys, random_bytes};
use crate::routes::kit::*;
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

body! {
    /// The address of the API for the gateway.
    pub(super) struct WebhookRequest {
        /// Default: `REGUA_PUBLIC_URL`.
        #[example = "https://regua.acme.example"]
        public_url: Option<Line<0, 500>>,
    }
}

/// Asks the gateway for the connection state of an instance. An answer shows that the gateway accepts the token; from then
/// on no other tenant can add the number.
#[utoipa::path(
    post, path = "/instances/{instance_id}/check",
    responses((status = 200, description = "The connection state", body = Checked))
)]
pub(super) async fn check_instance(access: Access<Operate>, InPath(id): InPath<InstanceId>) -> Answer<Checked> {
    // No transaction stays open while the gateway answers.
    let stored = access.read(async |conn| found(instances::get(conn, access.tenant_id, id).await?)).await?;
    let checked = match address_of(&access, &stored) {
        Ok(address) => connection_state(&access.context, &address).await,
        Err(reason) => Checked { state: InstanceState::Unreachable, reason: Some(reason) },
    };
    if checked.reason.is_none() && !stored.is_verified {
        access.transact(async |conn, now| Ok(instances::mark_verified(conn, &stored, now).await?)).await?;
    }
    Ok(Json(checked))
}

/// Sets the instance's webhook at the gateway, with a new secret. The gateway then reports sent, delivered and read
/// messages.
///
/// The secret is stored first, so webhooks are accepted even if the gateway's answer is lost.
#[utoipa::path(
    post, path = "/instances/{instance_id}/webhook", request_body = WebhookRequest,
    responses((status = 200, description = "Set", body = WebhookSet))
)]
pub(super) async fn set_instance_webhook(
    access: Access<Operate>,
    InPath(id): InPath<InstanceId>,
    body: Draft<WebhookRequest>,
) -> Answer<WebhookSet> {
    let webhook_url = format!("{}/webhooks/evolution/{}/{id}", public_url(body, &access)?, access.tenant_id);
    let (secret, hash) = keys::secret_with_hash(&random_bytes()?);
    let work = async |conn: &mut PgConnection, now| {
        let stored = found(instances::get(conn, access.tenant_id, id).await?)?;
        let address = address_of(&access, &stored).map_err(|reason| {
            Problem::conflict(Text::of("instance-unusable").with("name", &stored.name).with("reason", reason))
        })?;
        instances::set_webhook_secret(conn, access.tenant_id, id, &hash).await?;
        let after = json!({"webhook_url": webhook_url, "secret_replaced": true});
        access.record(conn, "instance.webhook_set", id, (&(), &after), now).await?;
        Ok(address)
    };
    let address = access.transact(work).await?;
    let set = ask(access.context.gateway.set_webhook(&address, &webhook_url, (SECRET_HEADER, &secret))).await;
    set.map_err(|reason| Problem::conflict(Text::of("instance-webhook-not-accepted").with("reason", reason)))?;
    Ok(Json(WebhookSet { webhook_url }))
}

/// The address of the API for the gateway, without a slash at the end.
fn public_url(mut body: Draft<WebhookRequest>, access: &Principal) -> Result<String, Problem> {
    let configured = access.context.settings.public_url.clone();
    match body.public_url.clone() {
        Some(Some(requested)) if !is_url(&requested) => {
            body.refuse("public_url", "invalid_url", &Text::of("instance-public-url-invalid"));
        }
        Some(None) if configured.is_none() => body.refuse("public_url", "required", &Text::of("field-required")),
        _ => {}
    }
    let requested = body.finish()?.public_url;
    // The receiver of the webhooks decides what counts as evidence.
    if requested.is_some() && configured.is_some() {
        access.require(Capability::Administer)?;
    }
    Ok(requested.or(configured).unwrap_or_default().trim_end_matches('/').to_owned())
}

async fn connection_state(context: &Context, address: &InstanceAddress) -> Checked {
    let state = ask(async {
        Ok(match context.gateway.connection_state(address).await {
            ConnectionState::Open => InstanceState::Open,
            ConnectionState::Connecting => InstanceState::Connecting,
            ConnectionState::Close => InstanceState::Close,
            ConnectionState::Unreachable { reason } => return Err(reason),
        })
    });
    match state.await {
        Ok(state) => Checked { state, reason: None },
        Err(reason) => Checked { state: InstanceState::Unreachable, reason: Some(reason.to_string()) },
    }
}

/// The address of an instance; the error is the reason why the stored row is no usable address.
fn address_of(access: &Principal, stored: &Instance) -> Result<InstanceAddress, String> {
    open_address(&access.context.secrets, access.tenant_id, stored).map_err(|why| match why {
        UnusableAddress::TokenUnreadable(error) => {
            format!("the token of instance {} cannot be read: {error}", stored.name)
        }
        UnusableAddress::Invalid(invalid) => invalid.to_string(),
    })
}
