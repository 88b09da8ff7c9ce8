//! The report of a posted file: accepted batches, rejected contacts, warnings and previews.

use anyhow::Context;
use chrono::{DateTime, Utc};
use regua_domain::QueueId;
use serde::Deserialize;
use serde_json::{Value, json};

use super::batches::Batch;
use crate::client::ContactIssue;
use crate::files::contact_file::Place;
use crate::output;

/// Previews of a dry run that are printed.
const MAX_PREVIEWS: usize = 3;

/// The answer to a batch.
#[derive(Deserialize)]
struct Posted {
    rejected: Vec<ContactIssue>,
    warnings: Vec<ContactIssue>,
    #[serde(flatten)]
    result: PostResult,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum PostResult {
    Accepted(SendAccepted),
    DryRun { contacts: Vec<Preview> },
}

#[derive(Deserialize)]
struct SendAccepted {
    queue_id: QueueId,
    accepted: usize,
    replayed: bool,
}

/// A message that would be sent. It has no `Debug`, because it holds a phone number.
#[derive(Deserialize)]
struct Preview {
    index: usize,
    phone: String,
    text: String,
    would_send_at: Option<DateTime<Utc>>,
}

#[derive(Default)]
pub(crate) struct Report {
    /// The API's answers in the order of the batches, each with the batch's external id.
    pub(crate) answers: Vec<Value>,
    /// Accepted contacts.
    pub(crate) accepted: usize,
    /// Rejected contacts with their places in the file.
    pub(crate) rejected: Vec<(Option<Place>, ContactIssue)>,
    warnings: Vec<(Option<Place>, ContactIssue)>,
    /// The accepted batches by external id.
    batches: Vec<(String, SendAccepted)>,
    previews: Vec<(Option<Place>, Preview)>,
}

impl Report {
    pub(super) fn add_answer(&mut self, batch: &Batch, mut json: Value) -> anyhow::Result<()> {
        let answer = Posted::deserialize(&json).context("the answer to a batch cannot be read")?;
        let placed = |issue: ContactIssue| (batch.place(issue.index), issue);
        self.rejected.extend(answer.rejected.into_iter().map(placed));
        self.warnings.extend(answer.warnings.into_iter().map(placed));
        match answer.result {
            PostResult::Accepted(accepted) => {
                self.accepted += accepted.accepted;
                self.batches.push((batch.external_id.clone(), accepted));
            }
            PostResult::DryRun { contacts } => {
                self.accepted += contacts.len();
                self.previews.extend(contacts.into_iter().map(|preview| (batch.place(preview.index), preview)));
            }
        }
        json["external_id"] = batch.external_id.clone().into();
        self.answers.push(json);
        Ok(())
    }

    /// Adds a batch without a valid contact.
    pub(super) fn add_refusal(&mut self, batch: &Batch, rejected: Vec<ContactIssue>) {
        self.answers.push(json!({"external_id": batch.external_id, "accepted": 0, "rejected": rejected}));
        self.rejected.extend(rejected.into_iter().map(|issue| (batch.place(issue.index), issue)));
    }

    pub(crate) fn queues(&self) -> Vec<QueueId> {
        self.batches.iter().map(|(_, accepted)| accepted.queue_id).collect()
    }

    pub(super) fn print(&self) -> anyhow::Result<()> {
        for (id, batch) in &self.batches {
            let replayed = if batch.replayed { " (accepted before: nothing is sent again)" } else { "" };
            let accepted = output::counted(batch.accepted, "contact");
            output::line(format_args!("{id}: {accepted} accepted, queue {}{replayed}", batch.queue_id))?;
        }
        for (place, preview) in self.previews.iter().take(MAX_PREVIEWS) {
            let Preview { phone, text, would_send_at, .. } = preview;
            let at = output::or_dash(would_send_at.map(output::instant));
            output::line(format_args!("{} · {phone} · at about {at}", describe(*place)))?;
            output::line(format_args!("  {}\n", text.replace('\n', "\n  ")))?;
        }
        if !self.previews.is_empty() {
            let (accepted, hidden) = (self.accepted, self.previews.len().saturating_sub(MAX_PREVIEWS));
            let more = if hidden > 0 { format!("; --json shows the other {hidden}") } else { String::new() };
            output::line(format_args!("a dry run: {accepted} would be sent{more}"))?;
        }
        if !self.rejected.is_empty() {
            output::line(format_args!("{} rejected:", output::counted(self.rejected.len(), "contact")))?;
            output::table(["WHERE", "ID", "FIELD", "REASON"], self.rejected.iter().map(row))?;
        }
        if !self.warnings.is_empty() {
            output::line(format_args!("{}:", output::counted(self.warnings.len(), "remark")))?;
            output::table(["WHERE", "ID", "FIELD", "REMARK"], self.warnings.iter().map(row))?;
        }
        Ok(())
    }
}

fn row((place, issue): &(Option<Place>, ContactIssue)) -> [String; 4] {
    let id = issue.external_id.clone().unwrap_or_default();
    [describe(*place), id, issue.field.clone(), format!("{} ({})", issue.message, issue.code)]
}

fn describe(place: Option<Place>) -> String {
    place.map_or_else(|| "?".to_owned(), |place| place.to_string())
}
