//! A tenant's configuration: rates, limits and time zone.

use axum::Json;
use axum::extract::State;
use chrono_tz::Tz;
use regua_domain::{Capability, MessageType, Text};
use regua_store::tenant_configs::{self, TenantConfig};
use serde::Serialize;
use sqlx::PgConnection;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::callers::{Access, Change, snapshot};
use crate::context::Context;
use crate::http::error::{UserChangeProblems, UserReadProblems};
use crate::http::{Code, Form, JsonBody, Problem};
use crate::routes::choice::choose;

pub(super) fn router() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(get, replace))
}

#[derive(Serialize, ToSchema)]
#[schema(as = Config)]
struct ConfigView {
    /// IANA name.
    #[schema(example = "America/Sao_Paulo")]
    time_zone: String,
    /// False: messages of every type go at any hour.
    keeps_hours: bool,
    /// Whether Brazil's national holidays are closed days.
    national_holidays: bool,
    /// Of each instance that has no rate of its own.
    messages_per_minute: i32,
    /// By how much the interval between two messages varies, in both directions.
    jitter_percent: i16,
    /// Messages a day of each instance that has no cap of its own; null: no cap.
    daily_cap: Option<i32>,
    /// Attempts for one contact whose message certainly did not leave.
    max_attempts: i16,
    /// Types whose unconfirmed contacts are sent once more.
    resend_unconfirmed: Vec<&'static str>,
    /// Of each API key that has no rate limit of its own.
    requests_per_minute: i32,
}

impl From<&TenantConfig> for ConfigView {
    fn from(config: &TenantConfig) -> Self {
        Self {
            time_zone: config.time_zone.clone(),
            keeps_hours: config.keeps_hours,
            national_holidays: config.national_holidays,
            messages_per_minute: config.messages_per_minute,
            jitter_percent: config.jitter_percent,
            daily_cap: config.daily_cap,
            max_attempts: config.max_attempts,
            resend_unconfirmed: config.resend_unconfirmed.iter().map(|message_type| message_type.as_str()).collect(),
            requests_per_minute: config.requests_per_minute,
        }
    }
}

/// A configuration. An absent field gets its default.
#[derive(ToSchema)]
#[expect(dead_code, reason = "OpenAPI schema only: `Form` reads the body and reports every fault at once")]
struct ConfigRequest {
    /// IANA name. Default: America/Sao_Paulo.
    time_zone: Option<String>,
    /// Default: true.
    keeps_hours: Option<bool>,
    /// Default: true.
    national_holidays: Option<bool>,
    /// Default: 20.
    #[schema(minimum = 1, maximum = 6_000_000)]
    messages_per_minute: Option<i32>,
    /// Default: 20.
    #[schema(minimum = 0, maximum = 50)]
    jitter_percent: Option<i16>,
    /// Default: no cap.
    #[schema(minimum = 1, maximum = 2_147_483_647)]
    daily_cap: Option<i32>,
    /// Default: 5.
    #[schema(minimum = 1, maximum = 20)]
    max_attempts: Option<i16>,
    /// Default: upcoming and notification.
    #[schema(max_items = 3)]
    resend_unconfirmed: Option<Vec<String>>,
    /// Default: 1200.
    #[schema(minimum = 1, maximum = 6_000_000)]
    requests_per_minute: Option<i32>,
}

/// The configuration.
#[utoipa::path(
    get, path = "/config", operation_id = "get_config", tag = "admin", security(("bearer" = []), ("session" = [])),
    responses((status = 200, description = "The configuration", body = ConfigView), UserReadProblems)
)]
async fn get(State(context): State<Context>, access: Access) -> Result<Json<ConfigView>, Problem> {
    access.require(Capability::Read)?;
    let mut transaction = access.begin(&context).await?;
    let config = read(&mut transaction, &access).await?;
    transaction.commit().await?;
    Ok(Json((&config).into()))
}

/// Replaces the configuration. An absent field gets its default. Workers use it within ten seconds.
#[utoipa::path(
    put, path = "/config", operation_id = "replace_config", tag = "admin", security(("bearer" = []), ("session" = [])),
    request_body = ConfigRequest,
    responses((status = 200, description = "The changed configuration", body = ConfigView), UserChangeProblems)
)]
async fn replace(
    State(context): State<Context>,
    access: Access,
    JsonBody(body): JsonBody,
) -> Result<Json<ConfigView>, Problem> {
    access.require(Capability::Administer)?;
    let mut form = Form::read(&body, access.language)?;
    let mut transaction = access.begin(&context).await?;
    let before = read(&mut transaction, &access).await?;
    let after = TenantConfig {
        tenant_id: access.tenant_id,
        active: before.active,
        time_zone: time_zone(&mut form).unwrap_or(Tz::America__Sao_Paulo).name().to_owned(),
        keeps_hours: form.boolean("keeps_hours").unwrap_or(true),
        national_holidays: form.boolean("national_holidays").unwrap_or(true),
        messages_per_minute: form.number("messages_per_minute", 1..=6_000_000).unwrap_or(20),
        jitter_percent: form.number("jitter_percent", 0..=50).unwrap_or(20),
        daily_cap: form.number("daily_cap", 1..=i32::MAX),
        max_attempts: form.number("max_attempts", 1..=20).unwrap_or(5),
        resend_unconfirmed: message_types(&mut form, "resend_unconfirmed")
            .unwrap_or_else(|| vec![MessageType::Upcoming, MessageType::Notification]),
        requests_per_minute: form.number("requests_per_minute", 1..=6_000_000).unwrap_or(1200),
    };
    form.finish()?;
    tenant_configs::put(&mut transaction, &after).await?;
    let (old, new) = (snapshot(&ConfigView::from(&before))?, snapshot(&ConfigView::from(&after))?);
    let change = Change { action: "config.updated", before: Some(&old), after: Some(&new), ..Change::default() };
    access.record(&mut transaction, change, context.clock.now()).await?;
    transaction.commit().await?;
    Ok(Json((&after).into()))
}

async fn read(conn: &mut PgConnection, access: &Access) -> Result<TenantConfig, Problem> {
    let config = tenant_configs::get(conn, access.tenant_id).await?;
    config.ok_or_else(|| Problem::of(Code::NotFound))
}

/// The field `time_zone`; none when it is absent.
pub(crate) fn time_zone(form: &mut Form<'_>) -> Option<Tz> {
    let name = form.text("time_zone", 64)?;
    let zone = name.parse().ok();
    if zone.is_none() {
        form.refuse("time_zone", "invalid_time_zone", &Text::of("config-time-zone-unknown"));
    }
    zone
}

/// A list of message types without duplicates; none when the field is absent.
pub(crate) fn message_types(form: &mut Form<'_>, name: &'static str) -> Option<Vec<MessageType>> {
    let texts = form.list(name, MessageType::ALL.len())?;
    let mut types = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        types.extend(choose(form, &format!("{name}[{index}]"), text, &MessageType::ALL, MessageType::as_str));
    }
    types.sort_unstable();
    types.dedup();
    Some(types)
}
