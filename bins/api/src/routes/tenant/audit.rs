//! The audit log of a tenant.

use regua_domain::AuditId;
use regua_store::audit_log::{self, Entry};

use crate::routes::kit::*;

pub(super) fn router() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(audit_log))
}

/// Some entries are long.
const MAX_PAGE: i64 = 100;

items! { page AuditPage of Entry }

/// The audit log, newest entry first.
#[utoipa::path(
    get, path = "/audit",
    params(
        ("action" = Option<String>, Query, description = "Only entries of this action, such as key.created"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the previous page"),
        ("limit" = Option<i64>, Query, description = "1 to 1000; a page has at most 100 items", minimum = 1, maximum = 1000)
    ),
    responses((status = 200, description = "A page", body = AuditPage))
)]
async fn audit_log(access: Access<Administer>, uri: Uri) -> Answer<AuditPage> {
    let mut parameters = Parameters::of(&uri, access.language);
    let action = parameters.text("action");
    let (before, limit) = (parameters.cursor::<AuditId>(), parameters.limit().min(MAX_PAGE));
    parameters.finish()?;
    let (tenant, action) = (access.tenant_id, action.as_deref());
    let entries = access.read(async |conn| audit_log::list(conn, tenant, before, action, limit).await).await?;
    Ok(Json(AuditPage::of(entries, |entry| entry.audit_id.to_string())))
}
