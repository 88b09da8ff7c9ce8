//! Creates a tenant with its configuration and hours, for the admin API, `regua dev` and `regua demo`.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use regua_domain::{DEFAULT_HOURS, Slug, TenantId};
use regua_store::{business_hours, tenant_configs, tenants};
use sqlx::{Error, PgConnection};

/// A tenant to create.
#[derive(Clone, Debug)]
pub struct NewTenant<'a> {
    /// Unique.
    pub slug: &'a Slug,
    /// The name in messages to debtors.
    pub name: &'a str,
    /// The zone of its business hours.
    pub time_zone: Tz,
    /// Rate of each instance that has no rate of its own.
    pub messages_per_minute: i32,
    /// Whether overdue and upcoming messages keep business hours.
    pub keeps_hours: bool,
}

impl NewTenant<'_> {
    /// Creates the tenant with default hours, in the caller's transaction; false when another tenant has the slug.
    pub async fn create(&self, conn: &mut PgConnection, tenant: TenantId, now: DateTime<Utc>) -> Result<bool, Error> {
        if !tenants::create(conn, tenant, self.slug, self.name, now).await? {
            return Ok(false);
        }
        self.configure(conn, tenant).await?;
        business_hours::replace(conn, tenant, &DEFAULT_HOURS).await?;
        Ok(true)
    }

    /// Sets time zone, rate and `keeps_hours`. Fails with `RowNotFound` for an unknown tenant.
    pub async fn configure(&self, conn: &mut PgConnection, tenant: TenantId) -> Result<(), Error> {
        let mut config = tenant_configs::get(conn, tenant).await?.ok_or(Error::RowNotFound)?;
        self.time_zone.name().clone_into(&mut config.time_zone);
        config.messages_per_minute = self.messages_per_minute;
        config.keeps_hours = self.keeps_hours;
        tenant_configs::put(conn, &config).await
    }
}
