//! Problems: the errors that callers see, as documents of RFC 9457, and the HTTP status codes. A handler returns a
//! [`Problem`]; `request` renders it, because it knows the language and the request's id.

mod document;

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use regua_domain::{Language, Text};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::limits::{Refused, TransactionError};
use crate::texts::render_text;

pub(crate) use self::document::{
    BatchProblems, ContactProblems, ControlProblems, ListProblems, LoginProblems, ProblemDocument, QueueProblems,
    TokenProblems, UserActionProblems, UserChangeProblems, UserReadProblems, WebhookProblems, document,
};

/// `Retry-After` when the database is away.
const AWAY_SECONDS: u64 = 5;
/// `Retry-After` when the API is overloaded.
const BUSY_SECONDS: u64 = 1;

pub(crate) const ACCEPTED: StatusCode = StatusCode::ACCEPTED;
/// The status of a successful answer without a body.
pub(crate) const DONE: StatusCode = StatusCode::NO_CONTENT;

/// The answer of a handler: a JSON document.
pub(crate) type Answer<T> = Result<Json<T>, Problem>;
/// The answer of a handler that created the document.
pub(crate) type Created<T> = Result<(StatusCode, Json<T>), Problem>;
/// The answer of a handler without a document: [`DONE`].
pub(crate) type Done = Result<StatusCode, Problem>;

/// The answer that the document was created.
pub(crate) fn created<T>(document: T) -> Created<T> {
    Ok((StatusCode::CREATED, Json(document)))
}

/// The object, or the problem that the tenant has no such object.
pub(crate) fn found<T>(object: Option<T>) -> Result<T, Problem> {
    object.ok_or_else(|| Problem::of(Code::NotFound))
}

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $status:ident;)+) => {
        /// The kind of a problem. Its name is stable, for programs.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Code {
            $($(#[$doc])* $variant,)+
        }

        impl Code {
            #[cfg(test)]
            pub(crate) const ALL: &[Self] = &[$(Self::$variant),+];

            pub(crate) const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            pub(crate) const fn status(self) -> StatusCode {
                match self {
                    $(Self::$variant => StatusCode::$status,)+
                }
            }
        }
    };
}

codes! {
    MalformedJson = "malformed_json", BAD_REQUEST;
    ApiKeyMissing = "api_key_missing", UNAUTHORIZED;
    ApiKeyInvalid = "api_key_invalid", UNAUTHORIZED;
    /// The key is deactivated, or its tenant is suspended.
    ApiKeyInactive = "api_key_inactive", UNAUTHORIZED;
    ApiKeyExpired = "api_key_expired", UNAUTHORIZED;
    /// A limit of the tenant's plan is reached. Reserved.
    QuotaExceeded = "quota_exceeded", PAYMENT_REQUIRED;
    NotAuthenticated = "not_authenticated", UNAUTHORIZED;
    LoginFailed = "login_failed", UNAUTHORIZED;
    TotpRequired = "totp_required", UNAUTHORIZED;
    TokenInvalid = "token_invalid", UNAUTHORIZED;
    Forbidden = "forbidden", FORBIDDEN;
    CrossSite = "cross_site", FORBIDDEN;
    NameTaken = "name_taken", CONFLICT;
    InUse = "in_use", CONFLICT;
    WebhookSecretInvalid = "webhook_secret_invalid", UNAUTHORIZED;
    IpNotAllowed = "ip_not_allowed", FORBIDDEN;
    TemplateTypeNotAllowed = "template_type_not_allowed", FORBIDDEN;
    /// The route does not exist, or the tenant has no such object.
    NotFound = "not_found", NOT_FOUND;
    MethodNotAllowed = "method_not_allowed", METHOD_NOT_ALLOWED;
    BodyTimeout = "body_timeout", REQUEST_TIMEOUT;
    /// A batch with this `external_id` and other contents was accepted before.
    BatchConflict = "batch_conflict", CONFLICT;
    /// The object's state does not allow the action.
    StateConflict = "state_conflict", CONFLICT;
    BodyTooLarge = "body_too_large", PAYLOAD_TOO_LARGE;
    UnsupportedMediaType = "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE;
    ValidationFailed = "validation_failed", UNPROCESSABLE_ENTITY;
    NoValidContact = "no_valid_contact", UNPROCESSABLE_ENTITY;
    /// No such template of this type exists, or the type has no default.
    TemplateNotFound = "template_not_found", UNPROCESSABLE_ENTITY;
    /// No such instance exists, or the type has no default.
    InstanceNotFound = "instance_not_found", UNPROCESSABLE_ENTITY;
    /// Checking the contacts against the template's schema takes more than the batch's CPU time.
    SchemaTooCostly = "schema_too_costly", UNPROCESSABLE_ENTITY;
    RateLimited = "rate_limited", TOO_MANY_REQUESTS;
    /// A defect of the API or a failed dependency.
    Internal = "internal", INTERNAL_SERVER_ERROR;
    /// A budget of the whole process is used up. Nothing was accepted.
    Overloaded = "overloaded", SERVICE_UNAVAILABLE;
    /// The database is away. Nothing was accepted.
    Unavailable = "unavailable", SERVICE_UNAVAILABLE;
}

/// One error in a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct FieldError {
    /// The wrong field, such as `scheduled_for` or `contacts[3].amount`.
    pub(crate) field: String,
    /// Stable name of the error, for programs.
    pub(crate) code: String,
    /// The error and its remedy, for people.
    pub(crate) message: String,
}

impl FieldError {
    pub(crate) fn new(field: &str, code: &str, text: &Text, language: Language) -> Self {
        Self { field: field.to_owned(), code: code.to_owned(), message: render_text(text, language) }
    }
}

/// The answer of a handler that cannot do what was requested.
#[derive(Debug)]
pub(crate) struct Problem {
    code: Code,
    /// None: the usual sentence of the code.
    detail: Option<Box<Text>>,
    errors: Vec<FieldError>,
    /// Members beyond those of RFC 9457.
    members: Map<String, Value>,
    /// Whole seconds.
    retry_after: Option<u64>,
    /// The cause inside the API. It is logged, and never served.
    cause: Option<anyhow::Error>,
}

impl Problem {
    /// A problem with the usual sentence of its code.
    pub(crate) fn of(code: Code) -> Self {
        Self { code, detail: None, errors: Vec::new(), members: Map::new(), retry_after: None, cause: None }
    }

    pub(crate) fn with_detail(code: Code, detail: Text) -> Self {
        Self { detail: Some(Box::new(detail)), ..Self::of(code) }
    }

    /// The object's state does not allow the action.
    pub(crate) fn conflict(detail: Text) -> Self {
        Self::with_detail(Code::StateConflict, detail)
    }

    /// Another object has the name.
    pub(crate) fn name_taken(detail: Text) -> Self {
        Self::with_detail(Code::NameTaken, detail)
    }

    pub(crate) fn with_errors(code: Code, errors: Vec<FieldError>) -> Self {
        Self { errors, ..Self::of(code) }
    }

    pub(crate) fn internal(cause: impl Into<anyhow::Error>) -> Self {
        Self { cause: Some(cause.into()), ..Self::of(Code::Internal) }
    }

    /// The database is away.
    pub(crate) fn unavailable(cause: impl Into<anyhow::Error>) -> Self {
        let retry_after = Some(AWAY_SECONDS);
        Self { cause: Some(cause.into()), retry_after, ..Self::of(Code::Unavailable) }
    }

    pub(crate) fn rate_limited(retry_after: Duration) -> Self {
        Self { retry_after: Some(whole_seconds(retry_after).max(1)), ..Self::of(Code::RateLimited) }
    }

    /// `validation_failed` with one wrong field.
    pub(crate) fn field(field: &str, code: &str, text: &Text, language: Language) -> Self {
        let error = FieldError::new(field, code, text, language);
        Self::with_errors(Code::ValidationFailed, vec![error])
    }

    pub(crate) fn with_member(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.members.insert(name.to_owned(), value.into());
        self
    }

    /// Whether a limit refused the request. Such requests are counted, and not logged one by one.
    pub(crate) fn is_limit_refusal(&self) -> bool {
        matches!(self.code, Code::Overloaded | Code::RateLimited)
    }

    pub(crate) const fn code(&self) -> Code {
        self.code
    }

    #[cfg(test)]
    pub(crate) fn errors(&self) -> &[FieldError] {
        &self.errors
    }

    /// A few words, the same for every problem with the code.
    fn title(&self) -> Text {
        Text::of_code(&format!("problem_{}_title", self.code.as_str()))
    }

    fn detail(&self) -> Text {
        match &self.detail {
            Some(detail) => Text::clone(detail),
            None => Text::of_code(&format!("problem_{}_detail", self.code.as_str())),
        }
    }

    pub(crate) const fn cause(&self) -> Option<&anyhow::Error> {
        self.cause.as_ref()
    }
}

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        if regua_store::is_unavailable(&error) { Self::unavailable(error) } else { Self::internal(error) }
    }
}

impl From<anyhow::Error> for Problem {
    fn from(error: anyhow::Error) -> Self {
        Self::internal(error)
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::RateLimited(retry_after) => Self::rate_limited(retry_after),
            Refused::TooBusy => Self { retry_after: Some(BUSY_SECONDS), ..Self::of(Code::Overloaded) },
        }
    }
}

impl From<TransactionError> for Problem {
    fn from(error: TransactionError) -> Self {
        match error {
            TransactionError::Refused(refused) => refused.into(),
            TransactionError::Failed(error) => error.into(),
        }
    }
}

/// Seconds, rounded up: a caller that retries too early is refused again.
pub(crate) fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

impl IntoResponse for Problem {
    /// The status without a body, which `request` renders.
    fn into_response(self) -> Response {
        let mut response = self.code.status().into_response();
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}
