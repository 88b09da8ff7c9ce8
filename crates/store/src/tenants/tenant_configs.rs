//! Table `tenant_configs`: a tenant's rates, limits and time zone.

use regua_domain::{MessageType, TenantId};
use serde::{Deserialize, Serialize};
use sqlx::{Error, PgConnection};

// A tenant's configuration.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Config))]
#[expect(missing_docs, reason = "the fields are the table's columns")]
pub struct TenantConfig {
    #[serde(skip, default = "no_tenant")]
    pub tenant_id: TenantId,
    /// IANA name.
    #[cfg_attr(feature = "openapi", schema(example = "America/Sao_Paulo"))]
    pub time_zone: String,
    /// False: messages of every type go at any hour.
    pub keeps_hours: bool,
    /// Whether Brazil's national holidays are closed days.
    pub national_holidays: bool,
    /// Of each instance that has no rate of its own.
    pub messages_per_minute: i32,
    /// By how much the interval between two messages varies, in both directions.
    pub jitter_percent: i16,
    /// Messages a day of each instance that has no cap of its own; null: no cap.
    pub daily_cap: Option<i32>,
    /// Attempts for one contact whose message certainly did not leave.
    pub max_attempts: i16,
    /// Types whose unconfirmed contacts are sent once more.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub resend_unconfirmed: Vec<MessageType>,
    /// Of each API key that has no rate limit of its own.
    pub requests_per_minute: i32,
}

/// A configuration that was read from an answer does not name its tenant.
fn no_tenant() -> TenantId {
    TenantId(uuid::Uuid::nil())
}

/// A tenant's configuration.
pub async fn get(conn: &mut PgConnection, tenant: TenantId) -> Result<Option<TenantConfig>, Error> {
    sqlx::query_as!(
        TenantConfig,
        r#"select tenant_id, time_zone, keeps_hours, national_holidays, messages_per_minute, jitter_percent, daily_cap,
                  max_attempts, resend_unconfirmed as "resend_unconfirmed: Vec<MessageType>", requests_per_minute
           from tenant_configs where tenant_id = $1"#,
        tenant as TenantId
    )
    .fetch_optional(conn)
    .await
}

/// Replaces a tenant's configuration. Checks of the table refuse wrong values.
pub async fn put(conn: &mut PgConnection, config: &TenantConfig) -> Result<(), Error> {
    sqlx::query!(
        "update tenant_configs
         set time_zone = $2, keeps_hours = $3, national_holidays = $4, messages_per_minute = $5, jitter_percent = $6,
             daily_cap = $7, max_attempts = $8, resend_unconfirmed = $9, requests_per_minute = $10
         where tenant_id = $1",
        config.tenant_id as TenantId,
        config.time_zone,
        config.keeps_hours,
        config.national_holidays,
        config.messages_per_minute,
        config.jitter_percent,
        config.daily_cap,
        config.max_attempts,
        &config.resend_unconfirmed as &[MessageType],
        config.requests_per_minute
    )
    .execute(conn)
    .await?;
    Ok(())
}
