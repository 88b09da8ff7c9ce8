//! How a problem is written: the JSON document, its headers, and what the OpenAPI document says of it.

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

const MEDIA_TYPE: &str = "application/problem+json";

/// A problem document of RFC 9457. Some codes add members of their own; `batch_conflict` has `external_id`,
/// `campaign_id` and `queue_id` of the batch that was taken first, and `malformed_json` has `line` and `column`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemDocument<'a> {
    /// Where the code is explained.
    #[schema(example = "/docs#validation_failed")]
    r#type: String,
    /// The same few words for every case of the code.
    title: &'a str,
    /// The HTTP status.
    #[schema(example = 422)]
    status: u16,
    /// Stable name, for programs.
    #[schema(example = "validation_failed")]
    code: &'a str,
    /// A sentence for a person, in the language of `Accept-Language`: Portuguese unless English is preferred.
    detail: &'a str,
    /// All that is wrong, where there are several things.
    #[serde(skip_serializing_if = "<[FieldError]>::is_empty")]
    #[schema(required = false)]
    errors: &'a [FieldError],
    /// What to tell support.
    request_id: &'a str,
    #[serde(flatten)]
    #[schema(ignore)]
    members: &'a Map<String, Value>,
}

/// The whole answer.
pub(crate) fn document(problem: &Problem, language: Language, request_id: &str) -> Response {
    let Problem { code, detail, errors, members, is_busy, retry_after, .. } = problem;
    let usual = if *is_busy { Code::busy_detail(language) } else { code.usual_detail(language) };
    let document = ProblemDocument {
        r#type: format!("/docs#{}", code.as_str()),
        title: code.title(language),
        status: code.status().as_u16(),
        code: code.as_str(),
        detail: detail.as_deref().unwrap_or(usual),
        errors,
        request_id,
        members,
    };
    let mut response = (code.status(), Json(document)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    headers.insert(header::CONTENT_LANGUAGE, HeaderValue::from_static(language.pick("pt-BR", "en")));
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

/// Which problems a kind of call can answer, for the OpenAPI document.
macro_rules! problems {
    ($($(#[$doc:meta])* $name:ident = [$($code:ident),+ $(,)?];)+) => {$(
        $(#[$doc])*
        pub(crate) struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Described>> {
                described(&[$(Code::$code),+])
            }
        }
    )+};
}

problems! {
    /// Of a posted batch.
    BatchProblems = [
        MalformedJson, ApiKeyMissing, ApiKeyInvalid, ApiKeyInactive, ApiKeyExpired, QuotaExceeded, IpNotAllowed,
        TemplateTypeNotAllowed, BodyTimeout, BatchConflict, BodyTooLarge, UnsupportedMediaType, ValidationFailed,
        NoValidContact, TemplateNotFound, InstanceNotFound, RateLimited, Internal, Unavailable,
    ];
    /// Of a look at one queue.
    QueueProblems = [
        ApiKeyMissing, ApiKeyInvalid, ApiKeyInactive, ApiKeyExpired, IpNotAllowed, NotFound, RateLimited, Internal,
        Unavailable,
    ];
    /// Of a listing of one queue's contacts.
    ContactProblems = [
        ApiKeyMissing, ApiKeyInvalid, ApiKeyInactive, ApiKeyExpired, IpNotAllowed, NotFound, ValidationFailed,
        RateLimited, Internal, Unavailable,
    ];
    /// Of a listing.
    ListProblems = [
        ApiKeyMissing, ApiKeyInvalid, ApiKeyInactive, ApiKeyExpired, IpNotAllowed, ValidationFailed, RateLimited,
        Internal, Unavailable,
    ];
    /// Of a login.
    LoginProblems = [
        MalformedJson, LoginFailed, TotpRequired, BodyTimeout, BodyTooLarge, UnsupportedMediaType, ValidationFailed,
        RateLimited, Internal, Unavailable,
    ];
    /// Of a call that shows a token or an invitation.
    TokenProblems = [
        MalformedJson, TokenInvalid, BodyTimeout, BodyTooLarge, UnsupportedMediaType, ValidationFailed, RateLimited, Internal,
        Unavailable,
    ];
    /// Of a person's look.
    PersonProblems = [
        NotAuthenticated, Forbidden, NotFound, ValidationFailed, RateLimited, Internal, Unavailable,
    ];
    /// Of a person's change without a body.
    PersonActionProblems = [
        NotAuthenticated, Forbidden, CrossSite, NotFound, InUse, StateConflict, RateLimited, Internal, Unavailable,
    ];
    /// Of a person's change.
    PersonChangeProblems = [
        MalformedJson, NotAuthenticated, Forbidden, CrossSite, NotFound, BodyTimeout, NameTaken, StateConflict, BodyTooLarge,
        UnsupportedMediaType, ValidationFailed, RateLimited, Internal, Unavailable,
    ];
    /// Of a webhook.
    WebhookProblems = [
        MalformedJson, WebhookSecretInvalid, BodyTimeout, BodyTooLarge, UnsupportedMediaType, RateLimited, Internal,
        Unavailable,
    ];
    /// Of an operator's action.
    ControlProblems = [
        MalformedJson, ApiKeyMissing, ApiKeyInvalid, ApiKeyInactive, ApiKeyExpired, IpNotAllowed, NotFound, BodyTimeout,
        StateConflict, BodyTooLarge, UnsupportedMediaType, ValidationFailed, RateLimited, Internal, Unavailable,
    ];
}

fn described(codes: &[Code]) -> BTreeMap<String, RefOr<Described>> {
    let mut by_status: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for code in codes {
        by_status.entry(code.status().as_str().to_owned()).or_default().push(format!("`{}`", code.as_str()));
    }
    by_status.into_iter().map(|(status, codes)| (status.clone(), RefOr::T(description(&status, &codes)))).collect()
}

/// Of a refusal that passes, with the headers that say when.
const UNTIL_WHEN: [(&str, &str); 5] = [
    ("Retry-After", "Seconds after which to ask again"),
    (
        "RateLimit-Policy",
        "Requests in a window of so many seconds (w), and so many of them at once (burst), such as 1200;w=60;burst=200",
    ),
    ("RateLimit-Limit", "Requests that may come at once after a rest"),
    ("RateLimit-Remaining", "Requests that may follow at once"),
    ("RateLimit-Reset", "Seconds until as many as RateLimit-Limit may come at once"),
];

fn description(status: &str, codes: &[String]) -> Described {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    let described = ResponseBuilder::new().description(codes.join(", ")).content(MEDIA_TYPE, content);
    let headers = match status {
        "429" => &UNTIL_WHEN[..],
        "503" => &UNTIL_WHEN[..1],
        _ => &[],
    };
    let with = |described: ResponseBuilder, (name, text): &(&str, &str)| {
        described.header(*name, HeaderBuilder::new().description(Some(*text)).build())
    };
    headers.iter().fold(described, with).build()
}
