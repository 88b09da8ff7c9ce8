//! `regua instance`: adds, lists and checks WhatsApp numbers at Evolution API servers.

mod gateway;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use regua_domain::{InstanceName, MessageType};
use serde_json::{Value, json};

use self::gateway::GatewayArguments;
use crate::client::{AdminClient, TenantArguments};
use crate::exit_status::ExitStatus;
use crate::output;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Add a number; a tenant's first one is its default for every type
    #[command(
        after_help = "Example:\n  regua instance add --tenant acme --name matriz --url https://evolution.acme.example --token …"
    )]
    Add(Add),
    /// List a tenant's numbers
    #[command(after_help = "Example:\n  regua instance list --tenant acme")]
    List(TenantArguments),
    /// Ask the gateway whether numbers are connected; exit status 1 when one is not
    #[command(after_help = "Example:\n  regua instance check --tenant acme matriz")]
    Check(Check),
    /// Let the gateway post events of a number's messages to regua-api; each call makes a new secret
    #[command(
        after_help = "Example:\n  regua instance webhook --tenant acme matriz --public-url https://regua.acme.example"
    )]
    Webhook(Webhook),
}

#[derive(Args, Debug)]
pub(crate) struct Webhook {
    #[command(flatten)]
    target: TenantArguments,
    #[command(flatten)]
    gateway: GatewayArguments,
    /// The instance
    name: String,
    /// Address of regua-api for the gateway
    #[arg(long, env = "REGUA_PUBLIC_URL", value_name = "URL")]
    public_url: String,
}

#[derive(Args)]
pub(crate) struct Add {
    #[command(flatten)]
    target: TenantArguments,
    #[command(flatten)]
    gateway: GatewayArguments,
    /// The instance's name at the Evolution API server
    #[arg(long, value_parser = name)]
    name: String,
    /// The Evolution API server
    #[arg(long, env = "EVOLUTION_API_URL")]
    url: String,
    /// The instance's token, or the server's global key
    #[arg(long, env = "EVOLUTION_API_KEY", hide_env_values = true)]
    token: String,
    /// Messages a minute; absent: the tenant's rate
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..=6_000_000))]
    rate: Option<i32>,
    /// Messages a day; absent: the tenant's cap
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    daily_cap: Option<i32>,
    /// Requests to the gateway at the same time; above 1 only for numbers that may send fast
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(i16).range(1..=256))]
    concurrency: i16,
    /// Make it the tenant's default for every type, in place of the present ones
    #[arg(long)]
    default: bool,
}

impl std::fmt::Debug for Add {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Add").field("target", &self.target).field("name", &self.name).finish_non_exhaustive()
    }
}

#[derive(Args, Debug)]
pub(crate) struct Check {
    #[command(flatten)]
    target: TenantArguments,
    #[command(flatten)]
    gateway: GatewayArguments,
    /// Only this instance
    name: Option<String>,
}

pub(crate) async fn run(command: &Command) -> anyhow::Result<ExitStatus> {
    match command {
        Command::Add(add) => add.run().await,
        Command::List(target) => list(target).await,
        Command::Check(check) => check.run().await,
        Command::Webhook(webhook) => webhook.run().await,
    }
}

impl Add {
    async fn run(&self) -> anyhow::Result<ExitStatus> {
        let admin = self.target.open_with(|| self.gateway.gateways()).await?;
        let body = json!({
            "name": self.name, "base_url": self.url, "token": self.token, "messages_per_minute": self.rate,
            "daily_cap": self.daily_cap, "lane_concurrency": self.concurrency,
        });
        let made = admin.post("/instances", &body).await?;
        if self.default {
            make_default(&admin, &made["instance_id"]).await?;
        }
        let is_default = self.default || made["default_for"].as_array().is_some_and(|types| !types.is_empty());
        if self.target.format.json {
            let (id, url) = (&made["instance_id"], &made["base_url"]);
            output::json(&json!({"instance_id": id, "name": self.name, "url": url, "default": is_default}))?;
        } else {
            let default = if is_default { ", the tenant's default" } else { "" };
            output::line(format_args!("instance {} added{default}", self.name))?;
            output::line(format_args!("next: regua instance check --tenant {} {}", self.target.tenant, self.name))?;
        }
        Ok(ExitStatus::Success)
    }
}

/// For every message type; the default templates stay.
async fn make_default(admin: &AdminClient, id: &Value) -> anyhow::Result<()> {
    let defaults = admin.items("/defaults").await?;
    for message_type in MessageType::ALL {
        let default = defaults.iter().find(|default| default["type"] == message_type.as_str());
        let template = default.map_or(&Value::Null, |default| &default["template_id"]);
        let body = json!({"template_id": template, "instance_id": id});
        admin.put(&format!("/defaults/{message_type}"), &body).await?;
    }
    Ok(())
}

async fn list(target: &TenantArguments) -> anyhow::Result<ExitStatus> {
    let all = target.open().await?.items("/instances").await?;
    if target.format.json {
        let rows = all.iter().map(|one| {
            json!({
                "instance_id": one["instance_id"], "name": one["name"], "url": one["base_url"],
                "state": one["state"], "reason": one["state_reason"],
                "messages_per_minute": one["effective_messages_per_minute"],
                "daily_cap": one["effective_daily_cap"], "concurrency": one["lane_concurrency"],
                "default_for": one["default_for"],
            })
        });
        output::json(&rows.collect::<Vec<_>>())?;
        return Ok(ExitStatus::Success);
    }
    let header = ["NAME", "URL", "LAST SEEN", "A MINUTE", "A DAY", "AT ONCE", "DEFAULT FOR"];
    let rows = all.iter().map(|one| {
        let types = one["default_for"].as_array().into_iter().flatten().filter_map(Value::as_str);
        [
            output::cell(&one["name"]),
            output::cell(&one["base_url"]),
            state(one, "state_reason"),
            output::cell(&one["effective_messages_per_minute"]),
            output::cell(&one["effective_daily_cap"]),
            output::cell(&one["lane_concurrency"]),
            types.collect::<Vec<_>>().join(", "),
        ]
    });
    output::table(header, rows)?;
    Ok(ExitStatus::Success)
}

impl Webhook {
    async fn run(&self) -> anyhow::Result<ExitStatus> {
        let admin = self.target.open_with(|| self.gateway.gateways()).await?;
        let all = admin.items("/instances").await?;
        let one = all.iter().find(|one| one["name"] == *self.name);
        let one = one.with_context(|| format!("the tenant has no instance {:?}", self.name))?;
        let path = format!("/instances/{}/webhook", output::cell(&one["instance_id"]));
        let set = admin.post(&path, &json!({"public_url": self.public_url})).await?;
        if self.target.format.json {
            output::json(&json!({"name": self.name, "webhook_url": set["webhook_url"]}))?;
        } else {
            let url = output::cell(&set["webhook_url"]);
            output::line(format_args!("instance {} tells {url} what it sends", self.name))?;
        }
        Ok(ExitStatus::Success)
    }
}

impl Check {
    async fn run(&self) -> anyhow::Result<ExitStatus> {
        let admin = self.target.open_with(|| self.gateway.gateways()).await?;
        let all = admin.items("/instances").await?;
        let is_chosen = |one: &&Value| self.name.as_ref().is_none_or(|name| one["name"] == **name);
        let chosen: Vec<_> = all.iter().filter(is_chosen).collect();
        if chosen.is_empty() {
            let names: Vec<_> = all.iter().map(|one| output::cell(&one["name"])).collect();
            bail!(
                "there is no such instance; the tenant has: {}",
                if names.is_empty() { "none".to_owned() } else { names.join(", ") }
            );
        }
        let mut results = Vec::new();
        for one in chosen {
            let path = format!("/instances/{}/check", output::cell(&one["instance_id"]));
            let mut checked = admin.post(&path, &json!({})).await?;
            checked["name"] = one["name"].clone();
            results.push(checked);
        }
        if self.target.format.json {
            let rows =
                results.iter().map(|one| json!({"name": one["name"], "state": one["state"], "reason": one["reason"]}));
            output::json(&rows.collect::<Vec<_>>())?;
        } else {
            let rows = results.iter().map(|one| [output::cell(&one["name"]), state(one, "reason")]);
            output::table(["NAME", "STATE"], rows)?;
        }
        Ok(ExitStatus::success_if(results.iter().all(|one| one["state"] == "open")))
    }
}

/// The state, with the reason if the instance has one.
fn state(one: &Value, reason: &str) -> String {
    let state = output::cell(&one["state"]);
    one[reason].as_str().map_or_else(|| state.clone(), |reason| format!("{state} ({reason})"))
}

/// The names that the table's check constraint allows.
fn name(text: &str) -> Result<String, String> {
    let refusal = |_| "use 1 to 64 letters, digits, dots, hyphens and underscores".to_owned();
    text.parse::<InstanceName>().map(|name| name.to_string()).map_err(refusal)
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
