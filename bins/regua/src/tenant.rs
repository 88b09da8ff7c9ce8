//! `regua tenant`: creates tenants.

use chrono_tz::Tz;
use clap::{Args, Subcommand};
use regua_domain::{MessageType, refused_character};
use serde_json::json;

use crate::admin::AdminArguments;
use crate::arguments::{Ending, Form};
use crate::output;

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
    #[arg(long, value_parser = name)]
    name: String,
    /// Where its business hours are meant
    #[arg(long, value_name = "TZ", default_value = "America/Sao_Paulo")]
    time_zone: Tz,
    /// Messages a minute of every number that has no rate of its own
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(i32).range(1..=6_000_000))]
    rate: i32,
    /// Send at every hour of every day
    #[arg(long)]
    around_the_clock: bool,
    /// Types of which a contact is sent once more when nobody can say whether its message left, separated by commas;
    /// `none` for none of them
    #[arg(long, value_name = "TYPES", default_value = "upcoming,notification", value_parser = resent)]
    resend_unconfirmed: Resent,
    /// Requests a minute that each of its API keys may make which has no rate of its own
    #[arg(long, value_name = "N", default_value_t = 1200, value_parser = clap::value_parser!(i32).range(1..=6_000_000))]
    requests_per_minute: i32,
    #[command(flatten)]
    form: Form,
}

/// Runs the command.
pub(crate) async fn run(Command::Create(create): &Command) -> anyhow::Result<Ending> {
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
    if create.form.json {
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
    Ok(Ending::Done)
}

/// Types of which an unconfirmed contact is sent once more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Resent(Vec<MessageType>);

fn resent(text: &str) -> Result<Resent, String> {
    if text == "none" {
        return Ok(Resent(Vec::new()));
    }
    let types = text.split(',').map(|name| name.trim().parse::<MessageType>().map_err(|error| error.to_string()));
    types.collect::<Result<_, _>>().map(Resent)
}

/// As the table's check has it.
fn slug(text: &str) -> Result<String, String> {
    let refusal = || "use 1 to 63 lower-case letters, digits and hyphens".to_owned();
    regua_api::is_slug(text).then(|| text.to_owned()).ok_or_else(refusal)
}

/// Any text of 1 to 200 characters that is not blank.
pub(crate) fn name(text: &str) -> Result<String, String> {
    let is_name =
        !text.trim().is_empty() && text.chars().count() <= 200 && refused_character(text.trim(), &[]).is_none();
    if is_name { Ok(text.trim().to_owned()) } else { Err("use 1 to 200 characters, none of them invisible".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_to_resend_are_named_or_none() {
        assert_eq!(resent("none"), Ok(Resent(Vec::new())));
        assert_eq!(resent("overdue, upcoming"), Ok(Resent(vec![MessageType::Overdue, MessageType::Upcoming])));
        assert!(resent("").is_err() && resent("overdue,").is_err());
    }
}
