//! The account of a demo: compares the rows of the file, the contacts and the sandbox's ledger.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use regua_domain::ContactStatus as Status;
use regua_sandbox::{LedgerEntry, LedgerSummary};

use super::super::send::Report;
use crate::client::answers::Contact;
use crate::output;

#[derive(Clone, Debug, Default)]
pub(super) struct Account {
    rows: usize,
    accepted: usize,
    rejected: usize,
    rejected_by: BTreeMap<String, usize>,
    sent: usize,
    /// Sent contacts with more than one attempt.
    retried: usize,
    failed: usize,
    failed_by: BTreeMap<String, usize>,
    unconfirmed: usize,
    skipped: usize,
    cancelled: usize,
    /// Pending or sending.
    waiting: usize,
    /// Messages in the ledger.
    left: usize,
    /// Messages that the ledger has twice.
    duplicates: usize,
    /// Sent contacts without a message in the ledger.
    missing_in_ledger: usize,
}

impl Account {
    pub(super) fn new(
        rows: usize,
        report: &Report,
        contacts: &[Contact],
        ledger: &[Arc<LedgerEntry>],
        summary: LedgerSummary,
    ) -> Self {
        let count = |status: Status| contacts.iter().filter(|contact| contact.status == status).count();
        let sent = || contacts.iter().filter(|contact| contact.status == Status::Sent);
        let left: HashSet<_> = ledger.iter().map(|entry| entry.message_id.as_str()).collect();
        let is_missing = |contact: &&Contact| !contact.message_id.as_deref().is_some_and(|id| left.contains(id));
        let mut failed_by = BTreeMap::new();
        for contact in contacts.iter().filter(|contact| contact.status == Status::Failed) {
            *failed_by.entry(contact.reason.clone().unwrap_or_default()).or_insert(0) += 1;
        }
        Self {
            rows,
            accepted: report.accepted,
            rejected: report.rejected.len(),
            rejected_by: report.rejected_by_code(),
            sent: count(Status::Sent),
            retried: sent().filter(|contact| contact.attempts > 1).count(),
            failed: count(Status::Failed),
            failed_by,
            unconfirmed: count(Status::Unconfirmed),
            skipped: count(Status::Skipped),
            cancelled: count(Status::Cancelled),
            waiting: count(Status::Pending) + count(Status::Sending),
            left: summary.count,
            duplicates: summary.duplicates,
            missing_in_ledger: sent().filter(is_missing).count(),
        }
    }

    /// Whether every row and every message is accounted for.
    pub(super) const fn is_complete(&self) -> bool {
        let finished = self.sent + self.failed + self.unconfirmed + self.skipped + self.cancelled;
        self.rows == self.accepted + self.rejected
            && self.accepted == finished
            && self.waiting == 0
            && self.sent == self.left
            && self.duplicates == 0
            && self.missing_in_ledger == 0
    }

    pub(super) fn print(&self, took: Duration) -> anyhow::Result<()> {
        let row = |name: &str, count: usize, detail: String| [name.to_owned(), format!("{count:>6}"), detail];
        let retried = if self.retried > 0 { format!("{} of them after a retry", self.retried) } else { String::new() };
        let mut rows = vec![
            row("rows in the file", self.rows, String::new()),
            row("accepted", self.accepted, String::new()),
            row("rejected", self.rejected, reasons(&self.rejected_by)),
            row("sent", self.sent, retried),
            row("failed", self.failed, reasons(&self.failed_by)),
            row("unconfirmed", self.unconfirmed, String::new()),
        ];
        let unusual = [("skipped", self.skipped), ("cancelled", self.cancelled), ("still waiting", self.waiting)];
        rows.extend(
            unusual.into_iter().filter(|(_, count)| *count > 0).map(|(name, count)| row(name, count, String::new())),
        );
        rows.push(row("left the sandbox", self.left, format!("{} twice", self.duplicates)));
        output::line("")?;
        output::table(["", "     N", ""], rows)?;
        let seconds = took.as_secs_f64();
        if self.is_complete() {
            output::line(format_args!("\nEvery row is accounted for, and no message was sent twice ({seconds:.1} s)."))
        } else {
            output::line(format_args!("\nNOT every row is accounted for ({seconds:.1} s)."))
        }
    }
}

fn reasons(counts: &BTreeMap<String, usize>) -> String {
    counts.iter().map(|(reason, count)| format!("{reason} {count}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn account_with_a_difference_is_not_complete() {
        let good = Account { rows: 10, accepted: 9, rejected: 1, sent: 8, failed: 1, left: 8, ..Account::default() };
        assert!(good.is_complete());
        let bad = [
            Account { rows: 11, ..good.clone() },
            Account { failed: 0, ..good.clone() },
            Account { waiting: 1, ..good.clone() },
            Account { left: 9, ..good.clone() },
            Account { left: 7, ..good.clone() },
            Account { duplicates: 1, ..good.clone() },
            Account { missing_in_ledger: 1, ..good },
        ];
        for account in bad {
            assert!(!account.is_complete(), "{account:?}");
        }
    }
}
