//! The OpenAPI document of the routes, and the page that shows it.

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderValue, header};
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use utoipa::openapi::path::{Operation, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{OpenApi as Document, RefOr, Required};
use utoipa::{IntoResponses, Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;
use uuid::Uuid;

use super::error::{FieldError, ProblemDocument, UserActionProblems, UserChangeProblems, UserReadProblems};
use super::form::member::Member;
use crate::context::Context;
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

/// Completes the description of routes that users call: the tag, a session as the credential, the problems, and the ids
/// in the path. What a route says itself stays; one with its own `security` says all itself.
pub(crate) fn for_users(mut routes: OpenApiRouter<Context>, tag: &str) -> OpenApiRouter<Context> {
    for (path, item) in &mut routes.get_openapi_mut().paths.paths {
        for (is_read, operation) in operations(item) {
            operation.tags.get_or_insert_default().push(tag.to_owned());
            describe_ids(path, operation);
            if operation.security.is_none() {
                operation.security = Some(["bearer", "session"].map(requirement).into());
                let problems = match (is_read, &operation.request_body) {
                    (true, _) => UserReadProblems::responses(),
                    (false, Some(_)) => UserChangeProblems::responses(),
                    (false, None) => UserActionProblems::responses(),
                };
                operation.responses.responses.extend(problems);
            }
        }
    }
    routes
}

/// Completes the description of routes that API keys and users call: the credentials.
pub(crate) fn for_keys_and_users(mut routes: OpenApiRouter<Context>) -> OpenApiRouter<Context> {
    for item in routes.get_openapi_mut().paths.paths.values_mut() {
        for (_, operation) in operations(item) {
            operation.security.get_or_insert_with(|| ["api_key", "bearer", "session"].map(requirement).into());
        }
    }
    routes
}

/// The operations of a path, and whether each only reads.
fn operations(item: &mut PathItem) -> impl Iterator<Item = (bool, &mut Operation)> {
    let PathItem { get, put, post, delete, .. } = item;
    let changes = [put, post, delete].into_iter().flatten().map(|operation| (false, operation));
    get.iter_mut().map(|operation| (true, operation)).chain(changes)
}

fn requirement(scheme: &str) -> SecurityRequirement {
    SecurityRequirement::new::<_, [&str; 0], &str>(scheme, [])
}

/// A parameter in the path that a route does not describe is a UUID.
fn describe_ids(path: &str, operation: &mut Operation) {
    let parameters = operation.parameters.get_or_insert_default();
    for name in path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
        let is_described = parameters.iter().any(|other| matches!(other, RefOr::T(other) if other.name == name));
        if !is_described {
            let id = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Path).required(Required::True);
            parameters.push(RefOr::T(id.schema(Some(Uuid::schema())).build()));
        }
    }
    if parameters.is_empty() {
        operation.parameters = None;
    }
}

/// The routes `/openapi.json` and `/docs`.
pub(crate) fn router<S: Clone + Send + Sync + 'static>(document: &Document) -> anyhow::Result<Router<S>> {
    let json = Bytes::from(document.to_json()?);
    let document = move || async move { ([(header::CONTENT_TYPE, "application/json")], json) };
    Ok(Router::new().route("/openapi.json", get(document)).route("/docs", get(docs)))
}

/// The page is self-contained: its policy allows it to load the document and nothing else.
async fn docs() -> impl IntoResponse {
    let policy = "default-src 'none'; connect-src 'self'; style-src 'unsafe-inline'; script-src 'unsafe-inline'";
    ([(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy))], Html(include_str!("docs.html")))
}
