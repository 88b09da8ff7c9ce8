//! `regua tenant`: creates tenants.

use std::process::ExitCode;

use chrono_tz::Tz;
use clap::{Args, Subcommand};
use regua_domain::{MessageType, Slug};
use serde::{Serialize, Serializer};
use serde_json::json;

use crate::client::AdminArguments;
use crate::client::answers::Tenant;
use crate::display_name;
use crate::output::OutputFormat;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create a tenant: Monday to Friday from 8:00 to 18:00 in São Paulo, 20 messages a minute
    #[command(after_help = "Example:\n  regua tenant create acme --name 'Acme Ltda'")]
    Create {
        #[command(flatten)]
        admin: AdminArguments,
        #[command(flatten)]
        new: NewTenant,
        #[command(flatten)]
        format: OutputFormat,
    },
}

#[derive(Args, Debug, Serialize)]
pub(crate) struct NewTenant {
    /// Short name for commands: lower-case letters, digits and hyphens
    #[arg(value_parser = slug)]
    slug: Slug,
    /// The company's name, as debtors read it
    #[arg(long, value_parser = display_name::parse)]
    name: String,
    /// Time zone of its business hours
    #[arg(long, value_name = "TZ", default_value = "America/Sao_Paulo")]
    #[serde(serialize_with = "zone_name")]
    time_zone: Tz,
    /// Messages a minute of each number without a rate of its own
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(i32).range(1..=6_000_000))]
    #[serde(rename = "messages_per_minute")]
    rate: i32,
    /// Send at every hour of every day
    #[arg(long)]
    #[serde(rename = "keeps_hours", serialize_with = "negated")]
    around_the_clock: bool,
    /// Message types whose unconfirmed contacts are sent once more, separated by commas; `none` for no type
    #[arg(long, value_name = "TYPES", default_value = "upcoming,notification", value_parser = resent_types)]
    resend_unconfirmed: ResentTypes,
    /// Requests a minute of each API key without a rate limit of its own
    #[arg(long, value_name = "N", default_value_t = 1200, value_parser = clap::value_parser!(i32).range(1..=6_000_000))]
    requests_per_minute: i32,
}

pub(crate) async fn run(Command::Create { admin, new, format }: Command) -> anyhow::Result<ExitCode> {
    let Tenant { tenant_id } = admin.client().await?.post("/admin/tenants", &new).await?;
    let NewTenant { slug, name, time_zone, rate, around_the_clock, .. } = &new;
    let hours = if *around_the_clock { "at every hour" } else { "Monday to Friday, 8:00 to 18:00" };
    format.result(
        &json!({
            "tenant_id": tenant_id, "slug": slug, "name": name, "time_zone": time_zone.name(),
            "messages_per_minute": rate, "around_the_clock": around_the_clock,
        }),
        format_args!(
            "tenant {slug} created: sends {hours} ({time_zone}), {rate} a minute\n\
             next: regua instance add --tenant {slug} --name … --url … --token …"
        ),
    )
}

fn zone_name<S: Serializer>(zone: &Tz, serializer: S) -> Result<S::Ok, S::Error> {
    zone.name().serialize(serializer)
}

fn negated<S: Serializer>(is_on: &bool, serializer: S) -> Result<S::Ok, S::Error> {
    (!is_on).serialize(serializer)
}

/// A type of its own, because clap reads a `Vec` as a repeated argument.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(crate) struct ResentTypes(Vec<MessageType>);

fn resent_types(text: &str) -> Result<ResentTypes, String> {
    if text == "none" {
        return Ok(ResentTypes(Vec::new()));
    }
    let types = text.split(',').map(|name| name.trim().parse::<MessageType>().map_err(|error| error.to_string()));
    types.collect::<Result<_, _>>().map(ResentTypes)
}

/// The slugs that the table's check constraint allows.
fn slug(text: &str) -> Result<Slug, String> {
    text.parse().map_err(|_| "use 1 to 63 lower-case letters, digits and hyphens".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resent_types_are_a_list_or_none() {
        assert_eq!(resent_types("none"), Ok(ResentTypes(Vec::new())));
        let expected = ResentTypes(vec![MessageType::Overdue, MessageType::Upcoming]);
        assert_eq!(resent_types("overdue, upcoming"), Ok(expected));
        assert!(resent_types("").is_err() && resent_types("overdue,").is_err());
    }
}
