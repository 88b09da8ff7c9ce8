//! Numbers at their gateways: where they are reached, with what, and what the gateway says of them.

use axum::Json;
use axum::extract::State;
use regua_boot::Place;
use regua_domain::{InstanceId, Right, Sealed};
use regua_evolution::{ConnectionState, InstanceAddress, InvalidAddress, Reason, Token};
use regua_store::instances::{self, Kept};
use ring::rand::{SecureRandom, SystemRandom};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::super::InPath;
use super::find;
use crate::Context;
use crate::error::{Code, PersonActionProblems, PersonChangeProblems, Problem};
use crate::form::Form;
use crate::keys;
use crate::people::{Access, Change, JsonBody};

/// What the gateway says of a number.
#[derive(Serialize, ToSchema)]
pub(super) struct Checked {
    /// open, connecting, close or unreachable.
    #[schema(example = "open")]
    state: &'static str,
    /// Why it is not reached.
    reason: Option<String>,
}

/// Where the gateway posts its webhooks.
#[derive(Serialize, ToSchema)]
pub(super) struct WebhookSet {
    webhook_url: String,
}

/// Where the gateway reaches the API.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes the body; a form reads it, so that all that is wrong is answered at once")]
pub(super) struct WebhookRequest {
    /// REGUA_PUBLIC_URL unless given.
    #[schema(example = "https://regua.acme.example", max_length = 500)]
    public_url: Option<String>,
}

/// Asks the gateway whether a number is connected. Nothing is changed.
#[utoipa::path(
    post, path = "/instances/{instance_id}/check", operation_id = "check_instance", tag = "admin",
    security(("bearer" = []), ("session" = [])), params(("instance_id" = Uuid, Path)),
    responses((status = 200, description = "What it says", body = Checked), PersonActionProblems)
)]
pub(super) async fn check(
    State(context): State<Context>,
    access: Access,
    InPath(id): InPath,
) -> Result<Json<Checked>, Problem> {
    access.require(Right::Operate)?;
    let mut transaction = access.begin(&context).await?;
    let found = find(&mut transaction, &access, id).await?;
    // Not while the gateway takes its time.
    transaction.commit().await?;
    Ok(Json(match address_of(&context, &access, &found) {
        Ok(address) => ask(&context, &address).await,
        Err(why) => Checked { state: "unreachable", reason: Some(why) },
    }))
}

/// Has the gateway tell us what leaves through a number, and what becomes of it, with a new secret each time.
///
/// The secret is stored first: should the gateway take it and its answer get lost, its webhooks are taken all the same.
#[utoipa::path(
    post, path = "/instances/{instance_id}/webhook", operation_id = "set_instance_webhook", tag = "admin",
    security(("bearer" = []), ("session" = [])), params(("instance_id" = Uuid, Path)), request_body = WebhookRequest,
    responses((status = 200, description = "Set", body = WebhookSet), PersonChangeProblems)
)]
pub(super) async fn set_webhook(
    State(context): State<Context>,
    access: Access,
    InPath(id): InPath,
    JsonBody(body): JsonBody,
) -> Result<Json<WebhookSet>, Problem> {
    access.require(Right::Operate)?;
    let public_url = public_url(&body, &context, &access)?;
    let mut transaction = access.begin(&context).await?;
    let found = find(&mut transaction, &access, id).await?;
    let address = address_of(&context, &access, &found)
        .map_err(|why| Problem::with_detail(Code::StateConflict, format!("{}: {why}", found.name)))?;
    let mut random = [0; 32];
    SystemRandom::new().fill(&mut random).map_err(|_| Problem::internal(anyhow::anyhow!("no random numbers")))?;
    let (secret, hash) = keys::webhook_secret(&random);
    instances::set_webhook_secret(&mut transaction, access.tenant_id, found.instance_id, &hash).await?;
    let webhook_url = format!("{public_url}/webhooks/evolution/{}/{id}", access.tenant_id);
    let after = json!({"webhook_url": webhook_url, "secret_replaced": true});
    let change = Change { action: "instance.webhook_set", object: id.to_string(), before: None, after: Some(&after) };
    access.record(&mut transaction, change, context.clock.now()).await?;
    transaction.commit().await?;
    let set = context.gateway.set_webhook(&address, &webhook_url, ("X-Regua-Webhook-Secret", &secret)).await;
    set.map_err(|reason| {
        let detail = access.language.pick(
            format!("O gateway não aceitou ({reason}). Repita."),
            format!("The gateway did not take it ({reason}): repeat it."),
        );
        Problem::with_detail(Code::StateConflict, detail)
    })?;
    Ok(Json(WebhookSet { webhook_url }))
}

/// Where the gateway reaches the API, without a slash at the end.
fn public_url(body: &[u8], context: &Context, access: &Access) -> Result<String, Problem> {
    let mut form = Form::read(body, access.language)?;
    let given = form.text("public_url", 500);
    let is_url =
        |url: &String| ["http://", "https://"].iter().any(|scheme| url.len() > scheme.len() && url.starts_with(scheme));
    if given.as_ref().is_some_and(|url| !is_url(url)) {
        let message = form.language.pick(
            "Escreva o endereço com o esquema, como https://regua.example.",
            "Write it with its scheme, such as https://regua.example.",
        );
        form.refuse("public_url", "invalid_url", message);
    } else if given.is_none() && context.settings.public_url.is_none() && !form.has_refused("public_url") {
        form.required("public_url");
    }
    form.finish()?;
    // Whoever is told of the messages decides what counts as proof.
    if given.is_some() && context.settings.public_url.is_some() {
        access.require(Right::Own)?;
    }
    let url = given.or_else(|| context.settings.public_url.clone()).unwrap_or_default();
    Ok(url.trim_end_matches('/').to_owned())
}

async fn ask(context: &Context, address: &InstanceAddress) -> Checked {
    let (state, reason) = match context.gateway.connection_state(address).await {
        ConnectionState::Open => ("open", None),
        ConnectionState::Connecting => ("connecting", None),
        ConnectionState::Close => ("close", None),
        ConnectionState::Unreachable { reason: Reason::AddressNotAllowed } => {
            ("unreachable", Some("its address is not allowed: see GATEWAY_ALLOW_NETWORKS".to_owned()))
        }
        ConnectionState::Unreachable { reason } => ("unreachable", Some(reason.to_string())),
    };
    Checked { state, reason }
}

/// A number's own pace.
pub(super) struct Pace {
    pub(super) messages_per_minute: Option<i32>,
    pub(super) daily_cap: Option<i32>,
    pub(super) concurrency: i16,
}

/// What a body says of it.
pub(super) fn pace(form: &mut Form<'_>) -> Pace {
    Pace {
        messages_per_minute: form.number("messages_per_minute", 1..=6_000_000),
        daily_cap: form.number("daily_cap", 1..=i32::MAX),
        concurrency: form.number("lane_concurrency", 1..=256).unwrap_or(1),
    }
}

/// Where a number will be reached, where gateways may be there.
pub(super) fn new_address(
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
    let language = form.language;
    match parsed {
        Ok(address) if address.is_allowed(&context.settings.gateway_networks) => Some(address),
        Ok(address) => {
            let server = address.server();
            let message = language.pick(
                format!("{server} não é um endereço público: se o gateway deve estar lá, quem opera a plataforma define GATEWAY_ALLOW_NETWORKS."),
                format!("{server} is no public address: if the gateway is meant to be there, set GATEWAY_ALLOW_NETWORKS, here and for regua-api, regua-worker and regua-periodic, to a network that has it"),
            );
            form.refuse("base_url", "address_not_allowed", &message);
            None
        }
        Err(InvalidAddress::BaseUrl) => {
            let message = language.pick(
                "Escreva um endereço como https://evolution.acme.example, sem senha, consulta ou fragmento.",
                "Write an address like https://evolution.acme.example, without credentials, query or fragment.",
            );
            form.refuse("base_url", "invalid_url", message);
            None
        }
        Err(InvalidAddress::Name) => {
            let message = language.pick("Este nome não cabe em um caminho.", "The name cannot stand in a path.");
            form.refuse("name", "invalid_name", message);
            None
        }
        Err(InvalidAddress::Token) => {
            let message = language.pick("O token não cabe em um cabeçalho.", "The token cannot stand in a header.");
            form.refuse("token", "invalid_token", message);
            None
        }
    }
}

/// A token, sealed for its row.
pub(super) fn seal(context: &Context, access: &Access, id: InstanceId, token: &str) -> Result<Sealed, Problem> {
    let place = Place::instance_token(access.tenant_id, id);
    context.secrets.seal(&place, token).map_err(Problem::internal)
}

/// A number's token.
pub(super) fn opened(context: &Context, access: &Access, kept: &Kept) -> Result<String, Problem> {
    let place = Place::instance_token(access.tenant_id, kept.instance_id);
    context.secrets.open_or_plain(&place, &kept.token).map_err(|error| {
        let detail = access.language.pick(
            "O token guardado não pode ser lido. Envie-o de novo em \"token\".".to_owned(),
            format!("The token that is kept cannot be read ({error}). Send it again as \"token\"."),
        );
        Problem::with_detail(Code::StateConflict, detail)
    })
}

/// Where a number is reached, or why what is kept of it cannot be used.
fn address_of(context: &Context, access: &Access, kept: &Kept) -> Result<InstanceAddress, String> {
    let place = Place::instance_token(access.tenant_id, kept.instance_id);
    let token = context.secrets.open_or_plain(&place, &kept.token);
    let token = token.map_err(|error| format!("the token of instance {} cannot be read: {error}", kept.name))?;
    Token::parse(&token)
        .and_then(|token| InstanceAddress::parse(&kept.base_url, &kept.name, token))
        .map_err(|error| error.to_string())
}

/// As the table's check has it.
pub(super) fn is_name(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=64).contains(&text.len()) && text.bytes().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_the_table_takes() {
        for good in ["matriz", "Filial_2", "a.b-c"] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", "São Paulo", "a/b", &"a".repeat(65)] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
