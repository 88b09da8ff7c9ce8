//! The shapes of Evolution's answers: the common error envelope, its exceptions, and the answers of faults.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: AnswerBody,
}

pub(crate) enum AnswerBody {
    Json(Value),
    Html(&'static str),
    Empty,
    /// No answer: the connection is closed.
    Cut,
    /// No answer before shutdown.
    Hang,
}

impl Answer {
    pub(crate) const CUT: Self = Self { status: StatusCode::INTERNAL_SERVER_ERROR, body: AnswerBody::Cut };
    pub(crate) const HANG: Self = Self { status: StatusCode::INTERNAL_SERVER_ERROR, body: AnswerBody::Hang };

    pub(crate) fn ok(body: Value) -> Self {
        Self { status: StatusCode::OK, body: AnswerBody::Json(body) }
    }

    pub(crate) fn created(body: Value) -> Self {
        Self { status: StatusCode::CREATED, body: AnswerBody::Json(body) }
    }

    pub(crate) fn raw(status: StatusCode, body: Value) -> Self {
        Self { status, body: AnswerBody::Json(body) }
    }

    /// The common envelope. `message` is a string, an array of strings, or an array of arrays of strings.
    pub(crate) fn error(status: StatusCode, message: impl Into<Value>) -> Self {
        let error = status.canonical_reason().unwrap_or_default();
        let message = message.into();
        let body = json!({"status": status.as_u16(), "error": error, "response": {"message": message}});
        Self { status, body: AnswerBody::Json(body) }
    }

    pub(crate) fn bad_request(message: impl Into<Value>) -> Self {
        Self::error(StatusCode::BAD_REQUEST, message)
    }

    /// An exception inside a send: `["<Name>: <text>"]`.
    pub(crate) fn thrown(text: &str) -> Self {
        Self::bad_request(json!([text]))
    }

    pub(crate) fn internal(message: impl Into<Value>) -> Self {
        Self::error(StatusCode::INTERNAL_SERVER_ERROR, message)
    }

    pub(crate) fn unauthorized() -> Self {
        Self::error(StatusCode::UNAUTHORIZED, "Unauthorized")
    }

    pub(crate) fn no_such_instance(name: &str) -> Self {
        Self::error(StatusCode::NOT_FOUND, json!([format!("The \"{name}\" instance does not exist")]))
    }

    /// The status is 400, and yet the envelope says "Internal Server Error".
    pub(crate) fn malformed_json(message: &str) -> Self {
        let body = json!({"status": 400, "error": "Internal Server Error", "response": {"message": message}});
        Self::raw(StatusCode::BAD_REQUEST, body)
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        match self.body {
            AnswerBody::Json(body) => (self.status, axum::Json(body)).into_response(),
            AnswerBody::Html(page) => (self.status, [(header::CONTENT_TYPE, "text/html")], page).into_response(),
            AnswerBody::Empty | AnswerBody::Cut | AnswerBody::Hang => self.status.into_response(),
        }
    }
}
