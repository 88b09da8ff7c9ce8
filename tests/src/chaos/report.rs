//! The report of a run: a table for people and JSON for programs.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Check {
    /// accepted, once, true, complete, obedient, recovered or silent.
    pub(crate) invariant: &'static str,
    pub(crate) what: String,
    pub(crate) looked_at: usize,
    /// Objects that violate the invariant.
    pub(crate) broken: Vec<String>,
    /// Remarks on objects that do not.
    pub(crate) notes: Vec<String>,
}

impl Check {
    pub(crate) fn new(invariant: &'static str, what: &str) -> Self {
        Self { invariant, what: what.to_owned(), looked_at: 0, broken: Vec::new(), notes: Vec::new() }
    }

    pub(crate) fn record(&mut self, broken: Option<String>) {
        self.looked_at += 1;
        self.broken.extend(broken);
    }
}

/// The checks and counts of a run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    pub(crate) seed: u64,
    pub(crate) messages: usize,
    pub(crate) checks: Vec<Check>,
    pub(crate) counts: BTreeMap<String, u64>,
    pub(crate) faults: BTreeMap<String, u64>,
    /// From the first post of a batch until no work was open.
    pub(crate) sending: Duration,
    pub(crate) duration: Duration,
}

const MAX_SHOWN: usize = 10;

impl Report {
    /// Whether every check holds.
    pub fn holds(&self) -> bool {
        self.checks.iter().all(|check| check.broken.is_empty())
    }

    fn rate(&self) -> f64 {
        let left = self.counts.get("messages that left").copied().unwrap_or(0);
        #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
        let left = left as f64;
        left / self.sending.as_secs_f64().max(1.0)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "faults injected: {}", self.faults.values().sum::<u64>())?;
        for (kind, count) in &self.faults {
            writeln!(f, "  {count:>6}  {kind}")?;
        }
        writeln!(f, "\nwhat happened")?;
        for (what, count) in &self.counts {
            writeln!(f, "  {count:>6}  {what}")?;
        }
        writeln!(f, "\n{:<10} {:>9} {:>7}  what", "invariant", "looked at", "broken")?;
        for check in &self.checks {
            let Check { invariant, what, looked_at, broken, notes } = check;
            writeln!(f, "{invariant:<10} {looked_at:>9} {:>7}  {what}", broken.len())?;
            for remark in notes {
                writeln!(f, "{:>29} {remark}", "")?;
            }
        }
        for check in self.checks.iter().filter(|check| !check.broken.is_empty()) {
            writeln!(f, "\nbroken: {}: {}", check.invariant, check.what)?;
            for row in check.broken.iter().take(MAX_SHOWN) {
                writeln!(f, "  {row}")?;
            }
        }
        let result = if self.holds() { "everything held" } else { "BROKEN" };
        let (rate, duration, sending) = (self.rate(), self.duration.as_secs(), self.sending.as_secs());
        write!(
            f,
            "\n{result}: {} messages, {rate:.0} sends/s over {sending} s, {duration} s in all, seed {}",
            self.messages, self.seed
        )
    }
}
