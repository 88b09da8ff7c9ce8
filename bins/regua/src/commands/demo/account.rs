//! The account of a demo: compares the rows of the file, the contacts and the sandbox's ledger.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use regua_domain::ContactStatus as Status;
use regua_sandbox::{LedgerEntry, LedgerSummary};
use regua_store::contacts::Contact;

use super::super::send::Report;
use crate::output;

#[derive(Clone, Debug, Default)]
pub(super) struct Account {
    rows: usize,
    accepted: usize,
    rejected: usize,
    rejected_by: BTreeMap<String, usize>,
    by_status: BTreeMap<Status, usize>,
    /// Sent contacts with more than one attempt.
    retried: usize,
    failed_by: BTreeMap<String, usize>,
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
        let with = |status: Status| contacts.iter().filter(move |contact| contact.status == status);
        let left: HashSet<_> = ledger.iter().map(|entry| entry.message_id.as_str()).collect();
        let is_missing = |contact: &&Contact| !contact.message_id.as_deref().is_some_and(|id| left.contains(id));
        Self {
            rows,
            accepted: report.accepted,
            rejected: report.rejected.len(),
            rejected_by: counts(report.rejected.iter().map(|(_, issue)| issue.code.clone())),
            by_status: counts(contacts.iter().map(|contact| contact.status)),
            retried: with(Status::Sent).filter(|contact| contact.attempts > 1).count(),
            failed_by: counts(with(Status::Failed).map(|contact| contact.reason.clone().unwrap_or_default())),
            left: summary.count,
            duplicates: summary.duplicates,
            missing_in_ledger: with(Status::Sent).filter(is_missing).count(),
        }
    }

    fn count(&self, status: Status) -> usize {
        self.by_status.get(&status).copied().unwrap_or(0)
    }

    fn waiting(&self) -> usize {
        self.count(Status::Pending) + self.count(Status::Sending)
    }

    /// Whether every row and every message is accounted for.
    pub(super) fn is_complete(&self) -> bool {
        self.rows == self.accepted + self.rejected
            && self.accepted == self.by_status.values().sum::<usize>()
            && self.waiting() == 0
            && self.count(Status::Sent) == self.left
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
            row("sent", self.count(Status::Sent), retried),
            row("failed", self.count(Status::Failed), reasons(&self.failed_by)),
            row("unconfirmed", self.count(Status::Unconfirmed), String::new()),
        ];
        let unusual = [
            ("skipped", self.count(Status::Skipped)),
            ("cancelled", self.count(Status::Cancelled)),
            ("still waiting", self.waiting()),
        ];
        let unusual = unusual.into_iter().filter(|(_, count)| *count > 0);
        rows.extend(unusual.map(|(name, count)| row(name, count, String::new())));
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

fn counts<T: Ord>(items: impl Iterator<Item = T>) -> BTreeMap<T, usize> {
    let mut counts = BTreeMap::new();
    for item in items {
        *counts.entry(item).or_insert(0) += 1;
    }
    counts
}

fn reasons(counts: &BTreeMap<String, usize>) -> String {
    output::joined(counts.iter().map(|(reason, count)| format!("{reason} {count}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn account_with_a_difference_is_not_complete() {
        let of = |others: &[(Status, usize)]| {
            let by_status = [&[(Status::Sent, 8)], others].concat().into_iter().collect();
            Account { rows: 10, accepted: 9, rejected: 1, by_status, left: 8, ..Account::default() }
        };
        let good = of(&[(Status::Failed, 1)]);
        assert!(good.is_complete());
        let bad = [
            Account { rows: 11, ..good.clone() },
            of(&[]),
            of(&[(Status::Pending, 1)]),
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
