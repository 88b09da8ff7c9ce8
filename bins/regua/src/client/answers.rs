//! What the API answers, as far as the commands read it.

use std::fmt;

use chrono::{DateTime, Utc};
use regua_domain::{ContactStatus, QueueStatus as Status};
use reqwest::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

/// Longest text of a problem that is shown, in characters, and most errors of one.
const LONGEST_TEXT: usize = 500;
const MOST_ERRORS: usize = 20;

/// A batch that was taken.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Taken {
    pub(crate) queue_id: Uuid,
    pub(crate) accepted: usize,
    pub(crate) replayed: bool,
}

/// Why a contact was not taken, or what is odd about one that was.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Remark {
    pub(crate) index: usize,
    pub(crate) external_id: Option<String>,
    pub(crate) field: String,
    pub(crate) code: String,
    pub(crate) message: String,
}

/// The progress of a batch.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct QueueStatus {
    pub(crate) queue_id: Uuid,
    pub(crate) external_id: String,
    pub(crate) name: String,
    pub(crate) r#type: String,
    pub(crate) status: Status,
    pub(crate) total: u64,
    pub(crate) pending: u64,
    pub(crate) sending: u64,
    pub(crate) sent: u64,
    pub(crate) failed: u64,
    pub(crate) unconfirmed: u64,
    pub(crate) skipped: u64,
    pub(crate) cancelled: u64,
    pub(crate) eta: Option<DateTime<Utc>>,
    pub(crate) reason: Option<String>,
    pub(crate) resume_at: Option<DateTime<Utc>>,
    pub(crate) created_at: DateTime<Utc>,
}

impl QueueStatus {
    /// Contacts of which nothing more is expected.
    pub(crate) const fn settled(&self) -> u64 {
        self.total - self.pending - self.sending
    }
}

/// What became of one contact. It holds a phone number, so it is not shown by Debug.
#[derive(Clone, Deserialize)]
pub(crate) struct Contact {
    pub(crate) contact_id: Uuid,
    pub(crate) external_id: Option<String>,
    pub(crate) phone: String,
    pub(crate) status: ContactStatus,
    pub(crate) reference: String,
    pub(crate) variation: u8,
    pub(crate) attempts: u16,
    pub(crate) resends: u16,
    pub(crate) reason: Option<String>,
    pub(crate) message_id: Option<String>,
    pub(crate) sent_at: Option<DateTime<Utc>>,
    pub(crate) delivered_at: Option<DateTime<Utc>>,
    pub(crate) read_at: Option<DateTime<Utc>>,
    pub(crate) metadata: Value,
}

/// Contacts of a queue.
#[derive(Clone, Deserialize)]
pub(crate) struct ContactPage {
    pub(crate) items: Vec<Contact>,
    pub(crate) next_cursor: Option<String>,
}

/// A problem document, or an answer that is none.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) struct Problem {
    status: StatusCode,
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

#[derive(Clone, Debug, Deserialize)]
struct FieldError {
    field: String,
    code: String,
    message: String,
}

impl Problem {
    /// Reads an answer that is no success.
    ///
    /// It is shown on a terminal, and nobody knows who answered: nothing in it moves a cursor, or goes on for ever.
    pub(crate) fn parse(status: StatusCode, body: &[u8]) -> Self {
        let mut document: Document = serde_json::from_slice(body).unwrap_or_default();
        for text in [&mut document.code, &mut document.detail, &mut document.request_id] {
            *text = shown(text);
        }
        for FieldError { field, code, message } in &mut document.errors {
            (*field, *code, *message) = (shown(field), shown(code), shown(message));
        }
        Self { status, document }
    }

    /// The contacts of a batch of which none could be taken; none where that is not what is wrong.
    pub(crate) fn rejected_contacts(&self) -> Option<Vec<Remark>> {
        (self.document.code == "no_valid_contact")
            .then(|| self.document.errors.iter().filter_map(FieldError::as_remark).collect())
    }
}

fn shown(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(LONGEST_TEXT).collect()
}

impl FieldError {
    /// `contacts[3].phone` is the field `phone` of contact 3.
    fn as_remark(&self) -> Option<Remark> {
        let (index, field) = self.field.strip_prefix("contacts[")?.split_once(']')?;
        let (code, message) = (self.code.clone(), self.message.clone());
        let field = field.trim_start_matches('.').to_owned();
        Some(Remark { index: index.parse().ok()?, external_id: None, field, code, message })
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Document { code, detail, errors, request_id } = &self.document;
        if code.is_empty() {
            return write!(f, "the answer was {}, and not the API's: check --url (REGUA_URL)", self.status);
        }
        write!(f, "{detail} ({code})")?;
        for error in errors.iter().take(MOST_ERRORS) {
            write!(f, "\n  {}: {}", error.field, error.message)?;
        }
        if let Some(more @ 1..) = errors.len().checked_sub(MOST_ERRORS) {
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
    fn the_contacts_of_a_batch_without_a_good_one_are_read_from_the_problem() {
        let body = br#"{"code":"no_valid_contact","detail":"None.","request_id":"r","errors":[
            {"field":"contacts[7].phone","code":"phone_too_short","message":"Too short."}]}"#;
        let problem = Problem::parse(StatusCode::UNPROCESSABLE_ENTITY, body);
        let rejected = problem.rejected_contacts().unwrap();
        assert_eq!((rejected[0].index, rejected[0].field.as_str()), (7, "phone"));
        assert!(problem.to_string().contains("contacts[7].phone: Too short."));
    }

    #[test]
    fn what_is_shown_of_an_answer_moves_no_cursor_and_ends() {
        let error = r#"{"field":"a\u001b[2J","code":"x","message":"b\u0007\r"}"#;
        let errors = vec![error; 25].join(",");
        let body = format!(r#"{{"code":"x","detail":"\u001b]0;c\u0007{}","errors":[{errors}]}}"#, "d".repeat(9_999));
        let said = Problem::parse(StatusCode::UNPROCESSABLE_ENTITY, body.as_bytes()).to_string();
        assert!(!said.chars().any(|character| character.is_control() && character != '\n'), "{said:?}");
        assert!(said.ends_with("and 5 more") && said.len() < 2_000, "{said}");
    }

    #[test]
    fn an_answer_that_is_not_the_apis_is_said_to_be_so() {
        let problem = Problem::parse(StatusCode::NOT_FOUND, b"<html>");
        assert!(problem.to_string().contains("404") && problem.to_string().contains("--url"));
        assert!(problem.rejected_contacts().is_none());
    }
}
