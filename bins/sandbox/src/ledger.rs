//! What really left, in order: the truth that tests and demos compare the fleet's own books with. Append-only.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::history::StoredMessage;
use crate::journal::Journal;

/// One message that left. This is test data, served whole to whoever asks; it is never logged.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerEntry {
    /// 1 for the first message that left; grows by one and is never reused, not even after the ledger was cleared.
    pub sequence: u64,
    /// The instance it left through.
    pub instance: String,
    /// The number as it was posted.
    pub number: String,
    /// The jid it went to.
    #[serde(rename = "remoteJid")]
    pub remote_jid: String,
    /// The text, or the caption of a media message.
    pub text: String,
    /// WhatsApp's id of the message (`key.id`).
    pub message_id: String,
    /// When the request came, in milliseconds since 1970.
    pub received_at: i64,
    /// When the message left, in milliseconds since 1970.
    pub left_at: i64,
}

/// What a run amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct LedgerSummary {
    /// Messages that left.
    pub count: usize,
    /// Different pairs of number and text among them.
    pub distinct: usize,
    /// Messages that left again: `count - distinct`.
    pub duplicates: usize,
}

/// A message about to be written down; the ledger gives it its sequence.
pub(crate) struct Departure {
    pub(crate) instance: String,
    pub(crate) number: String,
    pub(crate) remote_jid: String,
    pub(crate) text: String,
    pub(crate) message_id: String,
    pub(crate) received_at: i64,
    pub(crate) left_at: i64,
}

#[derive(Default)]
pub(crate) struct Ledger {
    pages: Mutex<Pages>,
}

#[derive(Default)]
struct Pages {
    last: u64,
    entries: Vec<Arc<LedgerEntry>>,
    journal: Option<Journal>,
}

impl Ledger {
    /// With what an earlier process wrote into the journal, and the rows it stored, by instance.
    pub(crate) fn kept_in(path: &Path) -> anyhow::Result<(Self, HashMap<String, Vec<StoredMessage>>)> {
        let (journal, departed) = Journal::open(path)?;
        let mut pages = Pages { journal: Some(journal), ..Pages::default() };
        let mut rows: HashMap<_, Vec<_>> = HashMap::new();
        for departed in departed {
            if let Some(row) = departed.row {
                rows.entry(departed.entry.instance.clone()).or_default().push(row);
            }
            pages.last = departed.entry.sequence;
            pages.entries.push(Arc::new(departed.entry));
        }
        Ok((Self { pages: Mutex::new(pages) }, rows))
    }

    /// Writes down what leaves, with the row that is stored of it, if one is.
    pub(crate) fn append(&self, departure: Departure, row: Option<&StoredMessage>) {
        let Departure { instance, number, remote_jid, text, message_id, received_at, left_at } = departure;
        let mut pages = self.pages();
        pages.last += 1;
        let sequence = pages.last;
        let entry = LedgerEntry { sequence, instance, number, remote_jid, text, message_id, received_at, left_at };
        // In the order of the sequence, and before anybody can hear of it.
        if let Some(Err(error)) = pages.journal.as_mut().map(|journal| journal.write(&entry, row)) {
            tracing::error!(%error, sequence, "the journal lacks a message that left");
        }
        pages.entries.push(Arc::new(entry));
    }

    /// At most `limit` entries after the sequence `after`, oldest first.
    pub(crate) fn page(&self, after: u64, limit: usize) -> Vec<Arc<LedgerEntry>> {
        let pages = self.pages();
        let start = pages.entries.partition_point(|entry| entry.sequence <= after);
        pages.entries[start..].iter().take(limit).cloned().collect()
    }

    pub(crate) fn summary(&self) -> LedgerSummary {
        let entries = self.page(0, usize::MAX);
        let pairs: HashSet<_> = entries.iter().map(|entry| (&entry.number, &entry.text)).collect();
        let (count, distinct) = (entries.len(), pairs.len());
        LedgerSummary { count, distinct, duplicates: count - distinct }
    }

    pub(crate) fn clear(&self) {
        self.pages().entries.clear();
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn departure(number: &str, text: &str) -> Departure {
        Departure {
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
    fn pages_follow_each_other_by_sequence() {
        let ledger = Ledger::default();
        for number in ["1", "2", "3", "4", "5"] {
            ledger.append(departure(number, "a"), None);
        }
        let sequences = |after, limit| ledger.page(after, limit).iter().map(|entry| entry.sequence).collect::<Vec<_>>();
        assert_eq!(sequences(0, 2), [1, 2]);
        assert_eq!(sequences(2, 2), [3, 4]);
        assert_eq!(sequences(5, 2), Vec::<u64>::new());
        ledger.clear();
        ledger.append(departure("6", "a"), None);
        assert_eq!(sequences(0, 10), [6]);
    }

    #[test]
    fn the_same_text_to_the_same_number_is_a_duplicate() {
        let ledger = Ledger::default();
        for (number, text) in [("1", "a"), ("1", "a"), ("1", "b"), ("2", "a")] {
            ledger.append(departure(number, text), None);
        }
        assert_eq!(ledger.summary(), LedgerSummary { count: 4, distinct: 3, duplicates: 1 });
    }
}
