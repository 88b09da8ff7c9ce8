//! Request counts of this process: one instant for each subject.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use regua_domain::{Rate, RateCheck};

use super::subject::Subject;

/// Subjects at most; they take about ten megabytes.
const CAPACITY: usize = 100_000;
/// Microseconds between two removals of idle subjects.
const SWEEP_EVERY: i64 = 60_000_000;

/// The instant until which each subject has paid for its requests. A subject whose instant is past is the same as a new
/// one, and is removed.
#[derive(Default)]
pub(super) struct LocalCounts {
    paid: Mutex<Paid>,
}

#[derive(Default)]
struct Paid {
    until: HashMap<Subject, i64>,
    sweep_at: i64,
}

impl LocalCounts {
    /// Checks a request at `now`, and counts it if it is allowed.
    pub(super) fn check(&self, subject: Subject, rate: Rate, now: i64) -> RateCheck {
        let mut paid = self.lock();
        let check = rate.check(paid.until.get(&subject).copied(), now);
        paid.store(subject, check.paid_until, now);
        check
    }

    /// Gives the cost of one request back.
    pub(super) fn refund(&self, subject: Subject, rate: Rate) {
        if let Some(until) = self.lock().until.get_mut(&subject) {
            *until -= rate.interval();
        }
    }

    /// Stores the result of a check that Redis has made.
    pub(super) fn store(&self, subject: Subject, paid_until: i64, now: i64) {
        self.lock().store(subject, paid_until, now);
    }

    fn lock(&self) -> MutexGuard<'_, Paid> {
        self.paid.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Paid {
    fn store(&mut self, subject: Subject, until: i64, now: i64) {
        if now >= self.sweep_at || self.until.len() >= CAPACITY {
            self.make_room(now);
            self.sweep_at = now + SWEEP_EVERY;
        }
        self.until.insert(subject, until);
    }

    /// Removes idle subjects. If too many remain, it removes the half that has paid the least ahead, which forgives a
    /// subject a part of a burst at most.
    fn make_room(&mut self, now: i64) {
        self.until.retain(|_, until| *until > now);
        if self.until.len() >= CAPACITY {
            let mut all: Vec<_> = self.until.values().copied().collect();
            let median = *all.select_nth_unstable(CAPACITY / 2).1;
            self.until.retain(|_, until| *until > median);
        }
        if self.until.capacity() > 4 * self.until.len().max(1024) {
            self.until.shrink_to_fit();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::num::NonZeroU32;

    use super::*;

    fn rate() -> Rate {
        Rate::with_burst(NonZeroU32::new(60).unwrap(), NonZeroU32::new(2).unwrap())
    }

    fn caller(number: u32) -> Subject {
        Subject::Address(IpAddr::V4(Ipv4Addr::from_bits(number)))
    }

    #[test]
    fn subjects_are_counted_apart_and_a_refund_allows_another_request() {
        let local = LocalCounts::default();
        let is_allowed = |subject| local.check(subject, rate(), 1_000_000).is_allowed;
        assert!(is_allowed(caller(1)) && is_allowed(caller(1)));
        assert!(!is_allowed(caller(1)));
        assert!(is_allowed(caller(2)));
        local.refund(caller(1), rate());
        assert!(is_allowed(caller(1)));
        assert!(!is_allowed(caller(1)));
    }

    #[test]
    fn idle_subject_is_removed() {
        let local = LocalCounts::default();
        for number in 0..1000 {
            local.check(caller(number), rate(), 0);
        }
        local.check(caller(0), rate(), SWEEP_EVERY);
        assert_eq!(local.lock().until.len(), 1);
    }

    #[test]
    fn full_map_drops_the_least_busy_subjects() {
        let local = LocalCounts::default();
        let greedy = caller(u32::MAX);
        local.check(greedy, rate(), 0);
        local.check(greedy, rate(), 0);
        for number in 0..3 * u32::try_from(CAPACITY).unwrap() {
            local.check(caller(number), rate(), 0);
        }
        assert!(local.lock().until.len() <= CAPACITY);
        assert!(
            !local.check(greedy, rate(), 0).is_allowed,
            "a crowd of addresses does not reset a subject that must wait"
        );
    }
}
