//! The tenants of the platform: create, rename, suspend. A tenant is never deleted.

use chrono_tz::Tz;
use regua_domain::{Slug, TenantId, TenantStatus};
use regua_store::tenant_configs;
use regua_store::tenants::{self, Tenant};

use super::new_tenant::NewTenant;
use crate::routes::kit::*;
use crate::routes::tenant::config::MessageTypes;

pub(super) fn router() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(list_tenants, create_tenant)).routes(routes!(get_tenant, replace_tenant))
}

items! { page TenantPage of Tenant }

body! {
    struct NewTenantRequest {
        /// Lower-case letters, digits and hyphens. It cannot be changed.
        #[example = "acme"]
        slug: Slug,
        name: Line<1, 200>,
        /// IANA name. Default: America/Sao_Paulo.
        time_zone: Tz = Tz::America__Sao_Paulo,
        /// Of each instance that has no rate of its own. Default: 20.
        messages_per_minute: Number<1, 6_000_000> = 20,
        /// False: messages of every type go at any hour. Default: true.
        keeps_hours: bool = true,
        /// Types whose unconfirmed contacts are sent once more. Default: upcoming and notification.
        resend_unconfirmed: Option<MessageTypes>,
        /// Of each API key that has no rate limit of its own. Default: 1200.
        requests_per_minute: Option<Number<1, 6_000_000>>,
        /// Highest rate limit of an API key, which the tenant cannot change. Default: 6000, or `requests_per_minute` if
        /// that is higher.
        max_requests_per_minute: Option<Number<1, 6_000_000>>,
    }
}

body! {
    struct TenantRequest {
        name: Line<1, 200>,
        // Default: active.
        status: TenantStatus = TenantStatus::Active,
        /// Highest rate limit of an API key. A key with a higher one has this. Default: the present ceiling.
        max_requests_per_minute: Option<Number<1, 6_000_000>>,
    }
}

impl Member for Slug {
    type Value = Self;

    fn schema() -> Schema {
        text().pattern(Some("^[a-z0-9][a-z0-9-]{0,62}$")).into()
    }

    fn read(field: &mut Field<'_, '_>) -> Option<Self> {
        field.parsed(63, |text| text.parse().ok(), "invalid_slug", &Text::of("tenant-slug-invalid"))
    }
}

/// The tenants of the platform, by slug.
#[utoipa::path(
    get, path = "/tenants",
    params(
        ("slug" = Option<String>, Query, description = "Only the tenant with this slug"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the previous page"),
        ("limit" = Option<i64>, Query, description = "1 to 1000. Default: 100", minimum = 1, maximum = 1000)
    ),
    responses((status = 200, description = "A page", body = TenantPage))
)]
async fn list_tenants(access: Access<Platform>, uri: Uri) -> Answer<TenantPage> {
    let mut parameters = Parameters::of(&uri, access.language);
    let slug = parameters.text("slug");
    let (after, limit) = (parameters.cursor::<String>().unwrap_or_default(), parameters.limit());
    if after.contains('\0') || slug.as_ref().is_some_and(|slug| slug.contains('\0')) {
        return Err(Problem::of(Code::NotFound));
    }
    parameters.finish()?;
    let tenants = access.read(async |conn| tenants::list(conn, slug.as_deref(), &after, limit).await).await?;
    Ok(Json(TenantPage::of(tenants, |tenant| tenant.slug.to_string())))
}

/// Creates a tenant with business hours from Monday to Friday, 8:00 to 18:00. Its audit log begins with this entry.
#[utoipa::path(
    post, path = "/tenants", request_body = NewTenantRequest,
    responses((status = 201, description = "Created", body = Tenant))
)]
async fn create_tenant(access: Access<Platform>, Valid(body): Valid<NewTenantRequest>) -> Created<Tenant> {
    let NewTenantRequest { slug, name, time_zone, messages_per_minute, keeps_hours, .. } = &body;
    let (time_zone, messages_per_minute, keeps_hours) = (*time_zone, *messages_per_minute, *keeps_hours);
    let new = NewTenant { slug, name, time_zone, messages_per_minute, keeps_hours };
    let id = TenantId::new(access.context.clock.now());
    let work = async |conn: &mut PgConnection, now| {
        if !new.create(conn, id, now).await? {
            return Err(Problem::name_taken(Text::of("tenant-slug-taken").with("slug", slug)));
        }
        let mut config = found(tenant_configs::get(conn, id).await?)?;
        config.resend_unconfirmed = body.resend_unconfirmed.clone().unwrap_or(config.resend_unconfirmed);
        config.requests_per_minute = body.requests_per_minute.unwrap_or(config.requests_per_minute);
        tenant_configs::put(conn, &config).await?;
        let tenant = found(tenants::lock(conn, id).await?)?;
        let most = tenant.max_requests_per_minute.max(config.requests_per_minute);
        let max_requests_per_minute = body.max_requests_per_minute.unwrap_or(most);
        tenants::set_max_requests(conn, id, max_requests_per_minute).await?;
        Ok(((), Tenant { max_requests_per_minute, ..tenant }))
    };
    created(access.at(id).change("tenant.created", id, work).await?)
}

/// One tenant.
#[utoipa::path(get, path = "/tenants/{tenant_id}", responses((status = 200, description = "The tenant", body = Tenant)))]
async fn get_tenant(access: Access<Platform>, InPath(id): InPath<TenantId>) -> Answer<Tenant> {
    access.at(id).read(async |conn| found(tenants::find(conn, id).await?)).await.map(Json)
}

/// Renames, suspends or reactivates a tenant, and sets its ceiling. A suspended tenant's API keys and logins are refused, and its workers
/// stop sending within ten seconds.
#[utoipa::path(
    put, path = "/tenants/{tenant_id}", request_body = TenantRequest,
    responses((status = 200, description = "The changed tenant", body = Tenant))
)]
async fn replace_tenant(
    access: Access<Platform>,
    InPath(id): InPath<TenantId>,
    Valid(TenantRequest { name, status, max_requests_per_minute }): Valid<TenantRequest>,
) -> Answer<Tenant> {
    let work = async |conn: &mut PgConnection, _| {
        let before = found(tenants::lock(conn, id).await?)?;
        let max_requests_per_minute = max_requests_per_minute.unwrap_or(before.max_requests_per_minute);
        let after = Tenant { name, status, max_requests_per_minute, ..before.clone() };
        tenants::update(conn, id, &after.name, after.status).await?;
        tenants::set_max_requests(conn, id, max_requests_per_minute).await?;
        Ok((before, after))
    };
    access.at(id).change("tenant.updated", id, work).await.map(Json)
}
