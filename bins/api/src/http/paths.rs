//! The path prefixes of the groups of routes.

pub(crate) const BILLING: &str = "/api/v1/billing";
pub(crate) const AUTH: &str = "/api/v1/auth";
pub(crate) const ADMIN: &str = "/api/v1/admin";
/// Webhooks of gateways.
pub(crate) const WEBHOOKS: &str = "/webhooks/";

/// All groups of routes but webhooks.
const API: &str = "/api/";

/// Whether the extractor of a route checks the rate limit, because it knows the API key, the session or the webhook
/// secret.
pub(crate) fn has_own_rate_limit(path: &str) -> bool {
    path.starts_with(API) || path.starts_with(WEBHOOKS)
}

/// Whether answers may hold keys, tokens or data of people, which no cache may store.
pub(crate) fn is_confidential(path: &str) -> bool {
    path.starts_with(API)
}
