//! `regua tenant`: creates tenants, and sets their ceilings.

use std::process::ExitCode;

use anyhow::Context;
use chrono_tz::Tz;
use clap::{Args, Subcommand};
use regua_domain::{MessageType, Slug};
use regua_store::tenants::Tenant;
use serde_json::json;

use crate::client::AdminArguments;
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
    /// Set the highest rate limit of a tenant's API keys
    #[command(after_help = "Example:\n  regua tenant limit acme --max-requests-per-minute 12000")]
    Limit {
        #[command(flatten)]
        admin: AdminArguments,
        /// The tenant's short name
        #[arg(value_parser = slug)]
        slug: Slug,
        /// Requests a minute; a key with a higher limit has this one
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..=6_000_000))]
        max_requests_per_minute: i32,
        #[command(flatten)]
        format: OutputFormat,
    },
}

#[derive(Args, Debug)]
pub(crate) struct NewTenant {
    /// Short name for commands: lower-case letters, digits and hyphens
    #[arg(value_parser = slug)]
    slug: Slug,
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
    /// Highest rate limit of an API key, which the tenant cannot change; default: 6000, or --requests-per-minute if that
    /// is higher
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..=6_000_000))]
    max_requests_per_minute: Option<i32>,
}

pub(crate) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Create { admin, new, format } => create(&admin, new, format).await,
        Command::Limit { admin, slug, max_requests_per_minute, format } => {
            limit(&admin, &slug, max_requests_per_minute, format).await
        }
    }
}

async fn limit(
    admin: &AdminArguments,
    slug: &Slug,
    max_requests_per_minute: i32,
    format: OutputFormat,
) -> anyhow::Result<ExitCode> {
    let client = admin.client().await?;
    let tenant = client.find(&format!("/admin/tenants?slug={slug}"), |tenant: &Tenant| tenant.slug == *slug).await?;
    let Tenant { tenant_id, name, status, .. } = tenant.with_context(|| format!("there is no tenant {slug}"))?;
    let body = json!({ "name": name, "status": status, "max_requests_per_minute": max_requests_per_minute });
    let changed: Tenant = client.put(&format!("/admin/tenants/{tenant_id}"), &body).await?;
    let most = changed.max_requests_per_minute;
    format.result(&changed, format_args!("no API key of tenant {slug} has more than {most} requests a minute"))
}

async fn create(admin: &AdminArguments, new: NewTenant, format: OutputFormat) -> anyhow::Result<ExitCode> {
    let NewTenant { slug, name, time_zone, rate, around_the_clock, resend_unconfirmed, .. } = new;
    let body = json!({
        "slug": slug, "name": name, "time_zone": time_zone.name(), "messages_per_minute": rate,
        "keeps_hours": !around_the_clock, "resend_unconfirmed": resend_unconfirmed,
        "requests_per_minute": new.requests_per_minute, "max_requests_per_minute": new.max_requests_per_minute,
    });
    let Tenant { tenant_id, .. } = admin.client().await?.post("/admin/tenants", &body).await?;
    let hours = if around_the_clock { "at every hour" } else { "Monday to Friday, 8:00 to 18:00" };
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

/// A name of its own, because clap reads a `Vec` as a repeated argument.
type ResentTypes = Vec<MessageType>;

fn resent_types(text: &str) -> Result<ResentTypes, String> {
    if text == "none" {
        return Ok(Vec::new());
    }
    let types = text.split(',').map(|name| name.trim().parse::<MessageType>().map_err(|error| error.to_string()));
    types.collect()
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
        assert_eq!(resent_types("none"), Ok(Vec::new()));
        let expected = vec![MessageType::Overdue, MessageType::Upcoming];
        assert_eq!(resent_types("overdue, upcoming"), Ok(expected));
        assert!(resent_types("").is_err() && resent_types("overdue,").is_err());
    }
}
