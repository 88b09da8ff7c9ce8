//! Error answers of the API.

use std::fmt;
use std::time::Duration;

use reqwest::StatusCode;
use serde::{Deserialize, Serialize};

/// Limits of a printed problem: characters of one text, and errors.
const MAX_TEXT_LENGTH: usize = 500;
const MAX_ERRORS: usize = 20;

/// A problem document, or an error answer that holds none.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) struct Problem {
    status: StatusCode,
    /// Seconds that the API asks to wait.
    retry_after: Option<u64>,
    document: Document,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Document {
    code: String,
    detail: String,
    errors: Vec<FieldError>,
    request_id: String,
}

/// Why a contact was rejected, or a warning about an accepted one.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct ContactIssue {
    pub(crate) index: usize,
    pub(crate) external_id: Option<String>,
    pub(crate) field: String,
    pub(crate) code: String,
    pub(crate) message: String,
}

#[derive(Clone, Debug, Deserialize)]
struct FieldError {
    field: String,
    code: String,
    message: String,
}

impl Problem {
    /// Parses an error answer. The server may be any program, so control characters are removed and texts are cut: the
    /// problem is printed on a terminal.
    pub(crate) fn parse(status: StatusCode, body: &[u8]) -> Self {
        let mut document: Document = serde_json::from_slice(body).unwrap_or_default();
        for text in [&mut document.code, &mut document.detail, &mut document.request_id] {
            *text = printable(text);
        }
        for FieldError { field, code, message } in &mut document.errors {
            (*field, *code, *message) = (printable(field), printable(code), printable(message));
        }
        Self { status, retry_after: None, document }
    }

    pub(super) fn with_retry_after(self, retry_after: Option<u64>) -> Self {
        Self { retry_after, ..self }
    }

    pub(super) fn retry_after(&self) -> Option<Duration> {
        self.retry_after.map(|seconds| Duration::from_secs(seconds.clamp(1, 60)))
    }

    /// Whether a retry may succeed: the database is away, a proxy has no server, or the rate limit was reached.
    pub(super) fn is_temporary(&self) -> bool {
        matches!(self.status.as_u16(), 408 | 429 | 502 | 503 | 504)
    }

    /// The rejected contacts, if the problem is a batch without a valid contact.
    pub(crate) fn rejected_contacts(&self) -> Option<Vec<ContactIssue>> {
        (self.document.code == "no_valid_contact")
            .then(|| self.document.errors.iter().filter_map(FieldError::as_contact_issue).collect())
    }
}

fn printable(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(MAX_TEXT_LENGTH).collect()
}

impl FieldError {
    /// The field `contacts[3].phone` is the field `phone` of contact 3.
    fn as_contact_issue(&self) -> Option<ContactIssue> {
        let (index, field) = self.field.strip_prefix("contacts[")?.split_once(']')?;
        let (code, message) = (self.code.clone(), self.message.clone());
        let field = field.trim_start_matches('.').to_owned();
        Some(ContactIssue { index: index.parse().ok()?, external_id: None, field, code, message })
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Document { code, detail, errors, request_id } = &self.document;
        if code.is_empty() {
            return write!(f, "the answer was {}, and not the API's: check --url (REGUA_URL)", self.status);
        }
        write!(f, "{detail} ({code})")?;
        for error in errors.iter().take(MAX_ERRORS) {
            write!(f, "\n  {}: {}", error.field, error.message)?;
        }
        if let Some(more @ 1..) = errors.len().checked_sub(MAX_ERRORS) {
            write!(f, "\n  and {more} more")?;
        }
        if self.status.is_server_error() {
            write!(f, " [request {request_id}]")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problem_of_a_batch_without_valid_contact_lists_the_rejected_contacts() {
        let body = br#"{"code":"no_valid_contact","detail":"None.","request_id":"r","errors":[
            {"field":"contacts[7].phone","code":"phone_too_short","message":"Too short."}]}"#;
        let problem = Problem::parse(StatusCode::UNPROCESSABLE_ENTITY, body);
        let rejected = problem.rejected_contacts().unwrap();
        assert_eq!((rejected[0].index, rejected[0].field.as_str()), (7, "phone"));
        assert!(problem.to_string().contains("contacts[7].phone: Too short."));
    }

    #[test]
    fn printed_problem_has_no_control_characters_and_a_maximum_length() {
        let error = r#"{"field":"a\u001b[2J","code":"x","message":"b\u0007\r"}"#;
        let errors = vec![error; 25].join(",");
        let body = format!(r#"{{"code":"x","detail":"\u001b]0;c\u0007{}","errors":[{errors}]}}"#, "d".repeat(9_999));
        let text = Problem::parse(StatusCode::UNPROCESSABLE_ENTITY, body.as_bytes()).to_string();
        assert!(!text.chars().any(|character| character.is_control() && character != '\n'), "{text:?}");
        assert!(text.ends_with("and 5 more") && text.len() < 2_000, "{text}");
    }

    #[test]
    fn error_answer_of_another_server_is_reported_as_such() {
        let problem = Problem::parse(StatusCode::NOT_FOUND, b"<html>");
        assert!(problem.to_string().contains("404") && problem.to_string().contains("--url"));
        assert!(problem.rejected_contacts().is_none());
    }
}
