//! `regua tenant`: creates tenants.

use anyhow::{Context, bail};
use chrono_tz::Tz;
use clap::{Args, Subcommand};
use regua_boot::{Clock, DatabaseArguments};
use regua_domain::{DEFAULT_HOURS, MessageType, TenantId, refused_character};
use regua_store::business_hours::{self, OpenHours};
use regua_store::{tenant_configs, tenants};
use serde_json::json;
use sqlx::PgConnection;

use crate::arguments::{Ending, Form};
use crate::{database, output};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create a tenant: Monday to Friday from 8:00 to 18:00 in São Paulo, 20 messages a minute
    #[command(after_help = "Example:\n  regua tenant create acme --name 'Acme Ltda'")]
    Create(Create),
}

#[derive(Args, Debug)]
pub(crate) struct Create {
    #[command(flatten)]
    database: DatabaseArguments,
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
    #[command(flatten)]
    form: Form,
}

/// Runs the command.
pub(crate) async fn run(Command::Create(create): &Command) -> anyhow::Result<Ending> {
    let tenant = TenantId::new(Clock::system().now());
    let pool = database::open(&create.database)?;
    let mut transaction = pool.begin().await?;
    let settings = Settings {
        slug: &create.slug,
        name: &create.name,
        time_zone: create.time_zone,
        rate: create.rate,
        keeps_hours: !create.around_the_clock,
    };
    if !settings.create(&mut transaction, tenant).await? {
        bail!("there is already a tenant {:?}: choose another slug", create.slug);
    }
    let mut config = tenant_configs::get(&mut transaction, tenant).await?.context("the tenant has no configuration")?;
    config.resend_unconfirmed.clone_from(&create.resend_unconfirmed.0);
    tenant_configs::put(&mut transaction, tenant, &config).await?;
    transaction.commit().await?;
    if create.form.json {
        output::json(&json!({
            "tenant_id": tenant, "slug": create.slug, "name": create.name, "time_zone": create.time_zone.name(),
            "messages_per_minute": create.rate, "around_the_clock": create.around_the_clock,
        }))?;
    } else {
        let hours = if create.around_the_clock { "at every hour" } else { "Monday to Friday, 8:00 to 18:00" };
        let (slug, zone, rate) = (&create.slug, create.time_zone, create.rate);
        output::line(format_args!("tenant {slug} created: sends {hours} ({zone}), {rate} a minute"))?;
        output::line(format_args!("next: regua instance add --tenant {slug} --name … --url … --token …"))?;
    }
    Ok(Ending::Done)
}

/// What a new tenant is given.
pub(crate) struct Settings<'a> {
    /// Unique.
    pub(crate) slug: &'a str,
    /// As debtors read it.
    pub(crate) name: &'a str,
    /// Where its hours are meant.
    pub(crate) time_zone: Tz,
    /// Messages a minute.
    pub(crate) rate: i32,
    /// Whether it keeps business hours.
    pub(crate) keeps_hours: bool,
}

impl Settings<'_> {
    /// Creates the tenant with all that belongs to it, in the caller's transaction; false where the slug is taken.
    pub(crate) async fn create(&self, conn: &mut PgConnection, tenant: TenantId) -> anyhow::Result<bool> {
        let created = tenants::create(conn, tenant, self.slug, self.name, Clock::system().now()).await?;
        if created == tenants::Created::SlugTaken {
            return Ok(false);
        }
        self.configure(conn, tenant).await?;
        business_hours::replace(conn, tenant, &default_hours()?).await?;
        Ok(true)
    }

    /// Sets zone, rate and whether hours are kept, and leaves the rest as it is.
    pub(crate) async fn configure(&self, conn: &mut PgConnection, tenant: TenantId) -> anyhow::Result<()> {
        let Some(mut config) = tenant_configs::get(conn, tenant).await? else {
            bail!("the tenant has no configuration")
        };
        config.time_zone = self.time_zone.name().to_owned();
        config.messages_per_minute = self.rate;
        config.keeps_hours = self.keeps_hours;
        Ok(tenant_configs::put(conn, tenant, &config).await?)
    }
}

fn default_hours() -> anyhow::Result<Vec<OpenHours>> {
    let hours = DEFAULT_HOURS.iter().map(|open| {
        Ok(OpenHours {
            weekday: open.weekday().into(),
            opens_minute: open.opens_minute().try_into()?,
            closes_minute: open.closes_minute().try_into()?,
        })
    });
    hours.collect()
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
    let has_only = |allowed: fn(u8) -> bool| text.bytes().all(allowed);
    let is_slug = has_only(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && (1..=63).contains(&text.len())
        && !text.starts_with('-');
    if is_slug { Ok(text.to_owned()) } else { Err("use 1 to 63 lower-case letters, digits and hyphens".to_owned()) }
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

    #[test]
    fn a_slug_is_what_the_table_takes() {
        for good in ["acme", "a", "2-irmaos"] {
            assert!(slug(good).is_ok(), "{good}");
        }
        for bad in ["", "Acme", "-a", "a b", "açaí", &"a".repeat(64)] {
            assert!(slug(bad).is_err(), "{bad}");
        }
    }
}
