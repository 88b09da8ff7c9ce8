//! The tenants of the platform: made, renamed, suspended. Nobody deletes one.

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use regua_domain::{Right, TenantId};
use regua_store::{tenant_configs, tenants};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::super::{Parameters, page};
use super::config::{message_types, time_zone};
use super::{InPath, noted};
use crate::Context;
use crate::error::{CREATED, Code, PersonChangeProblems, PersonProblems, Problem};
use crate::form::Form;
use crate::new_tenant::{NewTenant, is_slug};
use crate::people::{Access, Change, JsonBody};

pub(super) fn router() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(get, replace))
}

/// A tenant.
#[derive(Serialize, ToSchema)]
struct Tenant {
    tenant_id: Uuid,
    /// Short name, for commands and logins.
    slug: String,
    /// As debtors read it.
    name: String,
    #[schema(schema_with = status_schema)]
    status: String,
    created_at: DateTime<Utc>,
}

impl From<tenants::Tenant> for Tenant {
    fn from(tenant: tenants::Tenant) -> Self {
        let tenants::Tenant { tenant_id, slug, name, status, created_at } = tenant;
        Self { tenant_id: tenant_id.0, slug, name, status, created_at }
    }
}

/// A page of tenants.
#[derive(Serialize, ToSchema)]
struct TenantPage {
    items: Vec<Tenant>,
    /// For the next page; null on the last one.
    next_cursor: Option<String>,
}

/// What a new tenant is given.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes the body; a form reads it, so that all that is wrong is answered at once")]
struct NewTenantRequest {
    /// Lower-case letters, digits and hyphens; it stays.
    #[schema(example = "acme", pattern = "^[a-z0-9][a-z0-9-]{0,62}$")]
    slug: String,
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// America/Sao_Paulo unless given.
    time_zone: Option<String>,
    /// 20 unless given.
    #[schema(minimum = 1, maximum = 6_000_000)]
    messages_per_minute: Option<i32>,
    /// True unless given; false: it sends at every hour of every day.
    keeps_hours: Option<bool>,
    /// Types of which a contact is sent once more when nobody can say whether its message left; upcoming and notification
    /// unless given.
    #[schema(max_items = 3)]
    resend_unconfirmed: Option<Vec<String>>,
    /// Of every API key that has no rate of its own; 1200 unless given.
    #[schema(minimum = 1, maximum = 6_000_000)]
    requests_per_minute: Option<i32>,
}

/// What is changed of a tenant.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes the body; a form reads it, so that all that is wrong is answered at once")]
struct TenantRequest {
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// active unless given.
    #[schema(schema_with = status_schema)]
    status: Option<String>,
}

/// The tenants of the platform by slug.
#[utoipa::path(
    get, path = "/tenants", operation_id = "list_tenants", tag = "admin", security(("bearer" = []), ("session" = [])),
    params(
        ("slug" = Option<String>, Query, description = "Only this one"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
        ("limit" = Option<i64>, Query, description = "1 to 1000; 100 unless given", minimum = 1, maximum = 1000)
    ),
    responses((status = 200, description = "A page", body = TenantPage), PersonProblems)
)]
async fn list(State(context): State<Context>, access: Access, uri: Uri) -> Result<Json<TenantPage>, Problem> {
    access.require(Right::RunThePlatform)?;
    let mut parameters = Parameters::of(&uri, access.language);
    let slug = parameters.text("slug");
    let (after, limit) = (parameters.cursor::<String>().unwrap_or_default(), parameters.limit());
    if after.contains('\0') || slug.as_ref().is_some_and(|slug| slug.contains('\0')) {
        return Err(Problem::of(Code::NotFound));
    }
    parameters.finish()?;
    let mut transaction = access.begin(&context).await?;
    let found = tenants::list(&mut transaction, slug.as_deref(), &after, limit + 1).await?;
    transaction.commit().await?;
    let items = found.into_iter().map(Tenant::from).collect();
    let (items, next_cursor) = page(items, limit, |tenant: &Tenant| tenant.slug.clone());
    Ok(Json(TenantPage { items, next_cursor }))
}

/// Makes a tenant, open from Monday to Friday from 8:00 to 18:00. It is the first entry of its own audit log.
#[utoipa::path(
    post, path = "/tenants", operation_id = "create_tenant", tag = "admin", security(("bearer" = []), ("session" = [])),
    request_body = NewTenantRequest,
    responses((status = 201, description = "Made", body = Tenant), PersonChangeProblems)
)]
async fn create(State(context): State<Context>, access: Access, JsonBody(body): JsonBody) -> Result<Response, Problem> {
    access.require(Right::RunThePlatform)?;
    let now = context.clock.now();
    let mut form = Form::read(&body, access.language)?;
    let slug = form.required_text("slug", 63);
    if !slug.is_empty() && !is_slug(&slug) {
        let message = form.language.pick(
            "Use de 1 a 63 letras minúsculas, algarismos e hífens.",
            "Use 1 to 63 lower-case letters, digits and hyphens.",
        );
        form.refuse("slug", "invalid_slug", message);
    }
    let name = form.required_text("name", 200);
    let new = NewTenant {
        slug: &slug,
        name: &name,
        time_zone: time_zone(&mut form).unwrap_or(Tz::America__Sao_Paulo),
        messages_per_minute: form.number("messages_per_minute", 1..=6_000_000).unwrap_or(20),
        keeps_hours: form.choice("keeps_hours").unwrap_or(true),
    };
    let resent = message_types(&mut form, "resend_unconfirmed");
    let requests = form.number("requests_per_minute", 1..=6_000_000);
    form.finish()?;
    let access = access.at(TenantId::new(now));
    let mut transaction = access.begin(&context).await?;
    let conn = &mut *transaction;
    if !new.create(conn, access.tenant_id, now).await? {
        let detail = access.language.pick(
            format!("Já há uma empresa \"{slug}\": escolha outro slug."),
            format!("There is already a tenant {slug:?}: choose another slug."),
        );
        return Err(Problem::with_detail(Code::NameTaken, detail));
    }
    if let Some(mut config) = tenant_configs::get(conn, access.tenant_id).await? {
        config.resend_unconfirmed = resent.unwrap_or(config.resend_unconfirmed);
        config.requests_per_minute = requests.unwrap_or(config.requests_per_minute);
        tenant_configs::put(conn, access.tenant_id, &config).await?;
    }
    let tenant = Tenant::from(tenants::lock(conn, access.tenant_id).await?.ok_or(Problem::of(Code::NotFound))?);
    let (after, object) = (noted(&tenant)?, access.tenant_id.to_string());
    access.record(conn, Change { action: "tenant.created", object, before: None, after: Some(&after) }, now).await?;
    transaction.commit().await?;
    Ok((CREATED, Json(tenant)).into_response())
}

/// One tenant.
#[utoipa::path(
    get, path = "/tenants/{tenant_id}", operation_id = "get_tenant", tag = "admin",
    security(("bearer" = []), ("session" = [])), params(("tenant_id" = Uuid, Path)),
    responses((status = 200, description = "The tenant", body = Tenant), PersonProblems)
)]
async fn get(State(context): State<Context>, access: Access, InPath(id): InPath) -> Result<Json<Tenant>, Problem> {
    access.require(Right::RunThePlatform)?;
    let access = access.at(TenantId(id));
    let mut transaction = access.begin(&context).await?;
    let tenant = tenants::find(&mut transaction, access.tenant_id).await?;
    transaction.commit().await?;
    tenant.map(|tenant| Json(tenant.into())).ok_or_else(|| Problem::of(Code::NotFound))
}

/// Renames a tenant, suspends it, or lets it go on. A suspended tenant's keys and logins are refused, and its queues wait:
/// workers stop within ten seconds.
#[utoipa::path(
    put, path = "/tenants/{tenant_id}", operation_id = "replace_tenant", tag = "admin",
    security(("bearer" = []), ("session" = [])), params(("tenant_id" = Uuid, Path)), request_body = TenantRequest,
    responses((status = 200, description = "As it is now", body = Tenant), PersonChangeProblems)
)]
async fn replace(
    State(context): State<Context>,
    access: Access,
    InPath(id): InPath,
    JsonBody(body): JsonBody,
) -> Result<Json<Tenant>, Problem> {
    access.require(Right::RunThePlatform)?;
    let mut form = Form::read(&body, access.language)?;
    let name = form.required_text("name", 200);
    let status = form.text("status", 20).unwrap_or_else(|| STATUSES[0].to_owned());
    if !STATUSES.contains(&status.as_str()) {
        let message =
            form.language.pick("Valores aceitos: active, suspended.", "Values that are taken: active, suspended.");
        form.refuse("status", "invalid_value", message);
    }
    form.finish()?;
    let now = context.clock.now();
    let access = access.at(TenantId(id));
    let mut transaction = access.begin(&context).await?;
    let conn = &mut *transaction;
    let before = tenants::lock(conn, access.tenant_id).await?.ok_or_else(|| Problem::of(Code::NotFound))?;
    let after = Tenant::from(tenants::Tenant { name, status, ..before.clone() });
    tenants::update(conn, access.tenant_id, &after.name, &after.status).await?;
    let (before, noted) = (noted(&Tenant::from(before))?, noted(&after)?);
    let change =
        Change { action: "tenant.updated", object: id.to_string(), before: Some(&before), after: Some(&noted) };
    access.record(conn, change, now).await?;
    transaction.commit().await?;
    Ok(Json(after))
}

const STATUSES: [&str; 2] = ["active", "suspended"];

fn status_schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
    super::super::queue::words(STATUSES)
}
