//! What became of a posted file, row by row.

use std::collections::BTreeMap;

use anyhow::Context;
use serde_json::{Value, json};
use uuid::Uuid;

use super::is_dry_run;
use crate::batches::Batch;
use crate::client::{Remark, Taken};
use crate::contact_file::Place;
use crate::output;

/// Messages of a dry run that are shown to a person.
const SHOWN: usize = 3;

/// What became of all batches of a file.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// The API's answers in their order, each with the batch's id.
    pub(crate) answers: Vec<Value>,
    /// Contacts that were taken.
    pub(crate) accepted: usize,
    /// Contacts that were not, with their places.
    pub(crate) rejected: Vec<(Option<Place>, Remark)>,
    warnings: Vec<(Option<Place>, Remark)>,
    taken: Vec<(String, Taken)>,
    previews: Vec<(Option<Place>, Value)>,
}

impl Report {
    /// Notes an answer.
    pub(super) fn answered(&mut self, batch: &Batch, mut answer: Value) -> anyhow::Result<()> {
        let remarks = |name: &str| -> anyhow::Result<Vec<_>> {
            let remarks: Vec<Remark> = serde_json::from_value(answer[name].clone())
                .context("the answer cannot be read: is --url the API's?")?;
            Ok(remarks.into_iter().map(|remark| (batch.place(remark.index), remark)).collect())
        };
        let (rejected, warnings) = (remarks("rejected")?, remarks("warnings")?);
        self.rejected.extend(rejected);
        self.warnings.extend(warnings);
        if is_dry_run(&answer) {
            let previews = answer["contacts"].as_array().cloned().unwrap_or_default();
            self.accepted += previews.len();
            let place = |preview: &Value| batch.place(usize::try_from(preview["index"].as_u64()?).ok()?);
            self.previews.extend(previews.into_iter().map(|preview| (place(&preview), preview)));
        } else {
            let taken: Taken = serde_json::from_value(answer.clone())?;
            self.accepted += taken.accepted;
            self.taken.push((batch.external_id.clone(), taken));
        }
        answer["external_id"] = batch.external_id.clone().into();
        self.answers.push(answer);
        Ok(())
    }

    /// Notes a batch of which no contact could be taken.
    pub(super) fn refused(&mut self, batch: &Batch, rejected: Vec<Remark>) {
        self.answers.push(json!({"external_id": batch.external_id, "accepted": 0, "rejected": rejected}));
        self.rejected.extend(rejected.into_iter().map(|remark| (batch.place(remark.index), remark)));
    }

    /// The queues of the batches that were taken.
    pub(crate) fn queues(&self) -> Vec<Uuid> {
        self.taken.iter().map(|(_, taken)| taken.queue_id).collect()
    }

    /// How many contacts were rejected for which code.
    pub(crate) fn rejected_by_code(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for (_, remark) in &self.rejected {
            *counts.entry(remark.code.clone()).or_insert(0) += 1;
        }
        counts
    }

    /// Writes it for a person.
    pub(super) fn print(&self) -> anyhow::Result<()> {
        for (id, taken) in &self.taken {
            let again = if taken.replayed { " (taken before: nothing is sent again)" } else { "" };
            let accepted = output::counted(taken.accepted, "contact");
            output::line(format_args!("{id}: {accepted} accepted, queue {}{again}", taken.queue_id))?;
        }
        for (place, preview) in self.previews.iter().take(SHOWN) {
            let text = |name: &str| preview[name].as_str().unwrap_or("-").to_owned();
            output::line(format_args!("{} · {} · at about {}", shown(*place), text("phone"), text("would_send_at")))?;
            output::line(format_args!("  {}\n", text("text").replace('\n', "\n  ")))?;
        }
        if !self.previews.is_empty() {
            let (accepted, hidden) = (self.accepted, self.previews.len().saturating_sub(SHOWN));
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

fn row((place, remark): &(Option<Place>, Remark)) -> [String; 4] {
    let id = remark.external_id.clone().unwrap_or_default();
    [shown(*place), id, remark.field.clone(), format!("{} ({})", remark.message, remark.code)]
}

fn shown(place: Option<Place>) -> String {
    place.map_or_else(|| "?".to_owned(), |place| place.to_string())
}
