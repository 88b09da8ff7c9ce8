//! obedient: hours, operators and the number's rate are obeyed, whatever breaks meanwhile.

use std::collections::HashMap;

use super::{Case, grouped};
use crate::chaos::report::Check;
use crate::chaos::tenants::CLOSED_SLUG;

/// What was written down before the answer may leave so long after it, in milliseconds.
const UNDER_WAY: i64 = 1_000;

const MINUTE: i64 = 60_000;

pub(super) fn hours(case: &Case) -> Check {
    let mut check = Check::new("obedient", "nothing overdue or upcoming left while hours were closed");
    let keeps_hours = case
        .evidence
        .contacts
        .iter()
        .filter(|contact| contact.tenant == CLOSED_SLUG && contact.message_type != "notification");
    for contact in keeps_hours {
        check.look((!case.sent(&contact.phone).is_empty()).then(|| case.describe(contact)));
    }
    check
}

/// An attempt that was written down before the operator's answer may be held up by a slow gateway or a frozen process;
/// none may begin after it.
pub(super) fn stops(case: &Case) -> Check {
    let mut check =
        Check::new("obedient", "nothing began after the answer to pause or cancel, and left a second later");
    let queues = grouped(&case.evidence.contacts, |contact| contact.queue_id.as_str());
    for order in case.orders {
        let until = order.resumed_at.unwrap_or(i64::MAX);
        for contact in queues.get(order.queue.as_str()).into_iter().flatten() {
            let attempts = case.evidence.attempts.get(&contact.phone).map_or(&[][..], Vec::as_slice);
            let disobeys = case.sent(&contact.phone).iter().any(|sent| {
                let began = attempts.iter().map(|attempt| attempt.started_at).filter(|at| *at <= sent.left_at).max();
                let is_late = sent.left_at > order.stopped_at + UNDER_WAY && sent.left_at < until;
                is_late && began.is_none_or(|began| began > order.stopped_at)
            });
            check.look(disobeys.then(|| format!("{order:?}: {}", case.describe(contact))));
        }
    }
    check
}

pub(super) fn rate(case: &Case) -> Check {
    let mut check = Check::new("obedient", "no number sent more in any minute than its rate and one");
    let mut left: HashMap<&str, Vec<i64>> = HashMap::new();
    for sent in case.evidence.sent.values().flatten() {
        left.entry(&sent.instance).or_default().push(sent.left_at);
    }
    for (instance, mut left) in left {
        left.sort_unstable();
        for (n, at) in left.iter().enumerate() {
            let within = left[n..].partition_point(|later| *later < at + MINUTE);
            let is_fine = within <= case.rate + 1;
            check.look((!is_fine).then(|| format!("{instance}: {within} in the minute from {at}, rate {}", case.rate)));
        }
    }
    check
}
