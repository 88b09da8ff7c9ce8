//! A tenant's configuration: its rates, its limits, and where its hours are meant.

use axum::Json;
use axum::extract::State;
use chrono_tz::Tz;
use regua_domain::{MessageType, Right};
use regua_store::tenant_configs::{self, TenantConfig};
use serde::Serialize;
use sqlx::PgConnection;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::noted;
use crate::Context;
use crate::error::{Code, PersonChangeProblems, PersonProblems, Problem};
use crate::form::Form;
use crate::people::{Access, Change, JsonBody};

pub(super) fn router() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(get, replace))
}

/// A tenant's configuration.
#[derive(Serialize, ToSchema)]
#[schema(as = Config)]
struct ConfigView {
    /// IANA name.
    #[schema(example = "America/Sao_Paulo")]
    time_zone: String,
    /// False: it sends at every hour of every day.
    keeps_hours: bool,
    /// Whether Brazil's national holidays are closed days.
    national_holidays: bool,
    /// Of every number that has no rate of its own.
    messages_per_minute: i32,
    /// By how much the interval between two messages varies, up and down.
    jitter_percent: i16,
    /// Messages a day of every number that has no cap of its own; null: no cap.
    daily_cap: Option<i32>,
    /// Tries of one contact that certainly did not leave.
    max_attempts: i16,
    /// Types of which a contact is sent once more when nobody can say whether its message left.
    resend_unconfirmed: Vec<&'static str>,
    /// Of every API key that has no rate of its own.
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
            resend_unconfirmed: config.resend_unconfirmed.iter().map(|one| one.as_str()).collect(),
            requests_per_minute: config.requests_per_minute,
        }
    }
}

/// A configuration; what is not given is as for a new tenant.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes the body; a form reads it, so that all that is wrong is answered at once")]
struct ConfigRequest {
    /// America/Sao_Paulo unless given.
    time_zone: Option<String>,
    /// True unless given.
    keeps_hours: Option<bool>,
    /// True unless given.
    national_holidays: Option<bool>,
    /// 20 unless given.
    #[schema(minimum = 1, maximum = 6_000_000)]
    messages_per_minute: Option<i32>,
    /// 20 unless given.
    #[schema(minimum = 0, maximum = 50)]
    jitter_percent: Option<i16>,
    /// No cap unless given.
    #[schema(minimum = 1, maximum = 2_147_483_647)]
    daily_cap: Option<i32>,
    /// 5 unless given.
    #[schema(minimum = 1, maximum = 20)]
    max_attempts: Option<i16>,
    /// upcoming and notification unless given.
    #[schema(max_items = 3)]
    resend_unconfirmed: Option<Vec<String>>,
    /// 1200 unless given.
    #[schema(minimum = 1, maximum = 6_000_000)]
    requests_per_minute: Option<i32>,
}

/// The configuration.
#[utoipa::path(
    get, path = "/config", operation_id = "get_config", tag = "admin", security(("bearer" = []), ("session" = [])),
    responses((status = 200, description = "As it is", body = ConfigView), PersonProblems)
)]
async fn get(State(context): State<Context>, access: Access) -> Result<Json<ConfigView>, Problem> {
    access.require(Right::Look)?;
    let mut transaction = access.begin(&context).await?;
    let config = read(&mut transaction, &access).await?;
    transaction.commit().await?;
    Ok(Json((&config).into()))
}

/// Replaces the configuration: what is not given is as for a new tenant. Workers go by it within ten seconds.
#[utoipa::path(
    put, path = "/config", operation_id = "replace_config", tag = "admin", security(("bearer" = []), ("session" = [])),
    request_body = ConfigRequest,
    responses((status = 200, description = "As it is now", body = ConfigView), PersonChangeProblems)
)]
async fn replace(
    State(context): State<Context>,
    access: Access,
    JsonBody(body): JsonBody,
) -> Result<Json<ConfigView>, Problem> {
    access.require(Right::Own)?;
    let mut form = Form::read(&body, access.language)?;
    let mut transaction = access.begin(&context).await?;
    let before = read(&mut transaction, &access).await?;
    let after = TenantConfig {
        active: before.active,
        time_zone: time_zone(&mut form).unwrap_or(Tz::America__Sao_Paulo).name().to_owned(),
        keeps_hours: form.choice("keeps_hours").unwrap_or(true),
        national_holidays: form.choice("national_holidays").unwrap_or(true),
        messages_per_minute: form.number("messages_per_minute", 1..=6_000_000).unwrap_or(20),
        jitter_percent: form.number("jitter_percent", 0..=50).unwrap_or(20),
        daily_cap: form.number("daily_cap", 1..=i32::MAX),
        max_attempts: form.number("max_attempts", 1..=20).unwrap_or(5),
        resend_unconfirmed: message_types(&mut form, "resend_unconfirmed")
            .unwrap_or_else(|| vec![MessageType::Upcoming, MessageType::Notification]),
        requests_per_minute: form.number("requests_per_minute", 1..=6_000_000).unwrap_or(1200),
    };
    form.finish()?;
    tenant_configs::put(&mut transaction, access.tenant_id, &after).await?;
    let (before, noted) = (noted(&ConfigView::from(&before))?, noted(&ConfigView::from(&after))?);
    let change = Change { action: "config.updated", before: Some(&before), after: Some(&noted), ..Change::default() };
    access.record(&mut transaction, change, context.clock.now()).await?;
    transaction.commit().await?;
    Ok(Json((&after).into()))
}

async fn read(conn: &mut PgConnection, access: &Access) -> Result<TenantConfig, Problem> {
    let config = tenant_configs::get(conn, access.tenant_id).await?;
    config.ok_or_else(|| Problem::of(Code::NotFound))
}

/// The time zone, where it is given.
pub(super) fn time_zone(form: &mut Form<'_>) -> Option<Tz> {
    let name = form.text("time_zone", 64)?;
    let zone = name.parse().ok();
    if zone.is_none() {
        let message = form.language.pick(
            "Não há este fuso. Use um nome como America/Sao_Paulo ou America/Manaus.",
            "There is no such time zone. Use a name like America/Sao_Paulo or America/Manaus.",
        );
        form.refuse("time_zone", "invalid_time_zone", message);
    }
    zone
}

/// Types of messages, each once, where they are given.
pub(super) fn message_types(form: &mut Form<'_>, name: &'static str) -> Option<Vec<MessageType>> {
    let given = form.list(name, MessageType::ALL.len())?;
    let mut types = Vec::new();
    for (index, text) in given.iter().enumerate() {
        match text.parse::<MessageType>() {
            Ok(one) => types.push(one),
            Err(_) => {
                let message = form.language.pick(
                    "Valores aceitos: overdue, upcoming, notification.",
                    "Values that are taken: overdue, upcoming, notification.",
                );
                form.refuse(&format!("{name}[{index}]"), "invalid_value", message);
            }
        }
    }
    types.sort_unstable();
    types.dedup();
    Some(types)
}
