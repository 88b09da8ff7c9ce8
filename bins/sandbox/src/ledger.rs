//! The record of messages that left, in order. Tests and demos compare the fleet's rows with it.

mod journal;

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use self::journal::Journal;
use crate::history::StoredMessage;

/// A message that left. It is test data, which the sandbox serves in full and never logs.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerEntry {
    /// Counts from 1, and continues after the ledger is cleared.
    pub sequence: u64,
    /// The instance that sent it.
    pub instance: String,
    /// The number as posted.
    pub number: String,
    /// The recipient's jid.
    #[serde(rename = "remoteJid")]
    pub remote_jid: String,
    /// The text, or the caption of a media message.
    pub text: String,
    /// WhatsApp's id of the message (`key.id`).
    pub message_id: String,
    /// When the request arrived, in milliseconds since 1970.
    pub received_at: i64,
    /// When the message left, in milliseconds since 1970.
    pub left_at: i64,
}

/// The counts of the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct LedgerSummary {
    /// All messages.
    pub count: usize,
    /// Distinct pairs of number and text.
    pub distinct: usize,
    /// `count - distinct`.
    pub duplicates: usize,
}

#[derive(Default)]
pub(crate) struct Ledger {
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    last_sequence: u64,
    list: Vec<Arc<LedgerEntry>>,
    journal: Option<Journal>,
}

impl Ledger {
    /// The ledger of a journal, and the stored rows by instance.
    pub(crate) fn open(path: &Path) -> anyhow::Result<(Self, HashMap<String, Vec<StoredMessage>>)> {
        let (journal, lines) = Journal::open(path)?;
        let mut entries = Entries { journal: Some(journal), ..Entries::default() };
        let mut rows: HashMap<_, Vec<_>> = HashMap::new();
        for line in lines {
            if let Some(row) = line.row {
                rows.entry(line.entry.instance.clone()).or_default().push(row);
            }
            entries.last_sequence = line.entry.sequence;
            entries.list.push(Arc::new(line.entry));
        }
        Ok((Self { entries: Mutex::new(entries) }, rows))
    }

    /// Records a message under the next sequence, with its stored row if Evolution's database works.
    pub(crate) fn append(&self, mut entry: LedgerEntry, row: Option<&StoredMessage>) {
        let mut entries = self.entries();
        entries.last_sequence += 1;
        entry.sequence = entries.last_sequence;
        // Under the lock: in the order of the sequence, and before the entry is visible.
        if let Some(Err(error)) = entries.journal.as_mut().map(|journal| journal.write(&entry, row)) {
            tracing::error!(%error, entry.sequence, "the journal lacks a message that left");
        }
        entries.list.push(Arc::new(entry));
    }

    /// At most `limit` entries after the sequence `after`, oldest first.
    pub(crate) fn page(&self, after: u64, limit: usize) -> Vec<Arc<LedgerEntry>> {
        let entries = self.entries();
        let start = entries.list.partition_point(|entry| entry.sequence <= after);
        entries.list[start..].iter().take(limit).cloned().collect()
    }

    pub(crate) fn summary(&self) -> LedgerSummary {
        let entries = self.page(0, usize::MAX);
        let pairs: HashSet<_> = entries.iter().map(|entry| (&entry.number, &entry.text)).collect();
        let (count, distinct) = (entries.len(), pairs.len());
        LedgerSummary { count, distinct, duplicates: count - distinct }
    }

    pub(crate) fn clear(&self) {
        self.entries().list.clear();
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(number: &str, text: &str) -> LedgerEntry {
        LedgerEntry {
            sequence: 0,
            instance: "matriz".into(),
            number: number.into(),
            remote_jid: format!("{number}@s.whatsapp.net"),
            text: text.into(),
            message_id: "3EB0".into(),
            received_at: 1,
            left_at: 2,
        }
    }

    #[test]
    fn pages_are_in_sequence_order() {
        let ledger = Ledger::default();
        for number in ["1", "2", "3", "4", "5"] {
            ledger.append(entry(number, "a"), None);
        }
        let sequences = |after, limit| ledger.page(after, limit).iter().map(|entry| entry.sequence).collect::<Vec<_>>();
        assert_eq!(sequences(0, 2), [1, 2]);
        assert_eq!(sequences(2, 2), [3, 4]);
        assert_eq!(sequences(5, 2), Vec::<u64>::new());
        ledger.clear();
        ledger.append(entry("6", "a"), None);
        assert_eq!(sequences(0, 10), [6]);
    }

    #[test]
    fn equal_text_to_one_number_is_a_duplicate() {
        let ledger = Ledger::default();
        for (number, text) in [("1", "a"), ("1", "a"), ("1", "b"), ("2", "a")] {
            ledger.append(entry(number, text), None);
        }
        assert_eq!(ledger.summary(), LedgerSummary { count: 4, distinct: 3, duplicates: 1 });
    }
}
