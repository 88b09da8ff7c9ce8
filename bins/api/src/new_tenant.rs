//! A new tenant with all that belongs to it: made by the admin API, and by `regua dev` and `regua demo`.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use regua_domain::{DEFAULT_HOURS, TenantId};
use regua_store::business_hours::{self, OpenHours};
use regua_store::{tenant_configs, tenants};
use sqlx::{Error, PgConnection};

/// What a new tenant is given.
#[derive(Clone, Debug)]
pub struct NewTenant<'a> {
    /// Unique.
    pub slug: &'a str,
    /// As debtors read it.
    pub name: &'a str,
    /// Where its hours are meant.
    pub time_zone: Tz,
    /// Messages a minute of every number that has no rate of its own.
    pub messages_per_minute: i32,
    /// Whether it keeps business hours.
    pub keeps_hours: bool,
}

impl NewTenant<'_> {
    /// Creates the tenant, open from Monday to Friday from 8:00 to 18:00, in the caller's transaction; false where the slug
    /// is taken.
    ///
    /// # Errors
    /// The database's.
    pub async fn create(&self, conn: &mut PgConnection, tenant: TenantId, now: DateTime<Utc>) -> Result<bool, Error> {
        let created = tenants::create(conn, tenant, self.slug, self.name, now).await?;
        if created == tenants::Created::SlugTaken {
            return Ok(false);
        }
        self.configure(conn, tenant).await?;
        business_hours::replace(conn, tenant, &default_hours()).await?;
        Ok(true)
    }

    /// Sets zone, rate and whether hours are kept, and leaves the rest as it is.
    ///
    /// # Errors
    /// The database's; `RowNotFound` where there is no such tenant.
    pub async fn configure(&self, conn: &mut PgConnection, tenant: TenantId) -> Result<(), Error> {
        let mut config = tenant_configs::get(conn, tenant).await?.ok_or(Error::RowNotFound)?;
        self.time_zone.name().clone_into(&mut config.time_zone);
        config.messages_per_minute = self.messages_per_minute;
        config.keeps_hours = self.keeps_hours;
        tenant_configs::put(conn, tenant, &config).await
    }
}

/// The domain's default hours, as they are kept.
fn default_hours() -> Vec<OpenHours> {
    // Minutes of a day fit.
    let minute = |minute: u16| i16::try_from(minute).unwrap_or(i16::MAX);
    let hours = DEFAULT_HOURS.iter().map(|open| OpenHours {
        weekday: open.weekday().into(),
        opens_minute: minute(open.opens_minute()),
        closes_minute: minute(open.closes_minute()),
    });
    hours.collect()
}

/// Whether a text can be a tenant's slug, as the table's check has it.
pub fn is_slug(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    text.bytes().all(is_allowed) && (1..=63).contains(&text.len()) && !text.starts_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_is_what_the_table_takes() {
        for good in ["acme", "a", "2-irmaos"] {
            assert!(is_slug(good), "{good}");
        }
        for bad in ["", "Acme", "-a", "a b", "açaí", &"a".repeat(64)] {
            assert!(!is_slug(bad), "{bad}");
        }
    }
}
