//! recovered: how long it takes after the last fault has ended until a number that has something to send sends again.

use std::collections::HashSet;

use super::{Case, grouped, waits};
use crate::chaos::evidence::Contact;
use crate::chaos::report::Check;

/// Over two leases: two passes of periodic, a doorbell and a look at the gateway, in milliseconds.
const BESIDES: i64 = 5_000;

/// The slowest, told in any case.
const SHOWN: usize = 5;

/// A number's contacts by the time at which they came, and its sends.
struct Lane {
    /// When contacts came, and the latest first try of all that came until then.
    waiting: Vec<(i64, i64)>,
    left: Vec<i64>,
}

pub(super) fn soon(case: &Case) -> Check {
    let bound = 2 * case.lease + BESIDES;
    let gaps = gaps(case);
    let stopped: HashSet<_> = case.orders.iter().map(|order| order.queue.as_str()).collect();
    let (mut times, mut cut_short) = (Vec::new(), 0);
    for (instance, contacts) in grouped(&case.evidence.contacts, |contact| contact.instance.as_str()) {
        let lane = Lane::of(case, instance, &contacts, &stopped);
        for (end, next) in &gaps {
            if lane.waits_at(*end) {
                let sends = lane.next_send(*end).filter(|at| at < next);
                match sends {
                    Some(at) => times.push((at - end, instance, *end)),
                    // The next fault came before; that tells something only where it came late.
                    None if next - end > bound => times.push((next - end, instance, *end)),
                    None => cut_short += 1,
                }
            }
        }
    }
    times.sort_unstable();
    let p99 = times.get((times.len() * 99 / 100).min(times.len().saturating_sub(1)));
    let quantile = |share: usize| times.get(times.len() * share / 100).map_or(0, |time| time.0);
    let what = format!(
        "99 of 100 waiting numbers send again within {bound} ms of a fault's end: median {} ms, p99 {} ms, worst {} ms \
         ({cut_short} more were cut short by the next fault)",
        quantile(50),
        p99.map_or(0, |time| time.0),
        times.last().map_or(0, |time| time.0)
    );
    let mut check = Check::new("recovered", &what);
    check.looked_at = times.len();
    let tell =
        |(took, instance, end): &(i64, &str, i64)| format!("{instance}: {took} ms after {}", last_fault(case, *end));
    if !case.is_shared && p99.is_some_and(|time| time.0 > bound) {
        check.broken = times.iter().rev().take_while(|time| time.0 > bound).map(tell).collect();
    }
    check.notes = times.iter().rev().filter(|time| time.0 > case.lease).take(SHOWN).map(tell).collect();
    check
}

/// What ended then, and when that was.
fn last_fault(case: &Case, end: i64) -> String {
    let begun = case.injected.first().map_or(0, |injected| injected.began);
    let last = case.injected.iter().find(|injected| injected.ended == end);
    format!("{:?} at {} ms", last.map(|injected| &injected.fault), end - begun)
}

/// The times without any fault, from the end of the one before to the beginning of the next.
fn gaps(case: &Case) -> Vec<(i64, i64)> {
    let mut gaps = Vec::new();
    let mut end = i64::MIN;
    for injected in case.injected {
        if end != i64::MIN && injected.began > end {
            gaps.push((end, injected.began));
        }
        end = end.max(injected.ended);
    }
    gaps.push((end, i64::MAX));
    gaps
}

impl Lane {
    fn of(case: &Case, instance: &str, contacts: &[&Contact], stopped: &HashSet<&str>) -> Self {
        let mut waiting: Vec<_> = contacts
            .iter()
            .filter(|contact| !waits(contact) && !stopped.contains(contact.queue_id.as_str()))
            .filter_map(|contact| Some((contact.queued_at, case.evidence.attempts.get(&contact.phone)?[0].started_at)))
            .collect();
        waiting.sort_unstable();
        let mut latest = i64::MIN;
        for (_, tried_at) in &mut waiting {
            latest = latest.max(*tried_at);
            *tried_at = latest;
        }
        let sent = case.evidence.sent.values().flatten().filter(|sent| sent.instance == instance);
        let mut left: Vec<_> = sent.map(|sent| sent.left_at).collect();
        left.sort_unstable();
        Self { waiting, left }
    }

    /// Something had come by then that was tried for the first time only later.
    fn waits_at(&self, at: i64) -> bool {
        let came = self.waiting.partition_point(|(came, _)| *came < at);
        came > 0 && self.waiting[came - 1].1 > at
    }

    fn next_send(&self, at: i64) -> Option<i64> {
        self.left.get(self.left.partition_point(|left| *left < at)).copied()
    }
}
