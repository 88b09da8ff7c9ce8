//! The report of a run: a table for people and JSON for programs.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;

/// One thing that must hold.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// accepted, once, true, complete, obedient or recovered.
    pub invariant: &'static str,
    /// What was looked at, in words.
    pub what: String,
    /// How many were looked at.
    pub looked_at: usize,
    /// Those that break it.
    pub broken: Vec<String>,
    /// What is worth knowing of those that do not.
    pub notes: Vec<String>,
}

impl Check {
    pub(crate) fn new(invariant: &'static str, what: &str) -> Self {
        Self { invariant, what: what.to_owned(), looked_at: 0, broken: Vec::new(), notes: Vec::new() }
    }

    /// Notes one that was looked at, and what is wrong with it, if anything is.
    pub(crate) fn look(&mut self, broken: Option<String>) {
        self.looked_at += 1;
        self.broken.extend(broken);
    }
}

/// All of a run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// The seed that gives the same schedule again.
    pub seed: u64,
    /// Messages that were to be posted.
    pub messages: usize,
    /// What must hold.
    pub checks: Vec<Check>,
    /// What happened, each with its count.
    pub counts: BTreeMap<String, u64>,
    /// Faults by kind.
    pub faults: BTreeMap<String, u64>,
    /// From the first batch to the end of the last send.
    pub sending: Duration,
    /// All of it, with starting and checking.
    pub duration: Duration,
}

/// Broken rows that are shown of one check.
const SHOWN: usize = 10;

impl Report {
    /// Whether everything held.
    pub fn holds(&self) -> bool {
        self.checks.iter().all(|check| check.broken.is_empty())
    }

    /// Sends by the second.
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
            for note in notes {
                writeln!(f, "{:>29} {note}", "")?;
            }
        }
        for check in self.checks.iter().filter(|check| !check.broken.is_empty()) {
            writeln!(f, "\nbroken: {}: {}", check.invariant, check.what)?;
            for row in check.broken.iter().take(SHOWN) {
                writeln!(f, "  {row}")?;
            }
        }
        let verdict = if self.holds() { "everything held" } else { "BROKEN" };
        let (rate, duration, sending) = (self.rate(), self.duration.as_secs(), self.sending.as_secs());
        write!(
            f,
            "\n{verdict}: {} messages, {rate:.0} sends/s over {sending} s, {duration} s in all, seed {}",
            self.messages, self.seed
        )
    }
}
