//! obedient: business hours, controls of operators and rates are obeyed.

use std::collections::HashMap;

use super::{RunData, group_by};
use crate::chaos::instances::CLOSED_SLUG;
use crate::chaos::report::Check;

/// Milliseconds after the answer to a stop, in which a marked message may leave.
const POST_TIME: i64 = 1_000;

const MINUTE: i64 = 60_000;

pub(super) fn hours(run: &RunData) -> Check {
    let mut check = Check::new("obedient", "no overdue or upcoming message left outside of business hours");
    let keeps_hours = run
        .records
        .contacts
        .iter()
        .filter(|contact| contact.tenant == CLOSED_SLUG && contact.message_type != "notification");
    for contact in keeps_hours {
        check.record((!run.sent(&contact.phone).is_empty()).then(|| run.describe(contact)));
    }
    check
}

/// A slow gateway or a frozen process may delay a message that was marked before the answer. No attempt begins after
/// it.
pub(super) fn stops(run: &RunData) -> Check {
    let mut check =
        Check::new("obedient", "no message of an attempt after the answer to pause or cancel left later than a second");
    let queues = group_by(&run.records.contacts, |contact| contact.queue_id.as_str());
    for stop in run.stops {
        let until = stop.resumed_at.unwrap_or(i64::MAX);
        for contact in queues.get(stop.queue.as_str()).into_iter().flatten() {
            let attempts = run.records.attempts.get(&contact.phone).map_or(&[][..], Vec::as_slice);
            let is_violated = run.sent(&contact.phone).iter().any(|sent| {
                let began = attempts.iter().map(|attempt| attempt.started_at).filter(|at| *at <= sent.left_at).max();
                let is_late = sent.left_at > stop.stopped_at + POST_TIME && sent.left_at < until;
                is_late && began.is_none_or(|began| began > stop.stopped_at)
            });
            check.record(is_violated.then(|| format!("{stop:?}: {}", run.describe(contact))));
        }
    }
    check
}

pub(super) fn rate(run: &RunData) -> Check {
    let mut check = Check::new("obedient", "no instance sent more in a minute than its rate plus one");
    let mut left: HashMap<&str, Vec<i64>> = HashMap::new();
    for sent in run.records.sent.values().flatten() {
        left.entry(&sent.instance).or_default().push(sent.left_at);
    }
    for (instance, mut left) in left {
        left.sort_unstable();
        for (n, at) in left.iter().enumerate() {
            let within = left[n..].partition_point(|later| *later < at + MINUTE);
            let holds = within <= run.rate + 1;
            check.record((!holds).then(|| format!("{instance}: {within} in the minute from {at}, rate {}", run.rate)));
        }
    }
    check
}
