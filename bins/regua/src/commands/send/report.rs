//! The report of a posted file: accepted batches, rejected contacts, warnings and previews.

use std::collections::BTreeMap;

use anyhow::Context;
use serde_json::{Value, json};
use uuid::Uuid;

use super::batches::Batch;
use crate::client::{ContactIssue, SendAccepted};
use crate::files::contact_file::Place;
use crate::output;

/// Previews of a dry run that are printed.
const MAX_PREVIEWS: usize = 3;

#[derive(Debug, Default)]
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
    previews: Vec<(Option<Place>, Value)>,
}

impl Report {
    pub(super) fn add_answer(&mut self, batch: &Batch, mut answer: Value) -> anyhow::Result<()> {
        let issues = |name: &str| -> anyhow::Result<Vec<_>> {
            let issues: Vec<ContactIssue> = serde_json::from_value(answer[name].clone())
                .context("the answer cannot be read: is --url the API's?")?;
            Ok(issues.into_iter().map(|issue| (batch.place(issue.index), issue)).collect())
        };
        let (rejected, warnings) = (issues("rejected")?, issues("warnings")?);
        self.rejected.extend(rejected);
        self.warnings.extend(warnings);
        if answer["dry_run"] == true {
            let previews = answer["contacts"].as_array().cloned().unwrap_or_default();
            self.accepted += previews.len();
            let place = |preview: &Value| batch.place(usize::try_from(preview["index"].as_u64()?).ok()?);
            self.previews.extend(previews.into_iter().map(|preview| (place(&preview), preview)));
        } else {
            let accepted: SendAccepted = serde_json::from_value(answer.clone())?;
            self.accepted += accepted.accepted;
            self.batches.push((batch.external_id.clone(), accepted));
        }
        answer["external_id"] = batch.external_id.clone().into();
        self.answers.push(answer);
        Ok(())
    }

    /// Adds a batch without a valid contact.
    pub(super) fn add_refusal(&mut self, batch: &Batch, rejected: Vec<ContactIssue>) {
        self.answers.push(json!({"external_id": batch.external_id, "accepted": 0, "rejected": rejected}));
        self.rejected.extend(rejected.into_iter().map(|issue| (batch.place(issue.index), issue)));
    }

    pub(crate) fn queues(&self) -> Vec<Uuid> {
        self.batches.iter().map(|(_, accepted)| accepted.queue_id).collect()
    }

    /// The number of rejected contacts for each code.
    pub(crate) fn rejected_by_code(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for (_, issue) in &self.rejected {
            *counts.entry(issue.code.clone()).or_insert(0) += 1;
        }
        counts
    }

    pub(super) fn print(&self) -> anyhow::Result<()> {
        for (id, batch) in &self.batches {
            let replayed = if batch.replayed { " (accepted before: nothing is sent again)" } else { "" };
            let accepted = output::counted(batch.accepted, "contact");
            output::line(format_args!("{id}: {accepted} accepted, queue {}{replayed}", batch.queue_id))?;
        }
        for (place, preview) in self.previews.iter().take(MAX_PREVIEWS) {
            let text = |name: &str| preview[name].as_str().unwrap_or("-").to_owned();
            output::line(format_args!(
                "{} · {} · at about {}",
                describe(*place),
                text("phone"),
                text("would_send_at")
            ))?;
            output::line(format_args!("  {}\n", text("text").replace('\n', "\n  ")))?;
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
