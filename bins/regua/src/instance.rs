//! `regua instance`: WhatsApp numbers at Evolution API servers.

mod gateway;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use regua_domain::MessageType;
use serde_json::{Value, json};

use crate::admin::{Admin, Of};
use crate::arguments::Ending;
use crate::instance::gateway::GatewayArguments;
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
    List(Of),
    /// Ask the gateway whether numbers are connected; exit status 1 when one is not
    #[command(after_help = "Example:\n  regua instance check --tenant acme matriz")]
    Check(Check),
    /// Have the gateway tell us what leaves through a number, and what becomes of it (with a new secret each time)
    #[command(
        after_help = "Example:\n  regua instance webhook --tenant acme matriz --public-url https://regua.acme.example"
    )]
    Webhook(Webhook),
}

#[derive(Args, Debug)]
pub(crate) struct Webhook {
    #[command(flatten)]
    of: Of,
    #[command(flatten)]
    gateway: GatewayArguments,
    /// The number
    name: String,
    /// Where the gateway reaches regua-api
    #[arg(long, env = "REGUA_PUBLIC_URL", value_name = "URL")]
    public_url: String,
}

#[derive(Args)]
pub(crate) struct Add {
    #[command(flatten)]
    of: Of,
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
    /// Messages a minute; absent: the tenant's
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..=6_000_000))]
    rate: Option<i32>,
    /// Messages a day; absent: the tenant's
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    daily_cap: Option<i32>,
    /// Sends that may be on their way at once; above 1 only for numbers that may send fast
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(i16).range(1..=256))]
    concurrency: i16,
    /// Make it the tenant's default for every type, whichever was before
    #[arg(long)]
    default: bool,
}

impl std::fmt::Debug for Add {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Add").field("of", &self.of).field("name", &self.name).finish_non_exhaustive()
    }
}

#[derive(Args, Debug)]
pub(crate) struct Check {
    #[command(flatten)]
    of: Of,
    #[command(flatten)]
    gateway: GatewayArguments,
    /// Only this number
    name: Option<String>,
}

/// Runs the command.
pub(crate) async fn run(command: &Command) -> anyhow::Result<Ending> {
    match command {
        Command::Add(add) => add.run().await,
        Command::List(of) => list(of).await,
        Command::Check(check) => check.run().await,
        Command::Webhook(webhook) => webhook.run().await,
    }
}

impl Add {
    async fn run(&self) -> anyhow::Result<Ending> {
        let admin = self.of.open_with(|| self.gateway.gateways()).await?;
        let body = json!({
            "name": self.name, "base_url": self.url, "token": self.token, "messages_per_minute": self.rate,
            "daily_cap": self.daily_cap, "lane_concurrency": self.concurrency,
        });
        let made = admin.post("/instances", &body).await?;
        if self.default {
            make_default(&admin, &made["instance_id"]).await?;
        }
        let is_default = self.default || made["default_for"].as_array().is_some_and(|types| !types.is_empty());
        if self.of.form.json {
            let (id, url) = (&made["instance_id"], &made["base_url"]);
            output::json(&json!({"instance_id": id, "name": self.name, "url": url, "default": is_default}))?;
        } else {
            let default = if is_default { ", the tenant's default" } else { "" };
            output::line(format_args!("instance {} added{default}", self.name))?;
            output::line(format_args!("next: regua instance check --tenant {} {}", self.of.tenant, self.name))?;
        }
        Ok(Ending::Done)
    }
}

/// Makes a number the default of every type.
async fn make_default(admin: &Admin, id: &Value) -> anyhow::Result<()> {
    let defaults = admin.items("/defaults").await?;
    for message_type in MessageType::ALL {
        let default = defaults.iter().find(|default| default["type"] == message_type.as_str());
        let template = default.map_or(&Value::Null, |default| &default["template_id"]);
        let body = json!({"template_id": template, "instance_id": id});
        admin.put(&format!("/defaults/{message_type}"), &body).await?;
    }
    Ok(())
}

async fn list(of: &Of) -> anyhow::Result<Ending> {
    let all = of.open().await?.items("/instances").await?;
    if of.form.json {
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
        return Ok(Ending::Done);
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
    Ok(Ending::Done)
}

impl Webhook {
    async fn run(&self) -> anyhow::Result<Ending> {
        let admin = self.of.open_with(|| self.gateway.gateways()).await?;
        let all = admin.items("/instances").await?;
        let one = all.iter().find(|one| one["name"] == *self.name);
        let one = one.with_context(|| format!("the tenant has no instance {:?}", self.name))?;
        let path = format!("/instances/{}/webhook", output::cell(&one["instance_id"]));
        let set = admin.post(&path, &json!({"public_url": self.public_url})).await?;
        if self.of.form.json {
            output::json(&json!({"name": self.name, "webhook_url": set["webhook_url"]}))?;
        } else {
            let url = output::cell(&set["webhook_url"]);
            output::line(format_args!("instance {} tells {url} what it sends", self.name))?;
        }
        Ok(Ending::Done)
    }
}

impl Check {
    async fn run(&self) -> anyhow::Result<Ending> {
        let admin = self.of.open_with(|| self.gateway.gateways()).await?;
        let all = admin.items("/instances").await?;
        let is_meant = |one: &&Value| self.name.as_ref().is_none_or(|name| one["name"] == **name);
        let chosen: Vec<_> = all.iter().filter(is_meant).collect();
        if chosen.is_empty() {
            let names: Vec<_> = all.iter().map(|one| output::cell(&one["name"])).collect();
            bail!(
                "there is no such instance; the tenant has: {}",
                if names.is_empty() { "none".to_owned() } else { names.join(", ") }
            );
        }
        let mut seen = Vec::new();
        for one in chosen {
            let path = format!("/instances/{}/check", output::cell(&one["instance_id"]));
            let mut checked = admin.post(&path, &json!({})).await?;
            checked["name"] = one["name"].clone();
            seen.push(checked);
        }
        if self.of.form.json {
            let rows =
                seen.iter().map(|one| json!({"name": one["name"], "state": one["state"], "reason": one["reason"]}));
            output::json(&rows.collect::<Vec<_>>())?;
        } else {
            let rows = seen.iter().map(|one| [output::cell(&one["name"]), state(one, "reason")]);
            output::table(["NAME", "STATE"], rows)?;
        }
        Ok(Ending::of(seen.iter().all(|one| one["state"] == "open")))
    }
}

/// A number's state and, where there is one, the reason.
fn state(one: &Value, reason: &str) -> String {
    let state = output::cell(&one["state"]);
    one[reason].as_str().map_or_else(|| state.clone(), |reason| format!("{state} ({reason})"))
}

/// As the table's check has it.
fn name(text: &str) -> Result<String, String> {
    let is_name = (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    if is_name {
        Ok(text.to_owned())
    } else {
        Err("use 1 to 64 letters, digits, dots, hyphens and underscores".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_the_table_takes() {
        for good in ["matriz", "Filial_2", "a.b-c"] {
            assert!(name(good).is_ok(), "{good}");
        }
        for bad in ["", "São Paulo", "a/b", &"a".repeat(65)] {
            assert!(name(bad).is_err(), "{bad}");
        }
    }
}
