//! `regua key`: creates API keys.

use anyhow::bail;
use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeZone, Utc};
use chrono_tz::Tz;
use clap::{Args, Subcommand};
use ipnetwork::IpNetwork;
use regua_boot::{Clock, DatabaseArguments};
use regua_domain::{MessageType, TenantId};
use regua_store::tenant_configs;
use serde_json::json;
use sqlx::PgConnection;

use crate::api_key::{self, Grant};
use crate::arguments::{Ending, Form};
use crate::{database, output, tenant};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create an API key and print it; it is shown this once
    #[command(
        after_help = "Example:\n  regua key create --tenant acme --types overdue,upcoming --allow-ip 203.0.113.0/24 --expires 2027-12-31"
    )]
    Create(Create),
}

#[derive(Args, Debug)]
pub(crate) struct Create {
    #[command(flatten)]
    database: DatabaseArguments,
    /// The tenant's slug
    #[arg(long, value_name = "SLUG")]
    tenant: String,
    /// For people: which program uses it
    #[arg(long, default_value = "default", value_parser = tenant::name)]
    name: String,
    /// What it may send
    #[arg(long, value_name = "TYPE", value_delimiter = ',', default_value = "overdue,upcoming,notification")]
    types: Vec<MessageType>,
    /// A network it may be used from, such as 203.0.113.0/24; may be repeated; none: any
    #[arg(long, value_name = "CIDR")]
    allow_ip: Vec<IpNetwork>,
    /// Last day on which it is valid, such as 2027-12-31, or the instant at which it ends, such as
    /// 2027-12-31T12:00:00-03:00
    #[arg(long, value_name = "DATE")]
    expires: Option<Expiry>,
    /// Requests a minute that it may make; absent: as many as its tenant has set for each of its keys
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..=6_000_000))]
    requests_per_minute: Option<i32>,
    #[command(flatten)]
    form: Form,
}

/// When a key ends, as it was written.
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
    /// A day ends where the tenant is.
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

/// Runs the command.
pub(crate) async fn run(Command::Create(create): &Command) -> anyhow::Result<Ending> {
    let pool = database::open(&create.database)?;
    let mut transaction = pool.begin().await?;
    let tenant = database::tenant(&mut transaction, &create.tenant).await?;
    let mut types = create.types.clone();
    types.sort_unstable();
    types.dedup();
    // A network is stored without the bits of a host.
    let networks: Vec<_> =
        create.allow_ip.iter().filter_map(|one| IpNetwork::new(one.network(), one.prefix()).ok()).collect();
    let expires_at = expiry(&mut transaction, tenant, create.expires).await?;
    let grant = Grant {
        tenant,
        name: &create.name,
        types: &types,
        networks: &networks,
        expires_at,
        requests_per_minute: create.requests_per_minute,
    };
    let key = api_key::create(&mut transaction, &grant).await?;
    transaction.commit().await?;
    if create.form.json {
        output::json(&json!({
            "key": key, "tenant": create.tenant, "name": create.name, "types": types,
            "allowed_networks": networks.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "expires_at": expires_at, "requests_per_minute": create.requests_per_minute,
        }))?;
        return Ok(Ending::Done);
    }
    output::line(&key)?;
    output::remark("This key is shown once: only a hash of it is kept. Put it where your ERP keeps its secrets.");
    Ok(Ending::Done)
}

async fn expiry(
    conn: &mut PgConnection,
    tenant: TenantId,
    expiry: Option<Expiry>,
) -> anyhow::Result<Option<DateTime<Utc>>> {
    let Some(expiry) = expiry else { return Ok(None) };
    let Some(config) = tenant_configs::get(conn, tenant).await? else { bail!("the tenant has no configuration") };
    let instant = expiry.instant(config.time_zone.parse()?);
    if instant.is_none_or(|instant| instant <= Clock::system().now()) {
        bail!("--expires lies in the past: choose a later day");
    }
    Ok(instant)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_valid_to_its_end_where_the_tenant_is() {
        let ends = |text: &str| text.parse::<Expiry>().unwrap().instant(Tz::America__Sao_Paulo).unwrap().to_rfc3339();
        assert_eq!(ends("2027-12-31"), "2028-01-01T03:00:00+00:00");
        assert_eq!(ends("2027-12-31T12:00:00-03:00"), "2027-12-31T15:00:00+00:00");
        assert!("31/12/2027".parse::<Expiry>().is_err());
    }
}
