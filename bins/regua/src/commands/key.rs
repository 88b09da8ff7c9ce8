//! `regua key`: creates, lists, replaces and revokes API keys.

use std::process::ExitCode;

use anyhow::{Context, ensure};
use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeZone, Utc};
use chrono_tz::Tz;
use clap::{Args, Subcommand};
use ipnetwork::IpNetwork;
use regua_boot::Clock;
use regua_domain::{MessageType, Scope};
use regua_store::api_keys::ListedKey;
use regua_store::tenant_configs::TenantConfig;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::client::{Client, TenantArguments};
use crate::output::{instant, joined, or_dash};
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
    Rotate {
        #[command(flatten)]
        key: KeyArguments,
        /// Hours until the old key expires
        #[arg(long, value_name = "N", default_value_t = 24, value_parser = clap::value_parser!(i64).range(0..=720))]
        overlap_hours: i64,
    },
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

/// An API key with its text.
#[derive(Deserialize)]
struct NewKey {
    api_key: String,
    #[serde(flatten)]
    key: ListedKey,
}

pub(crate) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Create(create) => create.run().await,
        Command::List(target) => {
            let keys: Vec<ListedKey> = target.client().await?.items("/admin/keys").await?;
            let header = ["KEY", "NAME", "STATE", "SCOPES", "TYPES", "FROM", "EXPIRES", "LAST USED"];
            target.format.listing(&keys, header, row)
        }
        Command::Rotate { key, overlap_hours } => key.rotate(overlap_hours).await,
        Command::Revoke(key) => key.revoke().await,
    }
}

impl Create {
    async fn run(mut self) -> anyhow::Result<ExitCode> {
        let client = self.target.client().await?;
        self.types.sort_unstable();
        self.types.dedup();
        self.scope.sort_unstable();
        self.scope.dedup();
        let networks: Vec<_> = self.allow_ip.iter().map(ToString::to_string).collect();
        let body = json!({
            "name": self.name, "scopes": self.scope, "types": self.types, "allowed_networks": networks,
            "expires_at": expires_at(&client, self.expires).await?, "requests_per_minute": self.requests_per_minute,
        });
        let NewKey { api_key, key } = client.post("/admin/keys", &body).await?;
        let shown = json!({
            "key": api_key, "tenant": self.target.tenant, "name": self.name, "scopes": key.scopes,
            "types": self.types, "allowed_networks": key.allowed_networks, "expires_at": key.expires_at,
            "requests_per_minute": key.requests_per_minute,
        });
        print(&self.target, &shown, &api_key)
    }
}

fn print(target: &TenantArguments, shown: &Value, api_key: &str) -> anyhow::Result<ExitCode> {
    let status = target.format.result(shown, api_key)?;
    if !target.format.json {
        output::remark("This key is shown once: only a hash of it is stored. Put it where your ERP keeps its secrets.");
    }
    Ok(status)
}

fn row(key: &ListedKey) -> [String; 8] {
    let networks = Some(joined(&key.allowed_networks)).filter(|networks| !networks.is_empty());
    [
        key.lookup_prefix.clone(),
        key.name.clone(),
        if key.active { "active" } else { "off" }.to_owned(),
        joined(&key.scopes),
        joined(&key.allowed_types),
        networks.unwrap_or_else(|| "any".to_owned()),
        or_dash(key.expires_at.map(instant)),
        or_dash(key.last_used_at.map(instant)),
    ]
}

impl KeyArguments {
    /// The client, and the path of the key.
    async fn find(&self) -> anyhow::Result<(Client, String)> {
        let client = self.target.client().await?;
        let found = client.find("/admin/keys", |key: &ListedKey| key.lookup_prefix == self.prefix).await?;
        let found = found.with_context(|| format!("the tenant has no key {:?}: see `regua key list`", self.prefix))?;
        Ok((client, format!("/admin/keys/{}", found.api_key_id)))
    }

    async fn revoke(&self) -> anyhow::Result<ExitCode> {
        let (client, path) = self.find().await?;
        client.delete(&path).await?;
        let shown = json!({"prefix": self.prefix, "active": false});
        self.target.format.result(&shown, format_args!("key {} is off", self.prefix))
    }

    async fn rotate(&self, overlap_hours: i64) -> anyhow::Result<ExitCode> {
        let (client, path) = self.find().await?;
        let body = json!({"overlap_seconds": overlap_hours * 3600});
        let NewKey { api_key, key } = client.post(&format!("{path}/rotate"), &body).await?;
        let shown = json!({
            "key": api_key, "prefix": key.lookup_prefix, "replaces": self.prefix, "overlap_hours": overlap_hours,
        });
        print(&self.target, &shown, &api_key)
    }
}

async fn expires_at(client: &Client, expiry: Option<Expiry>) -> anyhow::Result<Option<DateTime<Utc>>> {
    let Some(expiry) = expiry else { return Ok(None) };
    let config: TenantConfig = client.get("/admin/config").await?;
    let instant = expiry.instant(config.time_zone.parse()?);
    let is_future = instant.is_some_and(|instant| instant > Clock::system().now());
    ensure!(is_future, "--expires is in the past: choose a later day");
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
