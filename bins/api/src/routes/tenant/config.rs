//! A tenant's configuration: rates, limits and time zone.

use chrono_tz::Tz;
use regua_domain::MessageType;
use regua_store::tenant_configs::{self, TenantConfig};
use regua_store::tenants;

use crate::routes::kit::*;

pub(super) fn router() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(get_config, replace_config))
}

body! {
    /// A configuration. An absent field gets its default.
    struct ConfigRequest {
        /// IANA name. Default: America/Sao_Paulo.
        time_zone: Tz = Tz::America__Sao_Paulo,
        /// Default: true.
        keeps_hours: bool = true,
        /// Default: true.
        national_holidays: bool = true,
        /// Default: 20.
        messages_per_minute: Number<1, 6_000_000> = 20,
        /// Default: 20.
        jitter_percent: Number<0, 50, i16> = 20,
        /// Default: no cap.
        daily_cap: Option<Number<1, 2_147_483_647>>,
        /// Default: 5.
        max_attempts: Number<1, 20, i16> = 5,
        /// Default: upcoming and notification.
        resend_unconfirmed: MessageTypes = vec![MessageType::Upcoming, MessageType::Notification],
        /// Of each API key that has no rate limit of its own; at most the ceiling that the platform sets. Default: 1200.
        requests_per_minute: Number<1, 6_000_000> = 1200,
    }
}

/// The configuration.
#[utoipa::path(get, path = "/config", responses((status = 200, description = "The configuration", body = TenantConfig)))]
async fn get_config(access: Access<Read>) -> Answer<TenantConfig> {
    access.read(async |conn| found(tenant_configs::get(conn, access.tenant_id).await?)).await.map(Json)
}

/// Replaces the configuration. An absent field gets its default. Workers use it within ten seconds.
#[utoipa::path(
    put, path = "/config", request_body = ConfigRequest,
    responses((status = 200, description = "The changed configuration", body = TenantConfig))
)]
async fn replace_config(access: Access<Administer>, Valid(body): Valid<ConfigRequest>) -> Answer<TenantConfig> {
    let work = async |conn: &mut PgConnection, _| {
        let before = found(tenant_configs::get(conn, access.tenant_id).await?)?;
        let after = TenantConfig {
            tenant_id: access.tenant_id,
            time_zone: body.time_zone.name().to_owned(),
            keeps_hours: body.keeps_hours,
            national_holidays: body.national_holidays,
            messages_per_minute: body.messages_per_minute,
            jitter_percent: body.jitter_percent,
            daily_cap: body.daily_cap,
            max_attempts: body.max_attempts,
            resend_unconfirmed: body.resend_unconfirmed,
            requests_per_minute: body.requests_per_minute,
        };
        refuse_above_ceiling(conn, &access, Some(after.requests_per_minute)).await?;
        tenant_configs::put(conn, &after).await?;
        Ok((before, after))
    };
    access.change("config.updated", "", work).await.map(Json)
}

/// Refuses a request rate above the ceiling that the platform sets for the tenant.
pub(super) async fn refuse_above_ceiling(
    conn: &mut PgConnection,
    access: &Principal,
    requests_per_minute: Option<i32>,
) -> Result<(), Problem> {
    let most = found(tenants::find(conn, access.tenant_id).await?)?.max_requests_per_minute;
    if requests_per_minute.is_none_or(|per_minute| per_minute <= most) {
        return Ok(());
    }
    let text = Text::of("requests-above-ceiling").with("most", most);
    Err(Problem::field("requests_per_minute", "invalid_number", &text, access.language))
}

impl Member for Tz {
    type Value = Self;

    fn schema() -> Schema {
        text().into()
    }

    fn read(field: &mut Field<'_, '_>) -> Option<Self> {
        field.parsed(64, |text| text.parse().ok(), "invalid_time_zone", &Text::of("config-time-zone-unknown"))
    }
}

/// A list of message types; duplicates count once.
pub(crate) struct MessageTypes;

impl Member for MessageTypes {
    type Value = Vec<MessageType>;

    fn schema() -> Schema {
        ArrayBuilder::new().items(text()).max_items(Some(MessageType::ALL.len())).into()
    }

    fn read(field: &mut Field<'_, '_>) -> Option<Vec<MessageType>> {
        let texts = field.texts(MessageType::ALL.len())?;
        let mut types: Vec<MessageType> = Vec::new();
        for (index, text) in texts.iter().enumerate().filter(|(_, text)| !text.is_empty()) {
            match text.parse() {
                Ok(message_type) => types.push(message_type),
                Err(_) => {
                    let text = accepted(&MessageType::ALL, MessageType::as_str);
                    field.refuse_item(index, "invalid_value", &text);
                }
            }
        }
        types.sort_unstable();
        types.dedup();
        Some(types)
    }
}
