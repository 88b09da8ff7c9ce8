//! What can go wrong, as a caller sees it: problem documents of RFC 9457. No other file knows an HTTP status code.
//!
//! A handler answers a [`Problem`]; `request` spells it out, because the language and the request's id are known there.

mod document;
mod wording;

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::request::whole_seconds;

pub(crate) use document::{
    BatchProblems, ContactProblems, ControlProblems, ListProblems, LoginProblems, PersonActionProblems,
    PersonChangeProblems, PersonProblems, ProblemDocument, QueueProblems, TokenProblems, WebhookProblems, document,
};

/// Seconds after which a caller may ask again when the database was away.
const AWAY_SECONDS: u64 = 5;
/// The same where there was too much to do.
const BUSY_SECONDS: u64 = 1;

/// The status of a batch that was taken.
pub(crate) const ACCEPTED: StatusCode = StatusCode::ACCEPTED;
/// The status of something that was made.
pub(crate) const CREATED: StatusCode = StatusCode::CREATED;
/// The status of something that is done, and of which there is nothing to say.
pub(crate) const DONE: StatusCode = StatusCode::NO_CONTENT;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $status:ident;)+) => {
        /// What went wrong, by the stable name that programs branch on.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Code {
            $($(#[$doc])* $variant,)+
        }

        impl Code {
            #[cfg(test)]
            const ALL: &[Self] = &[$(Self::$variant),+];

            /// The name in problem documents.
            pub(crate) const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// Its HTTP status.
            pub(crate) const fn status(self) -> StatusCode {
                match self {
                    $(Self::$variant => StatusCode::$status,)+
                }
            }
        }
    };
}

codes! {
    /// The body is no JSON.
    MalformedJson = "malformed_json", BAD_REQUEST;
    /// There is no key in the header.
    ApiKeyMissing = "api_key_missing", UNAUTHORIZED;
    /// It is nobody's key.
    ApiKeyInvalid = "api_key_invalid", UNAUTHORIZED;
    /// The key, or its tenant, is switched off.
    ApiKeyInactive = "api_key_inactive", UNAUTHORIZED;
    /// The key's time is over.
    ApiKeyExpired = "api_key_expired", UNAUTHORIZED;
    /// A limit of the tenant's plan is reached. Reserved.
    QuotaExceeded = "quota_exceeded", PAYMENT_REQUIRED;
    /// Nobody who came in, or whose session is over.
    NotAuthenticated = "not_authenticated", UNAUTHORIZED;
    /// The tenant, the address, the password or the code is wrong.
    LoginFailed = "login_failed", UNAUTHORIZED;
    /// The password is right, and a code of the second factor is needed besides.
    TotpRequired = "totp_required", UNAUTHORIZED;
    /// The refresh token, or the invitation, is nobody's, or its time is over.
    TokenInvalid = "token_invalid", UNAUTHORIZED;
    /// The role does not allow it.
    Forbidden = "forbidden", FORBIDDEN;
    /// Another site's page asked, with somebody's cookie.
    CrossSite = "cross_site", FORBIDDEN;
    /// There is one of that name.
    NameTaken = "name_taken", CONFLICT;
    /// Something else needs it.
    InUse = "in_use", CONFLICT;
    /// A webhook without the secret of its number.
    WebhookSecretInvalid = "webhook_secret_invalid", UNAUTHORIZED;
    /// The key may not be used from that address.
    IpNotAllowed = "ip_not_allowed", FORBIDDEN;
    /// The key may not send that type.
    TemplateTypeNotAllowed = "template_type_not_allowed", FORBIDDEN;
    /// No such route, or no such thing of this tenant's.
    NotFound = "not_found", NOT_FOUND;
    /// The route has no such method.
    MethodNotAllowed = "method_not_allowed", METHOD_NOT_ALLOWED;
    /// The body did not arrive in time, or not whole.
    BodyTimeout = "body_timeout", REQUEST_TIMEOUT;
    /// The `external_id` was taken with other contents.
    BatchConflict = "batch_conflict", CONFLICT;
    /// The queue's state does not allow the action.
    StateConflict = "state_conflict", CONFLICT;
    /// The body is larger than is read.
    BodyTooLarge = "body_too_large", PAYLOAD_TOO_LARGE;
    /// The body is not said to be JSON.
    UnsupportedMediaType = "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE;
    /// Fields are missing, wrong or unknown.
    ValidationFailed = "validation_failed", UNPROCESSABLE_ENTITY;
    /// Not one contact of the batch can be written to.
    NoValidContact = "no_valid_contact", UNPROCESSABLE_ENTITY;
    /// No such template of that type, or no default.
    TemplateNotFound = "template_not_found", UNPROCESSABLE_ENTITY;
    /// No such instance, or no default.
    InstanceNotFound = "instance_not_found", UNPROCESSABLE_ENTITY;
    /// Too many requests.
    RateLimited = "rate_limited", TOO_MANY_REQUESTS;
    /// A fault of ours.
    Internal = "internal", INTERNAL_SERVER_ERROR;
    /// The database is away, or there is too much to do; nothing was taken.
    Unavailable = "unavailable", SERVICE_UNAVAILABLE;
}

/// One thing that is wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct FieldError {
    /// Where it is, such as `scheduled_for` or `contacts[3].amount`.
    pub(crate) field: String,
    /// What it is, for programs.
    pub(crate) code: String,
    /// What it is and how to mend it, for people.
    pub(crate) message: String,
}

/// What a handler answers where it cannot do what was asked.
#[derive(Debug)]
pub(crate) struct Problem {
    code: Code,
    /// In the caller's language; none: what is always said of the code.
    detail: Option<String>,
    errors: Vec<FieldError>,
    /// Members beyond RFC 9457's, for programs.
    members: Map<String, Value>,
    /// The detail is that there is too much to do, and not that the database is away.
    is_busy: bool,
    /// Whole seconds after which a caller may ask again.
    retry_after: Option<u64>,
    /// What happened inside, for the log alone.
    cause: Option<anyhow::Error>,
}

impl Problem {
    /// A problem of which the code says all.
    pub(crate) fn of(code: Code) -> Self {
        Self {
            code,
            detail: None,
            errors: Vec::new(),
            members: Map::new(),
            is_busy: false,
            retry_after: None,
            cause: None,
        }
    }

    /// With a sentence about this very case.
    pub(crate) fn with_detail(code: Code, detail: String) -> Self {
        Self { detail: Some(detail), ..Self::of(code) }
    }

    /// With all that is wrong.
    pub(crate) fn with_errors(code: Code, errors: Vec<FieldError>) -> Self {
        Self { errors, ..Self::of(code) }
    }

    /// A fault of ours, with its cause for the log.
    pub(crate) fn internal(cause: impl Into<anyhow::Error>) -> Self {
        Self { cause: Some(cause.into()), ..Self::of(Code::Internal) }
    }

    /// The database does not answer, with the cause for the log.
    pub(crate) fn unavailable(cause: impl Into<anyhow::Error>) -> Self {
        let retry_after = Some(AWAY_SECONDS);
        Self { cause: Some(cause.into()), retry_after, ..Self::of(Code::Unavailable) }
    }

    /// There is too much to do at the moment.
    pub(crate) fn too_busy() -> Self {
        Self { is_busy: true, retry_after: Some(BUSY_SECONDS), ..Self::of(Code::Unavailable) }
    }

    /// Too many requests of one caller, until then.
    pub(crate) fn rate_limited(retry_after: Duration) -> Self {
        Self { retry_after: Some(whole_seconds(retry_after).max(1)), ..Self::of(Code::RateLimited) }
    }

    /// One wrong field.
    pub(crate) fn field(field: &str, code: &str, message: String) -> Self {
        let error = FieldError { field: field.to_owned(), code: code.to_owned(), message };
        Self::with_errors(Code::ValidationFailed, vec![error])
    }

    /// Adds a member for programs.
    pub(crate) fn with_member(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.members.insert(name.to_owned(), value.into());
        self
    }

    /// Nobody needs a line in the log for each.
    pub(crate) fn is_of_a_flood(&self) -> bool {
        self.is_busy || self.code == Code::RateLimited
    }

    /// What went wrong.
    pub(crate) const fn code(&self) -> Code {
        self.code
    }

    /// All that is wrong.
    #[cfg(test)]
    pub(crate) fn errors(&self) -> &[FieldError] {
        &self.errors
    }

    /// What happened inside, for the log alone.
    pub(crate) const fn cause(&self) -> Option<&anyhow::Error> {
        self.cause.as_ref()
    }
}

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        if regua_store::is_unavailable(&error) { Self::unavailable(error) } else { Self::internal(error) }
    }
}

impl IntoResponse for Problem {
    /// Without a body: `request` writes it.
    fn into_response(self) -> Response {
        let mut response = self.code.status().into_response();
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}
