//! `regua tenant`: creates tenants.

use chrono_tz::Tz;
use clap::{Args, Subcommand};
use regua_domain::{MessageType, Slug};
use serde_json::json;

use crate::client::AdminArguments;
use crate::display_name;
use crate::exit_status::ExitStatus;
use crate::output::{self, OutputFormat};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create a tenant: Monday to Friday from 8:00 to 18:00 in São Paulo, 20 messages a minute
    #[command(after_help = "Example:\n  regua tenant create acme --name 'Acme Ltda'")]
    Create(Create),
}

#[derive(Args, Debug)]
pub(crate) struct Create {
    #[command(flatten)]
    admin: AdminArguments,
    /// Short name for commands: lower-case letters, digits and hyphens
    #[arg(value_parser = slug)]
    slug: String,
    /// The company's name, as debtors read it
    #[arg(long, value_parser = display_name::parse)]
    name: String,
    /// Time zone of its business hours
    #[arg(long, value_name = "TZ", default_value = "America/Sao_Paulo")]
    time_zone: Tz,
    /// Messages a minute of each number without a rate of its own
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(i32).range(1..=6_000_000))]
    rate: i32,
    /// Send at every hour of every day
    #[arg(long)]
    around_the_clock: bool,
    /// Message types whose unconfirmed contacts are sent once more, separated by commas; `none` for no type
    #[arg(long, value_name = "TYPES", default_value = "upcoming,notification", value_parser = resent_types)]
    resend_unconfirmed: ResentTypes,
    /// Requests a minute of each API key without a rate limit of its own
    #[arg(long, value_name = "N", default_value_t = 1200, value_parser = clap::value_parser!(i32).range(1..=6_000_000))]
    requests_per_minute: i32,
    #[command(flatten)]
    format: OutputFormat,
}

pub(crate) async fn run(Command::Create(create): &Command) -> anyhow::Result<ExitStatus> {
    let admin = create.admin.open().await?;
    let Create { slug, name, rate, .. } = create;
    let made = admin
        .post(
            "/tenants",
            &json!({
                "slug": slug, "name": name, "time_zone": create.time_zone.name(), "messages_per_minute": rate,
                "keeps_hours": !create.around_the_clock, "resend_unconfirmed": create.resend_unconfirmed.0,
                "requests_per_minute": create.requests_per_minute,
            }),
        )
        .await?;
    if create.format.json {
        output::json(&json!({
            "tenant_id": made["tenant_id"], "slug": slug, "name": name, "time_zone": create.time_zone.name(),
            "messages_per_minute": rate, "around_the_clock": create.around_the_clock,
        }))?;
    } else {
        let hours = if create.around_the_clock { "at every hour" } else { "Monday to Friday, 8:00 to 18:00" };
        let zone = create.time_zone;
        output::line(format_args!("tenant {slug} created: sends {hours} ({zone}), {rate} a minute"))?;
        output::line(format_args!("next: regua instance add --tenant {slug} --name … --url … --token …"))?;
    }
    Ok(ExitStatus::Success)
}

/// A type of its own, because clap reads a `Vec` as a repeated argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ResentTypes(Vec<MessageType>);

fn resent_types(text: &str) -> Result<ResentTypes, String> {
    if text == "none" {
        return Ok(ResentTypes(Vec::new()));
    }
    let types = text.split(',').map(|name| name.trim().parse::<MessageType>().map_err(|error| error.to_string()));
    types.collect::<Result<_, _>>().map(ResentTypes)
}

/// The slugs that the table's check constraint allows.
fn slug(text: &str) -> Result<String, String> {
    let refusal = |_| "use 1 to 63 lower-case letters, digits and hyphens".to_owned();
    text.parse::<Slug>().map(|slug| slug.to_string()).map_err(refusal)
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
