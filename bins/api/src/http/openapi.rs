//! The OpenAPI document of the routes, and the page that shows it.

use axum::Router;
use axum::http::{HeaderValue, header};
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use utoipa::openapi::OpenApi as Document;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::error::{FieldError, ProblemDocument};
use crate::credentials::keys::API_KEY_HEADER;
use crate::credentials::token::SESSION_COOKIE;

/// The document without the routes.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Régua",
        description = "Dunning messages over WhatsApp: post batches of contacts, and read and control their queues. Errors are problem documents of RFC 9457 in Portuguese, or in English where Accept-Language prefers it."
    ),
    components(schemas(ProblemDocument, FieldError)),
    tags(
        (name = "send", description = "Posting batches"),
        (name = "queues", description = "Progress and control of batches"),
        (name = "auth", description = "Logins of users: tokens for programs, a cookie for the console"),
        (name = "admin", description = "Administration of a tenant. A platform user names the tenant in X-Tenant-ID; all others act for their own tenant")
    ),
    modifiers(&SecuritySchemes)
)]
pub(crate) struct BaseDocument;

struct SecuritySchemes;

impl Modify for SecuritySchemes {
    fn modify(&self, document: &mut Document) {
        let key = SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new(API_KEY_HEADER)));
        let bearer =
            SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build());
        let cookie = SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new(SESSION_COOKIE)));
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("api_key", key);
        components.add_security_scheme("bearer", bearer);
        components.add_security_scheme("session", cookie);
    }
}

/// The routes `/openapi.json` and `/docs`.
pub(crate) fn router<S: Clone + Send + Sync + 'static>(document: &Document) -> anyhow::Result<Router<S>> {
    let json = document.to_json()?;
    let document = move || async move { ([(header::CONTENT_TYPE, "application/json")], json) };
    Ok(Router::new().route("/openapi.json", get(document)).route("/docs", get(docs)))
}

/// The page is self-contained: its policy allows it to load the document and nothing else.
async fn docs() -> impl IntoResponse {
    let policy = "default-src 'none'; connect-src 'self'; style-src 'unsafe-inline'; script-src 'unsafe-inline'";
    ([(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy))], Html(include_str!("docs.html")))
}
