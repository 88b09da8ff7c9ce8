//! `regua key`: creates, lists, replaces and revokes API keys.

use anyhow::{Context, bail};
use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeZone, Utc};
use chrono_tz::Tz;
use clap::{Args, Subcommand};
use ipnetwork::IpNetwork;
use regua_boot::Clock;
use regua_domain::{MessageType, Scope};
use serde_json::{Value, json};

use crate::client::{AdminClient, TenantArguments};
use crate::exit_status::ExitStatus;
use crate::{display_name, output};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create an API key and print it; it is shown this once
    #[command(
        after_help = "Example:\n  regua key create --tenant acme --types overdue,upcoming --allow-ip 203.0.113.0/24 --expires 2027-12-31"
    )]
    Create(Create),
    /// List a tenant's keys, newest first
    #[command(after_help = "Example:\n  regua key list --tenant acme")]
    List(TenantArguments),
    /// Create a key with the rights of an old one, which expires after an overlap
    #[command(after_help = "Example:\n  regua key rotate --tenant acme k3xw9qpa --overlap-hours 48")]
    Rotate(Rotate),
    /// Revoke a key; every process refuses it within seconds
    #[command(after_help = "Example:\n  regua key revoke --tenant acme k3xw9qpa")]
    Revoke(KeyArguments),
}

#[derive(Args, Debug)]
pub(crate) struct KeyArguments {
    #[command(flatten)]
    target: TenantArguments,
    /// The eight characters of the key after regua_, as `regua key list` shows them
    prefix: String,
}

#[derive(Args, Debug)]
pub(crate) struct Rotate {
    #[command(flatten)]
    key: KeyArguments,
    /// Hours until the old key expires
    #[arg(long, value_name = "N", default_value_t = 24, value_parser = clap::value_parser!(i64).range(0..=720))]
    overlap_hours: i64,
}

#[derive(Args, Debug)]
pub(crate) struct Create {
    #[command(flatten)]
    target: TenantArguments,
    /// For people: the program that uses the key
    #[arg(long, default_value = "default", value_parser = display_name::parse)]
    name: String,
    /// Message types that the key may send
    #[arg(long, value_name = "TYPE", value_delimiter = ',', default_value = "overdue,upcoming,notification")]
    types: Vec<MessageType>,
    /// What the key may do; may be repeated
    #[arg(long, value_name = "SCOPE", value_delimiter = ',', default_value = "send,control,read")]
    scope: Vec<Scope>,
    /// A network from which the key may be used, such as 203.0.113.0/24; may be repeated; absent: any
    #[arg(long, value_name = "CIDR")]
    allow_ip: Vec<IpNetwork>,
    /// Last day on which the key is valid, such as 2027-12-31, or the instant at which it expires, such as
    /// 2027-12-31T12:00:00-03:00
    #[arg(long, value_name = "DATE")]
    expires: Option<Expiry>,
    /// Rate limit of the key, in requests a minute; absent: the tenant's rate limit for each key
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..=6_000_000))]
    requests_per_minute: Option<i32>,
}

/// The value of --expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expiry {
    EndOf(NaiveDate),
    At(DateTime<Utc>),
}

impl std::str::FromStr for Expiry {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let day = text.parse().map(Self::EndOf).ok();
        let instant = || DateTime::parse_from_rfc3339(text).map(|at| Self::At(at.with_timezone(&Utc))).ok();
        day.or_else(instant).ok_or("write 2027-12-31 or 2027-12-31T12:00:00-03:00")
    }
}

impl Expiry {
    /// A day ends at midnight in the tenant's time zone.
    fn instant(self, zone: Tz) -> Option<DateTime<Utc>> {
        match self {
            Self::At(instant) => Some(instant),
            Self::EndOf(day) => {
                let midnight = day.checked_add_days(Days::new(1))?.and_time(NaiveTime::MIN);
                Some(zone.from_local_datetime(&midnight).earliest()?.with_timezone(&Utc))
            }
        }
    }
}

pub(crate) async fn run(command: &Command) -> anyhow::Result<ExitStatus> {
    match command {
        Command::Create(create) => create.run().await,
        Command::List(target) => list(target).await,
        Command::Rotate(rotate) => rotate.run().await,
        Command::Revoke(key) => key.revoke().await,
    }
}

impl Create {
    async fn run(&self) -> anyhow::Result<ExitStatus> {
        let admin = self.target.open().await?;
        let mut types = self.types.clone();
        types.sort_unstable();
        types.dedup();
        let mut scopes = self.scope.clone();
        scopes.sort_unstable();
        scopes.dedup();
        let expires_at = expiry(&admin, self.expires).await?;
        let networks: Vec<_> = self.allow_ip.iter().map(ToString::to_string).collect();
        let body = json!({
            "name": self.name, "scopes": scopes, "types": types, "allowed_networks": networks, "expires_at": expires_at,
            "requests_per_minute": self.requests_per_minute,
        });
        let made = admin.post("/keys", &body).await?;
        if self.target.format.json {
            output::json(&json!({
                "key": made["api_key"], "tenant": self.target.tenant, "name": self.name, "scopes": made["scopes"],
                "types": types, "allowed_networks": made["allowed_networks"], "expires_at": made["expires_at"],
                "requests_per_minute": made["requests_per_minute"],
            }))?;
            return Ok(ExitStatus::Success);
        }
        print(&made)
    }
}

fn print(made: &Value) -> anyhow::Result<ExitStatus> {
    output::line(made["api_key"].as_str().context("the answer has no key")?)?;
    output::remark("This key is shown once: only a hash of it is stored. Put it where your ERP keeps its secrets.");
    Ok(ExitStatus::Success)
}

async fn list(target: &TenantArguments) -> anyhow::Result<ExitStatus> {
    let keys = target.open().await?.items("/keys").await?;
    if target.format.json {
        output::json(&keys)?;
        return Ok(ExitStatus::Success);
    }
    let header = ["KEY", "NAME", "STATE", "SCOPES", "TYPES", "FROM", "EXPIRES", "LAST USED"];
    output::table(header, keys.iter().map(row))?;
    Ok(ExitStatus::Success)
}

fn row(key: &Value) -> [String; 8] {
    let list = |name: &str| {
        let items = key[name].as_array().into_iter().flatten().filter_map(Value::as_str);
        items.collect::<Vec<_>>().join(", ")
    };
    let networks = Some(list("allowed_networks")).filter(|networks| !networks.is_empty());
    [
        output::cell(&key["prefix"]),
        output::cell(&key["name"]),
        if key["active"] == true { "active" } else { "off" }.to_owned(),
        list("scopes"),
        list("types"),
        networks.unwrap_or_else(|| "any".to_owned()),
        output::cell(&key["expires_at"]),
        output::cell(&key["last_used_at"]),
    ]
}

impl KeyArguments {
    async fn find(&self) -> anyhow::Result<(AdminClient, Value)> {
        let admin = self.target.open().await?;
        let keys = admin.items("/keys").await?;
        let found = keys.into_iter().find(|key| key["prefix"] == *self.prefix);
        let found = found.with_context(|| format!("the tenant has no key {:?}: see `regua key list`", self.prefix))?;
        Ok((admin, found))
    }

    async fn revoke(&self) -> anyhow::Result<ExitStatus> {
        let (admin, key) = self.find().await?;
        admin.delete(&format!("/keys/{}", output::cell(&key["key_id"]))).await?;
        if self.target.format.json {
            output::json(&json!({"prefix": self.prefix, "active": false}))?;
        } else {
            output::line(format_args!("key {} is off", self.prefix))?;
        }
        Ok(ExitStatus::Success)
    }
}

impl Rotate {
    async fn run(&self) -> anyhow::Result<ExitStatus> {
        let (admin, key) = self.key.find().await?;
        let path = format!("/keys/{}/rotate", output::cell(&key["key_id"]));
        let made = admin.post(&path, &json!({"overlap_seconds": self.overlap_hours * 3600})).await?;
        if self.key.target.format.json {
            output::json(&json!({
                "key": made["api_key"], "prefix": made["prefix"], "replaces": self.key.prefix,
                "overlap_hours": self.overlap_hours,
            }))?;
            return Ok(ExitStatus::Success);
        }
        print(&made)
    }
}

async fn expiry(admin: &AdminClient, expiry: Option<Expiry>) -> anyhow::Result<Option<DateTime<Utc>>> {
    let Some(expiry) = expiry else { return Ok(None) };
    let config = admin.get("/config").await?;
    let instant = expiry.instant(output::cell(&config["time_zone"]).parse()?);
    if instant.is_none_or(|instant| instant <= Clock::system().now()) {
        bail!("--expires is in the past: choose a later day");
    }
    Ok(instant)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn day_ends_in_the_time_zone_of_the_tenant() {
        let ends = |text: &str| text.parse::<Expiry>().unwrap().instant(Tz::America__Sao_Paulo).unwrap().to_rfc3339();
        assert_eq!(ends("2027-12-31"), "2028-01-01T03:00:00+00:00");
        assert_eq!(ends("2027-12-31T12:00:00-03:00"), "2027-12-31T15:00:00+00:00");
        assert!("31/12/2027".parse::<Expiry>().is_err());
    }
}
