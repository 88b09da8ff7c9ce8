//! What the API answers, as far as the commands read it.

use std::fmt;

use chrono::{DateTime, Utc};
use regua_domain::{ContactStatus, QueueStatus as Status};
use reqwest::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

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
    pub(crate) fn parse(status: StatusCode, body: &[u8]) -> Self {
        Self { status, document: serde_json::from_slice(body).unwrap_or_default() }
    }

    /// The contacts of a batch of which none could be taken; none where that is not what is wrong.
    pub(crate) fn rejected_contacts(&self) -> Option<Vec<Remark>> {
        (self.document.code == "no_valid_contact")
            .then(|| self.document.errors.iter().filter_map(FieldError::as_remark).collect())
    }
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
        for error in errors {
            write!(f, "\n  {}: {}", error.field, error.message)?;
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
    fn an_answer_that_is_not_the_apis_is_said_to_be_so() {
        let problem = Problem::parse(StatusCode::NOT_FOUND, b"<html>");
        assert!(problem.to_string().contains("404") && problem.to_string().contains("--url"));
        assert!(problem.rejected_contacts().is_none());
    }
}
