//! recovered: the time from the end of the last fault until an instance with pending contacts sends again.

use std::collections::HashSet;

use super::{RunData, group_by, waits_for_hours};
use crate::chaos::records::Contact;
use crate::chaos::report::Check;

/// Milliseconds in addition to two leases: two passes of periodic, a doorbell and a check of the gateway.
const ALLOWANCE: i64 = 5_000;

const MAX_SHOWN: usize = 5;

/// The contacts and messages of an instance.
struct Lane {
    /// Creation times of contacts, each with the latest first attempt of the contacts until then.
    waiting: Vec<(i64, i64)>,
    left: Vec<i64>,
}

pub(super) fn soon(run: &RunData) -> Check {
    let bound = 2 * run.lease + ALLOWANCE;
    let gaps = gaps(run);
    let stopped: HashSet<_> = run.stops.iter().map(|stop| stop.queue.as_str()).collect();
    let (mut times, mut cut_short) = (Vec::new(), 0);
    for (instance, contacts) in group_by(&run.records.contacts, |contact| contact.instance.as_str()) {
        let lane = Lane::of(run, instance, &contacts, &stopped);
        for (end, next) in &gaps {
            if lane.waits_at(*end) {
                let sends = lane.next_send(*end).filter(|at| at < next);
                match sends {
                    Some(at) => times.push((at - end, instance, *end)),
                    // The next fault interrupted the recovery. The time counts only if it exceeds the bound.
                    None if next - end > bound => times.push((next - end, instance, *end)),
                    None => cut_short += 1,
                }
            }
        }
    }
    times.sort_unstable();
    let p99 = times.get((times.len() * 99 / 100).min(times.len().saturating_sub(1)));
    let percentile = |percent: usize| times.get(times.len() * percent / 100).map_or(0, |time| time.0);
    let what = format!(
        "99 of 100 waiting instances send again within {bound} ms of a fault's end: median {} ms, p99 {} ms, worst {} ms \
         ({cut_short} more were cut short by the next fault)",
        percentile(50),
        p99.map_or(0, |time| time.0),
        times.last().map_or(0, |time| time.0)
    );
    let mut check = Check::new("recovered", &what);
    check.looked_at = times.len();
    let describe =
        |(took, instance, end): &(i64, &str, i64)| format!("{instance}: {took} ms after {}", last_fault(run, *end));
    if !run.is_shared_machine && p99.is_some_and(|time| time.0 > bound) {
        check.broken = times.iter().rev().take_while(|time| time.0 > bound).map(describe).collect();
    }
    check.notes = times.iter().rev().filter(|time| time.0 > run.lease).take(MAX_SHOWN).map(describe).collect();
    check
}

fn last_fault(run: &RunData, end: i64) -> String {
    let begun = run.injected.first().map_or(0, |injected| injected.began);
    let last = run.injected.iter().find(|injected| injected.ended == end);
    format!("{:?} at {} ms", last.map(|injected| &injected.fault), end - begun)
}

fn gaps(run: &RunData) -> Vec<(i64, i64)> {
    let mut gaps = Vec::new();
    let mut end = i64::MIN;
    for injected in run.injected {
        if end != i64::MIN && injected.began > end {
            gaps.push((end, injected.began));
        }
        end = end.max(injected.ended);
    }
    gaps.push((end, i64::MAX));
    gaps
}

impl Lane {
    fn of(run: &RunData, instance: &str, contacts: &[&Contact], stopped: &HashSet<&str>) -> Self {
        let mut waiting: Vec<_> = contacts
            .iter()
            .filter(|contact| !waits_for_hours(contact) && !stopped.contains(contact.queue_id.as_str()))
            .filter_map(|contact| Some((contact.queued_at, run.records.attempts.get(&contact.phone)?[0].started_at)))
            .collect();
        waiting.sort_unstable();
        let mut latest = i64::MIN;
        for (_, attempted_at) in &mut waiting {
            latest = latest.max(*attempted_at);
            *attempted_at = latest;
        }
        let sent = run.records.sent.values().flatten().filter(|sent| sent.instance == instance);
        let mut left: Vec<_> = sent.map(|sent| sent.left_at).collect();
        left.sort_unstable();
        Self { waiting, left }
    }

    /// Whether a contact existed at that time whose first attempt was later.
    fn waits_at(&self, at: i64) -> bool {
        let existing = self.waiting.partition_point(|(created_at, _)| *created_at < at);
        existing > 0 && self.waiting[existing - 1].1 > at
    }

    fn next_send(&self, at: i64) -> Option<i64> {
        self.left.get(self.left.partition_point(|left| *left < at)).copied()
    }
}
