//! The tenants of the platform: create, rename, suspend. A tenant is never deleted.

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use regua_domain::{Capability, Slug, TenantId, TenantStatus, Text};
use regua_store::{tenant_configs, tenants};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::new_tenant::NewTenant;
use crate::callers::{Access, Change, snapshot};
use crate::context::Context;
use crate::http::error::{UserChangeProblems, UserReadProblems};
use crate::http::schema::words;
use crate::http::{CREATED, Code, Form, InPath, JsonBody, Parameters, Problem, page};
use crate::routes::choice::choose;
use crate::routes::tenant::config::{message_types, time_zone};

pub(super) fn router() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(get, replace))
}

#[derive(Serialize, ToSchema)]
struct Tenant {
    tenant_id: Uuid,
    /// Short name in commands and logins.
    #[schema(value_type = String)]
    slug: Slug,
    /// The name in messages to debtors.
    name: String,
    #[schema(schema_with = status_schema)]
    status: TenantStatus,
    created_at: DateTime<Utc>,
}

impl From<tenants::Tenant> for Tenant {
    fn from(tenant: tenants::Tenant) -> Self {
        let tenants::Tenant { tenant_id, slug, name, status, created_at } = tenant;
        Self { tenant_id: tenant_id.0, slug, name, status, created_at }
    }
}

#[derive(Serialize, ToSchema)]
struct TenantPage {
    items: Vec<Tenant>,
    /// Cursor of the next page; null on the last page.
    next_cursor: Option<String>,
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "OpenAPI schema only: `Form` reads the body and reports every fault at once")]
struct NewTenantRequest {
    /// Lower-case letters, digits and hyphens. It cannot be changed.
    #[schema(example = "acme", pattern = "^[a-z0-9][a-z0-9-]{0,62}$")]
    slug: String,
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// IANA name. Default: America/Sao_Paulo.
    time_zone: Option<String>,
    /// Of each instance that has no rate of its own. Default: 20.
    #[schema(minimum = 1, maximum = 6_000_000)]
    messages_per_minute: Option<i32>,
    /// False: messages of every type go at any hour. Default: true.
    keeps_hours: Option<bool>,
    /// Types whose unconfirmed contacts are sent once more. Default: upcoming and notification.
    #[schema(max_items = 3)]
    resend_unconfirmed: Option<Vec<String>>,
    /// Of each API key that has no rate limit of its own. Default: 1200.
    #[schema(minimum = 1, maximum = 6_000_000)]
    requests_per_minute: Option<i32>,
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "OpenAPI schema only: `Form` reads the body and reports every fault at once")]
struct TenantRequest {
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// Default: active.
    #[schema(schema_with = status_schema)]
    status: Option<String>,
}

/// The tenants of the platform, by slug.
#[utoipa::path(
    get, path = "/tenants", operation_id = "list_tenants", tag = "admin", security(("bearer" = []), ("session" = [])),
    params(
        ("slug" = Option<String>, Query, description = "Only the tenant with this slug"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the previous page"),
        ("limit" = Option<i64>, Query, description = "1 to 1000. Default: 100", minimum = 1, maximum = 1000)
    ),
    responses((status = 200, description = "A page", body = TenantPage), UserReadProblems)
)]
async fn list(State(context): State<Context>, access: Access, uri: Uri) -> Result<Json<TenantPage>, Problem> {
    access.require(Capability::Platform)?;
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
    let (items, next_cursor) = page(items, limit, |tenant: &Tenant| tenant.slug.to_string());
    Ok(Json(TenantPage { items, next_cursor }))
}

/// Creates a tenant with business hours from Monday to Friday, 8:00 to 18:00. Its audit log begins with this entry.
#[utoipa::path(
    post, path = "/tenants", operation_id = "create_tenant", tag = "admin", security(("bearer" = []), ("session" = [])),
    request_body = NewTenantRequest,
    responses((status = 201, description = "Created", body = Tenant), UserChangeProblems)
)]
async fn create(State(context): State<Context>, access: Access, JsonBody(body): JsonBody) -> Result<Response, Problem> {
    access.require(Capability::Platform)?;
    let now = context.clock.now();
    let mut form = Form::read(&body, access.language)?;
    let text = form.required_text("slug", 63);
    let slug = text.parse::<Slug>().ok();
    if slug.is_none() && !text.is_empty() {
        form.refuse("slug", "invalid_slug", &Text::of("tenant-slug-invalid"));
    }
    let name = form.required_text("name", 200);
    let time_zone = time_zone(&mut form).unwrap_or(Tz::America__Sao_Paulo);
    let messages_per_minute = form.number("messages_per_minute", 1..=6_000_000).unwrap_or(20);
    let keeps_hours = form.boolean("keeps_hours").unwrap_or(true);
    let resend_unconfirmed = message_types(&mut form, "resend_unconfirmed");
    let requests_per_minute = form.number("requests_per_minute", 1..=6_000_000);
    form.finish()?;
    let slug = slug.ok_or(Problem::of(Code::ValidationFailed))?;
    let new = NewTenant { slug: &slug, name: &name, time_zone, messages_per_minute, keeps_hours };
    let access = access.at(TenantId::new(now));
    let mut transaction = access.begin(&context).await?;
    let conn = &mut *transaction;
    if !new.create(conn, access.tenant_id, now).await? {
        return Err(Problem::with_detail(Code::NameTaken, Text::of("tenant-slug-taken").with("slug", slug)));
    }
    if let Some(mut config) = tenant_configs::get(conn, access.tenant_id).await? {
        config.resend_unconfirmed = resend_unconfirmed.unwrap_or(config.resend_unconfirmed);
        config.requests_per_minute = requests_per_minute.unwrap_or(config.requests_per_minute);
        tenant_configs::put(conn, &config).await?;
    }
    let tenant = Tenant::from(tenants::lock(conn, access.tenant_id).await?.ok_or(Problem::of(Code::NotFound))?);
    let (after, object) = (snapshot(&tenant)?, access.tenant_id.to_string());
    access.record(conn, Change { action: "tenant.created", object, before: None, after: Some(&after) }, now).await?;
    transaction.commit().await?;
    Ok((CREATED, Json(tenant)).into_response())
}

/// One tenant.
#[utoipa::path(
    get, path = "/tenants/{tenant_id}", operation_id = "get_tenant", tag = "admin",
    security(("bearer" = []), ("session" = [])), params(("tenant_id" = Uuid, Path)),
    responses((status = 200, description = "The tenant", body = Tenant), UserReadProblems)
)]
async fn get(
    State(context): State<Context>,
    access: Access,
    InPath(id): InPath<Uuid>,
) -> Result<Json<Tenant>, Problem> {
    access.require(Capability::Platform)?;
    let access = access.at(TenantId(id));
    let mut transaction = access.begin(&context).await?;
    let tenant = tenants::find(&mut transaction, access.tenant_id).await?;
    transaction.commit().await?;
    tenant.map(|tenant| Json(tenant.into())).ok_or_else(|| Problem::of(Code::NotFound))
}

/// Renames, suspends or reactivates a tenant. A suspended tenant's API keys and logins are refused, and its workers
/// stop sending within ten seconds.
#[utoipa::path(
    put, path = "/tenants/{tenant_id}", operation_id = "replace_tenant", tag = "admin",
    security(("bearer" = []), ("session" = [])), params(("tenant_id" = Uuid, Path)), request_body = TenantRequest,
    responses((status = 200, description = "The changed tenant", body = Tenant), UserChangeProblems)
)]
async fn replace(
    State(context): State<Context>,
    access: Access,
    InPath(id): InPath<Uuid>,
    JsonBody(body): JsonBody,
) -> Result<Json<Tenant>, Problem> {
    access.require(Capability::Platform)?;
    let mut form = Form::read(&body, access.language)?;
    let name = form.required_text("name", 200);
    let status = match form.text("status", 20) {
        Some(text) => choose(&mut form, "status", &text, &TenantStatus::ALL, TenantStatus::as_str),
        None => Some(TenantStatus::Active),
    };
    form.finish()?;
    let status = status.ok_or(Problem::of(Code::ValidationFailed))?;
    let now = context.clock.now();
    let access = access.at(TenantId(id));
    let mut transaction = access.begin(&context).await?;
    let conn = &mut *transaction;
    let before = tenants::lock(conn, access.tenant_id).await?.ok_or_else(|| Problem::of(Code::NotFound))?;
    let after = Tenant::from(tenants::Tenant { name, status, ..before.clone() });
    tenants::update(conn, access.tenant_id, &after.name, after.status).await?;
    let (old, new) = (snapshot(&Tenant::from(before))?, snapshot(&after)?);
    let change = Change { action: "tenant.updated", object: id.to_string(), before: Some(&old), after: Some(&new) };
    access.record(conn, change, now).await?;
    transaction.commit().await?;
    Ok(Json(after))
}

fn status_schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
    words(TenantStatus::ALL.map(TenantStatus::as_str))
}
