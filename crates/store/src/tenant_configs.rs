//! Table `tenant_configs`: throttle, hours and limits of a tenant.

use std::collections::HashMap;

use regua_domain::{MessageType, TenantId};
use sqlx::{Error, PgConnection};

/// One tenant's row.
#[derive(Clone, Debug)]
pub struct TenantConfig {
    /// The tenant is not suspended.
    pub active: bool,
    /// IANA name.
    pub time_zone: String,
    /// False: every hour of every day is a business hour.
    pub keeps_hours: bool,
    /// Brazil's national holidays count as closed.
    pub national_holidays: bool,
    /// Of every number that has no rate of its own.
    pub messages_per_minute: i32,
    /// The interval between two messages varies by this much, up and down.
    pub jitter_percent: i16,
    /// Of every number that has no cap of its own; none: no cap.
    pub daily_cap: Option<i32>,
    /// Tries of one contact that certainly did not leave.
    pub max_attempts: i16,
    /// Types of which a contact is sent once more when nobody can say whether its message left.
    pub resend_unconfirmed: Vec<MessageType>,
    /// Requests that each API key may make which has no rate of its own.
    pub requests_per_minute: i32,
}

/// A tenant's configuration; none when there is no such tenant.
///
/// # Errors
/// The database's.
pub async fn get(conn: &mut PgConnection, tenant: TenantId) -> Result<Option<TenantConfig>, Error> {
    Ok(get_all(conn, &[tenant]).await?.remove(&tenant))
}

/// The configurations of these tenants, of those that there are.
///
/// # Errors
/// The database's.
pub async fn get_all(conn: &mut PgConnection, tenants: &[TenantId]) -> Result<HashMap<TenantId, TenantConfig>, Error> {
    let rows = sqlx::query!(
        r#"select c.tenant_id, t.status = 'active' as "active!", c.time_zone, c.keeps_hours, c.national_holidays,
                  c.messages_per_minute, c.jitter_percent, c.daily_cap, c.max_attempts,
                  c.resend_unconfirmed, c.requests_per_minute
           from tenant_configs c join tenants t using (tenant_id)
           where c.tenant_id = any($1)"#,
        &tenants.iter().map(|tenant| tenant.0).collect::<Vec<_>>()
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let resend = row.resend_unconfirmed.iter().map(|name| name.parse());
            let config = TenantConfig {
                active: row.active,
                time_zone: row.time_zone,
                keeps_hours: row.keeps_hours,
                national_holidays: row.national_holidays,
                messages_per_minute: row.messages_per_minute,
                jitter_percent: row.jitter_percent,
                daily_cap: row.daily_cap,
                max_attempts: row.max_attempts,
                resend_unconfirmed: resend.collect::<Result<_, _>>().map_err(|error| Error::Decode(Box::new(error)))?,
                requests_per_minute: row.requests_per_minute,
            };
            Ok((TenantId(row.tenant_id), config))
        })
        .collect()
}

/// Replaces a tenant's configuration (not whether it is active).
///
/// # Errors
/// The database's, including a value outside its column's check.
pub async fn put(conn: &mut PgConnection, tenant: TenantId, config: &TenantConfig) -> Result<(), Error> {
    sqlx::query!(
        "update tenant_configs
         set time_zone = $2, keeps_hours = $3, national_holidays = $4, messages_per_minute = $5, jitter_percent = $6,
             daily_cap = $7, max_attempts = $8, resend_unconfirmed = $9, requests_per_minute = $10
         where tenant_id = $1",
        tenant.0,
        config.time_zone,
        config.keeps_hours,
        config.national_holidays,
        config.messages_per_minute,
        config.jitter_percent,
        config.daily_cap,
        config.max_attempts,
        &config.resend_unconfirmed.iter().map(|message_type| message_type.as_str().to_owned()).collect::<Vec<_>>(),
        config.requests_per_minute
    )
    .execute(conn)
    .await?;
    Ok(())
}
