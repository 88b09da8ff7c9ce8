//! The outcome of an attack: its row in the table, and the promises that did not hold.

use std::fmt::Write;
use std::time::Duration;

use super::attack::Attack;
use super::measures::{Latency, Measures, Usage};

/// Most bytes by which a program may grow.
const GROWTH: u64 = 300 << 20;
/// Most times its idle p99 that the victim's p99 may be, above [`SHORT`].
const P99_RATIO: u32 = 4;
const SHORT: Duration = Duration::from_millis(50);
/// Least part of its messages a minute that the victim sends.
const LEAST_SENT: f64 = 0.7;
/// Longest time in which a receipt is read.
const RECEIPT: Duration = Duration::from_secs(5);

/// The head of the table. Each outcome is a row.
pub const TABLE_HEAD: &str = "\
| attack | posts p50, p99 ms | reads p50, p99 ms | failures | messages a minute | receipts s | MiB of API, worker, periodic | descriptors | after |
|---|---|---|---|---|---|---|---|---|";

/// The victim before, during and after an attack.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The attack.
    pub attack: Attack,
    /// What the attack did, and its end.
    pub report: String,
    /// Before the attack.
    pub before: Measures,
    /// From the attack's beginning to its end.
    pub during: Measures,
    /// When the time for the recovery is over.
    pub after: Measures,
    /// Accepted messages of the victim that did not leave within a minute after the end.
    pub unsent: i64,
}

impl Outcome {
    /// The promises that did not hold.
    pub fn broken_promises(&self) -> Vec<String> {
        let mut broken = Vec::new();
        for (program, (before, during)) in
            ["API", "worker", "periodic"].into_iter().zip(self.before.usage.iter().zip(self.during.usage))
        {
            match (before, during) {
                (Some(before), Some(during)) if during.memory > before.memory + GROWTH => {
                    broken.push(format!("{program} grew by {} MiB", (during.memory - before.memory) >> 20));
                }
                (Some(_), Some(_)) => {}
                _ => broken.push(format!("{program} ended")),
            }
        }
        broken.extend(self.changes(&self.during));
        broken.extend(self.changes(&self.after).into_iter().map(|change| format!("after it: {change}")));
        broken
    }

    /// What is worse than before the attack and may not be.
    fn changes(&self, measures: &Measures) -> Vec<String> {
        let mut changes = Vec::new();
        if !measures.failures.is_empty() {
            changes.push(format!("failures: {}", failures(measures)));
        }
        for (what, before, now) in
            [("posts", self.before.posts, measures.posts), ("reads", self.before.reads, measures.reads)]
        {
            if now.p99 > (before.p99 * P99_RATIO).max(SHORT) {
                changes.push(format!("p99 of {what} is {} ms", milliseconds(now.p99)));
            }
        }
        if measures.sent < self.before.sent * LEAST_SENT {
            changes.push(format!("{:.0} of {:.0} messages a minute left", measures.sent, self.before.sent));
        }
        if measures.receipt > RECEIPT {
            changes.push(format!("a receipt waited {:.1} s", measures.receipt.as_secs_f64()));
        }
        changes
    }

    /// The row of the table.
    pub fn row(&self) -> String {
        let (before, during) = (&self.before, &self.during);
        let pair = |of: fn(&Usage) -> u64| {
            let list = |measures: &Measures| {
                measures
                    .usage
                    .map(|usage| usage.as_ref().map_or_else(|| "ended".to_owned(), |usage| of(usage).to_string()))
                    .join(", ")
            };
            format!("{} → {}", list(before), list(during))
        };
        let cells = [
            self.attack.to_string(),
            format!("{} → {}", latency(before.posts), latency(during.posts)),
            format!("{} → {}", latency(before.reads), latency(during.reads)),
            failures(during),
            format!("{:.0} → {:.0}", before.sent, during.sent),
            format!("{:.1}", during.receipt.as_secs_f64()),
            pair(|usage| usage.memory >> 20),
            pair(|usage| usage.descriptors),
            if self.changes(&self.after).is_empty() { "as before".to_owned() } else { "**worse**".to_owned() },
        ];
        format!("| {} |", cells.join(" | "))
    }
}

fn latency(latency: Latency) -> String {
    format!("{}, {}", milliseconds(latency.p50), milliseconds(latency.p99))
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1000.0)
}

fn failures(measures: &Measures) -> String {
    if measures.failures.is_empty() {
        return "none".to_owned();
    }
    let mut text = String::new();
    for (failure, count) in &measures.failures {
        let comma = if text.is_empty() { "" } else { ", " };
        let _written = write!(text, "{comma}{failure} × {count}");
    }
    text
}
