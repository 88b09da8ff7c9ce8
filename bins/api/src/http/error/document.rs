//! The rendering of a problem: the JSON document, its headers, and its description in the OpenAPI document.

use std::collections::BTreeMap;

use axum::Json;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use regua_domain::Language;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::openapi::{ContentBuilder, HeaderBuilder, Ref, RefOr, Response as Described, ResponseBuilder};
use utoipa::{IntoResponses, ToSchema};

use super::{Code, FieldError, Problem};
use crate::texts::render_text;

const MEDIA_TYPE: &str = "application/problem+json";

/// A problem document of RFC 9457. Some codes add members: `batch_conflict` has `external_id`, `campaign_id` and
/// `queue_id` of the batch that was accepted first, and `malformed_json` has `line` and `column`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemDocument<'a> {
    /// Where the code is documented.
    #[schema(example = "/docs#validation_failed")]
    r#type: String,
    /// A few words, the same for every problem with the code.
    title: String,
    /// The HTTP status.
    #[schema(example = 422)]
    status: u16,
    /// Stable name of the problem, for programs.
    #[schema(example = "validation_failed")]
    code: &'a str,
    /// A sentence for a person, in the language of `Accept-Language`: Portuguese unless English is preferred.
    detail: String,
    /// All errors in the request, where the code can have several.
    #[serde(skip_serializing_if = "<[FieldError]>::is_empty")]
    #[schema(required = false)]
    errors: &'a [FieldError],
    /// The id to give to support.
    request_id: &'a str,
    #[serde(flatten)]
    #[schema(ignore)]
    members: &'a Map<String, Value>,
}

/// The answer with the problem's document.
pub(crate) fn document(problem: &Problem, language: Language, request_id: &str) -> Response {
    let Problem { code, errors, members, retry_after, .. } = problem;
    let document = ProblemDocument {
        r#type: format!("/docs#{}", code.as_str()),
        title: render_text(&problem.title(), language),
        status: code.status().as_u16(),
        code: code.as_str(),
        detail: render_text(&problem.detail(), language),
        errors,
        request_id,
        members,
    };
    let mut response = (code.status(), Json(document)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    headers.insert(header::CONTENT_LANGUAGE, HeaderValue::from_static(language.as_str()));
    if let Some(seconds) = retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(*seconds));
    }
    match code {
        Code::NotAuthenticated | Code::LoginFailed | Code::TotpRequired | Code::TokenInvalid => {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        Code::ApiKeyMissing | Code::ApiKeyInvalid | Code::ApiKeyInactive | Code::ApiKeyExpired => {
            let challenge = HeaderValue::from_static("ApiKey header=\"X-Billing-API-Key\"");
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        _ => {}
    }
    response
}

/// The problems of an API key.
const KEY: &[Code] = &[
    Code::ApiKeyMissing,
    Code::ApiKeyInvalid,
    Code::ApiKeyInactive,
    Code::ApiKeyExpired,
    Code::IpNotAllowed,
    Code::Forbidden,
];
/// The problems of a body, before its fields are read.
const BODY: &[Code] = &[Code::MalformedJson, Code::BodyTimeout, Code::BodyTooLarge, Code::UnsupportedMediaType];
const ALWAYS: &[Code] = &[Code::RateLimited, Code::Internal, Code::Overloaded, Code::Unavailable];

/// The problems that a group of routes may answer, for the OpenAPI document.
macro_rules! problems {
    ($($name:ident = $($group:ident)* [$($code:ident),+];)+) => {$(
        pub(crate) struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Described>> {
                described(&[$($group,)* &[$(Code::$code),+], ALWAYS])
            }
        }
    )+};
}

problems! {
    BatchProblems = KEY BODY [
        QuotaExceeded, TemplateTypeNotAllowed, BatchConflict, ValidationFailed, NoValidContact, TemplateNotFound,
        InstanceNotFound, SchemaTooCostly
    ];
    QueueProblems = KEY [NotFound];
    ContactProblems = KEY [NotFound, ValidationFailed];
    ListProblems = KEY [ValidationFailed];
    ControlProblems = KEY BODY [NotFound, StateConflict, ValidationFailed];
    LoginProblems = BODY [LoginFailed, TotpRequired, ValidationFailed];
    TokenProblems = BODY [TokenInvalid, ValidationFailed];
    UserReadProblems = [NotAuthenticated, Forbidden, NotFound, ValidationFailed];
    UserActionProblems = [NotAuthenticated, Forbidden, CrossSite, NotFound, InUse, StateConflict];
    UserChangeProblems = BODY [
        NotAuthenticated, Forbidden, CrossSite, NotFound, NameTaken, StateConflict, ValidationFailed
    ];
    WebhookProblems = BODY [WebhookSecretInvalid, Forbidden];
}

fn described(groups: &[&[Code]]) -> BTreeMap<String, RefOr<Described>> {
    let mut by_status: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for code in groups.iter().copied().flatten() {
        by_status.entry(code.status().as_str().to_owned()).or_default().push(format!("`{}`", code.as_str()));
    }
    by_status.into_iter().map(|(status, codes)| (status.clone(), RefOr::T(description(&status, &codes)))).collect()
}

/// The headers of a temporary refusal. A 503 has the first of them only.
const RETRY_HEADERS: [(&str, &str); 5] = [
    ("Retry-After", "Seconds to wait before the next attempt"),
    (
        "RateLimit-Policy",
        "Requests in a window of w seconds, and how many may arrive at once (burst), such as 1200;w=60;burst=200",
    ),
    ("RateLimit-Limit", "Requests that may arrive at once after a pause"),
    ("RateLimit-Remaining", "Requests that may follow immediately"),
    ("RateLimit-Reset", "Seconds until RateLimit-Limit requests may arrive at once again"),
];

fn description(status: &str, codes: &[String]) -> Described {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    let described = ResponseBuilder::new().description(codes.join(", ")).content(MEDIA_TYPE, content);
    let headers = match status {
        "429" => &RETRY_HEADERS[..],
        "503" => &RETRY_HEADERS[..1],
        _ => &[],
    };
    let with = |described: ResponseBuilder, (name, text): &(&str, &str)| {
        described.header(*name, HeaderBuilder::new().description(Some(*text)).build())
    };
    headers.iter().fold(described, with).build()
}
