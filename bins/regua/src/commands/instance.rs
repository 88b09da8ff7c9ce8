//! `regua instance`: adds, lists and checks WhatsApp numbers at Evolution API servers.

use std::process::ExitCode;

use anyhow::{Context, ensure};
use clap::{Args, Subcommand};
use regua_domain::{InstanceName, InstanceState, MessageType};
use regua_evolution::AllowedNetworks;
use regua_secrets::SecretArguments;
use regua_store::instances::InstanceSettings;
use regua_store::type_defaults::Default as TypeDefault;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::client::{Client, TenantArguments};
use crate::output::{self, joined, or_dash, with_reason};
use crate::secret::Secret;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Add a number; a tenant's first one is its default for every type
    #[command(
        after_help = "Example:\n  regua instance add --tenant acme --name matriz --url https://evolution.acme.example --token …"
    )]
    Add {
        #[command(flatten)]
        gateway: GatewayArguments,
        #[command(flatten)]
        new: NewInstance,
        /// Make it the tenant's default for every type, in place of the present ones
        #[arg(long)]
        default: bool,
    },
    /// List a tenant's numbers
    #[command(after_help = "Example:\n  regua instance list --tenant acme")]
    List(TenantArguments),
    /// Ask the gateway whether numbers are connected; exit status 1 when one is not
    #[command(after_help = "Example:\n  regua instance check --tenant acme matriz")]
    Check {
        #[command(flatten)]
        gateway: GatewayArguments,
        /// Only this instance
        name: Option<String>,
    },
    /// Let the gateway post events of a number's messages to regua-api; each call makes a new secret
    #[command(
        after_help = "Example:\n  regua instance webhook --tenant acme matriz --public-url https://regua.acme.example"
    )]
    Webhook {
        #[command(flatten)]
        gateway: GatewayArguments,
        /// The instance
        name: String,
        /// Address of regua-api for the gateway
        #[arg(long, env = "REGUA_PUBLIC_URL", value_name = "URL")]
        public_url: String,
    },
}

/// The arguments of commands that call a gateway from this process. Over HTTP the API uses its own settings.
#[derive(Args, Debug)]
pub(crate) struct GatewayArguments {
    #[command(flatten)]
    target: TenantArguments,
    #[command(flatten)]
    secrets: SecretArguments,
    /// Networks and servers (host:port) where gateways may be, in addition to public addresses, such as
    /// 10.0.0.0/8,evolution:8080; any: everywhere
    #[arg(long, env = "GATEWAY_ALLOW_NETWORKS", default_value_t, value_name = "NETWORKS")]
    gateway_allow_networks: AllowedNetworks,
}

#[derive(Args, Debug, Serialize)]
pub(crate) struct NewInstance {
    /// The instance's name at the Evolution API server
    #[arg(long, value_parser = name)]
    name: InstanceName,
    /// The Evolution API server
    #[arg(long, env = "EVOLUTION_API_URL")]
    #[serde(rename = "base_url")]
    url: String,
    /// The instance's token, or the server's global key
    #[arg(long, env = "EVOLUTION_API_KEY", hide_env_values = true)]
    token: Secret,
    /// Messages a minute; absent: the tenant's rate
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..=6_000_000))]
    #[serde(rename = "messages_per_minute")]
    rate: Option<i32>,
    /// Messages a day; absent: the tenant's cap
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    daily_cap: Option<i32>,
    /// Requests to the gateway at the same time; above 1 only for numbers that may send fast
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(i16).range(1..=256))]
    #[serde(rename = "lane_concurrency")]
    concurrency: i16,
}

pub(crate) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Add { gateway, new, default } => add(&gateway, &new, default).await,
        Command::List(target) => list(&target).await,
        Command::Check { gateway, name } => check(&gateway, name.as_deref()).await,
        Command::Webhook { gateway, name, public_url } => set_webhook(&gateway, &name, &public_url).await,
    }
}

impl GatewayArguments {
    async fn client(&self) -> anyhow::Result<Client> {
        self.target.client_with(Some(&self.secrets), self.gateway_allow_networks.clone()).await
    }
}

async fn add(gateway: &GatewayArguments, new: &NewInstance, replaces_default: bool) -> anyhow::Result<ExitCode> {
    let client = gateway.client().await?;
    let added: InstanceSettings = client.post("/admin/instances", new).await?;
    if replaces_default {
        for message_type in MessageType::ALL {
            let default = client.default_of(message_type).await?;
            client.replace_default(&TypeDefault { instance: Some(added.instance_id), ..default }).await?;
        }
    }
    let is_default = replaces_default || !added.default_for.is_empty();
    let (NewInstance { name, .. }, TenantArguments { tenant, format, .. }) = (new, &gateway.target);
    let default = if is_default { ", the tenant's default" } else { "" };
    format.result(
        &json!({"instance_id": added.instance_id, "name": name, "url": added.base_url, "default": is_default}),
        format_args!("instance {name} added{default}\nnext: regua instance check --tenant {tenant} {name}"),
    )
}

async fn list(target: &TenantArguments) -> anyhow::Result<ExitCode> {
    let all: Vec<InstanceSettings> = target.client().await?.items("/admin/instances").await?;
    if target.format.json {
        let rows = all.iter().map(|one| {
            json!({
                "instance_id": one.instance_id, "name": one.name, "url": one.base_url,
                "state": one.state, "reason": one.state_reason,
                "messages_per_minute": one.effective_messages_per_minute,
                "daily_cap": one.effective_daily_cap, "concurrency": one.lane_concurrency,
                "default_for": one.default_for,
            })
        });
        output::json(&rows.collect::<Vec<_>>())?;
        return Ok(ExitCode::SUCCESS);
    }
    let header = ["NAME", "URL", "LAST SEEN", "A MINUTE", "A DAY", "AT ONCE", "DEFAULT FOR"];
    let rows = all.iter().map(|one| {
        [
            one.name.to_string(),
            one.base_url.clone(),
            with_reason(one.state, one.state_reason.as_deref()),
            one.effective_messages_per_minute.to_string(),
            or_dash(one.effective_daily_cap),
            one.lane_concurrency.to_string(),
            joined(&one.default_for),
        ]
    });
    output::table(header, rows)?;
    Ok(ExitCode::SUCCESS)
}

#[derive(Deserialize)]
struct WebhookSet {
    webhook_url: String,
}

async fn set_webhook(gateway: &GatewayArguments, name: &str, public_url: &str) -> anyhow::Result<ExitCode> {
    let client = gateway.client().await?;
    let one = client.find("/admin/instances", |one: &InstanceSettings| one.name.as_str() == name).await?;
    let one = one.with_context(|| format!("the tenant has no instance {name:?}"))?;
    let path = format!("/admin/instances/{}/webhook", one.instance_id);
    let WebhookSet { webhook_url } = client.post(&path, &json!({"public_url": public_url})).await?;
    let text = format_args!("instance {name} tells {webhook_url} what it sends");
    gateway.target.format.result(&json!({"name": name, "webhook_url": webhook_url}), text)
}

/// The connection of an instance at its gateway. The API's answer has no name.
#[derive(Deserialize, Serialize)]
struct Checked {
    #[serde(default)]
    name: String,
    state: InstanceState,
    reason: Option<String>,
}

async fn check(gateway: &GatewayArguments, only: Option<&str>) -> anyhow::Result<ExitCode> {
    let client = gateway.client().await?;
    let all: Vec<InstanceSettings> = client.items("/admin/instances").await?;
    let mut results = Vec::new();
    for one in all.iter().filter(|one| only.is_none_or(|name| one.name.as_str() == name)) {
        let path = format!("/admin/instances/{}/check", one.instance_id);
        let checked: Checked = client.post(&path, &json!({})).await?;
        results.push(Checked { name: one.name.to_string(), ..checked });
    }
    let names = if all.is_empty() { "none".to_owned() } else { joined(all.iter().map(|one| &one.name)) };
    ensure!(!results.is_empty(), "there is no such instance; the tenant has: {names}");
    gateway.target.format.listing(&results, ["NAME", "STATE"], |one| {
        [one.name.clone(), with_reason(one.state, one.reason.as_deref())]
    })?;
    Ok(output::success_if(results.iter().all(|one| one.state == InstanceState::Open)))
}

/// The names that the table's check constraint allows.
fn name(text: &str) -> Result<InstanceName, String> {
    text.parse().map_err(|_| "use 1 to 64 letters, digits, dots, hyphens and underscores".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instance_name_follows_the_check_constraint() {
        for good in ["matriz", "Filial_2", "a.b-c"] {
            assert!(name(good).is_ok(), "{good}");
        }
        for bad in ["", "São Paulo", "a/b", &"a".repeat(65)] {
            assert!(name(bad).is_err(), "{bad}");
        }
    }
}
