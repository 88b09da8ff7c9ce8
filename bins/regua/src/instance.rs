//! `regua instance`: WhatsApp numbers at Evolution API servers.

mod gateway;

use anyhow::{Context, bail, ensure};
use clap::{Args, Subcommand};
use regua_boot::{Clock, DatabaseArguments};
use regua_domain::{InstanceId, MessageType, TenantId};
use regua_store::{instances, type_defaults};
use serde_json::json;
use sqlx::PgConnection;

use crate::arguments::{Ending, Form};
use crate::instance::gateway::GatewayArguments;
use crate::{database, output};

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
pub(crate) struct Of {
    #[command(flatten)]
    database: DatabaseArguments,
    /// The tenant's slug
    #[arg(long, value_name = "SLUG")]
    tenant: String,
    #[command(flatten)]
    form: Form,
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
        Command::List(of) => of.list().await,
        Command::Check(check) => check.run().await,
        Command::Webhook(webhook) => webhook.run().await,
    }
}

impl Add {
    async fn run(&self) -> anyhow::Result<Ending> {
        let address = self.gateway.new_address(&self.url, &self.name, &self.token)?;
        let pool = database::open(&self.of.database)?;
        let mut transaction = pool.begin().await?;
        let conn = &mut *transaction;
        let tenant = database::tenant(conn, &self.of.tenant).await?;
        let (server, name, now) = (address.server(), &self.name, Clock::system().now());
        ensure!(
            !instances::is_taken_by_another(conn, tenant, server, name).await?,
            "another tenant has the instance {name:?} of {server}: a number belongs to one tenant (docs/gateway.md)"
        );
        let id = InstanceId::new(now);
        let token = self.gateway.seal(tenant, id, &self.token)?;
        let id = instances::create(conn, tenant, id, name, server, &token, now).await?;
        let id = id.with_context(|| format!("the tenant already has an instance {:?}", self.name))?;
        instances::set_pace(conn, tenant, id, self.rate, self.daily_cap, self.concurrency).await?;
        for message_type in MessageType::ALL {
            type_defaults::set_instance(conn, tenant, message_type, id, !self.default).await?;
        }
        let is_default = defaults(conn, tenant).await?.iter().any(|(_, default)| *default == id);
        transaction.commit().await?;
        if self.of.form.json {
            output::json(&json!({"instance_id": id, "name": self.name, "url": server, "default": is_default}))?;
        } else {
            let default = if is_default { ", the tenant's default" } else { "" };
            output::line(format_args!("instance {} added{default}", self.name))?;
            output::line(format_args!("next: regua instance check --tenant {} {}", self.of.tenant, self.name))?;
        }
        Ok(Ending::Done)
    }
}

impl Of {
    async fn list(&self) -> anyhow::Result<Ending> {
        let pool = database::open(&self.database)?;
        let mut transaction = pool.begin().await?;
        let tenant = database::tenant(&mut transaction, &self.tenant).await?;
        let all = instances::list(&mut transaction, tenant).await?;
        let defaults = defaults(&mut transaction, tenant).await?;
        transaction.commit().await?;
        let default_for = |id: InstanceId| -> Vec<_> {
            defaults
                .iter()
                .filter(|(_, default)| *default == id)
                .map(|(message_type, _)| message_type.as_str())
                .collect()
        };
        if self.form.json {
            let rows = all.iter().map(|one| {
                json!({
                    "instance_id": one.instance_id, "name": one.name, "url": one.base_url, "state": one.state,
                    "reason": one.state_reason, "messages_per_minute": one.messages_per_minute,
                    "daily_cap": one.daily_cap, "concurrency": one.lane_concurrency,
                    "default_for": default_for(one.instance_id),
                })
            });
            output::json(&rows.collect::<Vec<_>>())?;
            return Ok(Ending::Done);
        }
        let header = ["NAME", "URL", "LAST SEEN", "A MINUTE", "A DAY", "AT ONCE", "DEFAULT FOR"];
        let rows = all.iter().map(|one| {
            [
                one.name.clone(),
                one.base_url.clone(),
                state(&one.state, one.state_reason.as_deref()),
                one.messages_per_minute.to_string(),
                one.daily_cap.map_or_else(|| "-".to_owned(), |cap| cap.to_string()),
                one.lane_concurrency.to_string(),
                default_for(one.instance_id).join(", "),
            ]
        });
        output::table(header, rows)?;
        Ok(Ending::Done)
    }
}

impl Webhook {
    /// The secret is stored first: should the gateway take it and its answer get lost, its webhooks are taken all the same.
    async fn run(&self) -> anyhow::Result<Ending> {
        let pool = database::open(&self.of.database)?;
        let mut transaction = pool.begin().await?;
        let tenant = database::tenant(&mut transaction, &self.of.tenant).await?;
        let all = instances::list(&mut transaction, tenant).await?;
        let one = all.into_iter().find(|one| one.name == self.name);
        let one = one.with_context(|| format!("the tenant has no instance {:?}", self.name))?;
        let address = self.gateway.address_of(tenant, &one)?;
        let mut random = [0; 32];
        let source = rustls::crypto::ring::default_provider().secure_random;
        source.fill(&mut random).map_err(|_| anyhow::anyhow!("the system has no random numbers"))?;
        let (secret, hash) = regua_api::keys::webhook_secret(&random);
        instances::set_webhook_secret(&mut transaction, tenant, one.instance_id, &hash).await?;
        transaction.commit().await?;
        let base = self.public_url.trim_end_matches('/');
        let url = format!("{base}/webhooks/evolution/{tenant}/{}", one.instance_id);
        let gateway = self.gateway.client()?;
        let set = gateway.set_webhook(&address, &url, ("X-Regua-Webhook-Secret", &secret)).await;
        set.map_err(|reason| anyhow::anyhow!("the gateway did not take it ({reason}): repeat the command"))?;
        if self.of.form.json {
            output::json(&json!({"name": one.name, "webhook_url": url}))?;
        } else {
            output::line(format_args!("instance {} tells {url} what it sends", one.name))?;
        }
        Ok(Ending::Done)
    }
}

impl Check {
    async fn run(&self) -> anyhow::Result<Ending> {
        let pool = database::open(&self.of.database)?;
        let mut transaction = pool.begin().await?;
        let tenant = database::tenant(&mut transaction, &self.of.tenant).await?;
        let all = instances::list(&mut transaction, tenant).await?;
        transaction.commit().await?;
        let chosen: Vec<_> = all.iter().filter(|one| self.name.as_ref().is_none_or(|name| *name == one.name)).collect();
        if chosen.is_empty() {
            let names: Vec<_> = all.iter().map(|one| one.name.as_str()).collect();
            bail!(
                "there is no such instance; the tenant has: {}",
                if names.is_empty() { "none".to_owned() } else { names.join(", ") }
            );
        }
        let gateway = self.gateway.client()?;
        let mut seen = Vec::new();
        for one in chosen {
            let (word, why) = self.gateway.ask(&gateway, tenant, one).await;
            seen.push((&one.name, word, why));
        }
        if self.of.form.json {
            let rows = seen.iter().map(|(name, state, reason)| json!({"name": name, "state": state, "reason": reason}));
            output::json(&rows.collect::<Vec<_>>())?;
        } else {
            output::table(
                ["NAME", "STATE"],
                seen.iter().map(|(name, word, why)| [name.to_string(), state(word, why.as_deref())]),
            )?;
        }
        Ok(Ending::of(seen.iter().all(|(_, state, _)| *state == "open")))
    }
}

/// The tenant's default instance of each type.
async fn defaults(conn: &mut PgConnection, tenant: TenantId) -> anyhow::Result<Vec<(MessageType, InstanceId)>> {
    let mut all = Vec::new();
    for message_type in MessageType::ALL {
        let default = instances::for_type(conn, tenant, message_type, None).await?;
        all.extend(default.map(|id| (message_type, id)));
    }
    Ok(all)
}

fn state(state: &str, reason: Option<&str>) -> String {
    reason.map_or_else(|| state.to_owned(), |reason| format!("{state} ({reason})"))
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
