//! The path prefixes of the groups of routes.

pub(crate) const BILLING: &str = "/api/v1/billing";
pub(crate) const AUTH: &str = "/api/v1/auth";
pub(crate) const ADMIN: &str = "/api/v1/admin";
/// Webhooks of gateways.
pub(crate) const WEBHOOKS: &str = "/webhooks/";

/// Whether the extractor of a route checks the rate limit, because it knows the API key or the webhook secret.
pub(crate) fn has_own_rate_limit(path: &str) -> bool {
    path.starts_with(BILLING) || path.starts_with(WEBHOOKS)
}
