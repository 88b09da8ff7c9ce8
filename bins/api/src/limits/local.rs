//! Rates that this process keeps by itself: one instant a caller, as many callers as there is room for.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use regua_domain::{Rate, Taken};

use super::Subject;

/// Callers that are remembered: some ten megabytes.
const MOST: usize = 100_000;
/// Microseconds between two looks for callers that need not be remembered.
const SWEEP_EVERY: i64 = 60_000_000;

/// Who has paid until when. Whoever has paid for nothing that is to come is nobody in particular, and is forgotten.
#[derive(Default)]
pub(super) struct Local {
    paid: Mutex<Paid>,
}

#[derive(Default)]
struct Paid {
    until: HashMap<Subject, i64>,
    sweep_at: i64,
}

impl Local {
    /// Judges a request at `now`, and notes it.
    pub(super) fn take(&self, subject: Subject, rate: Rate, now: i64) -> Taken {
        let mut paid = self.lock();
        let taken = rate.take(paid.until.get(&subject).copied(), now);
        paid.note(subject, taken.paid_until, now);
        taken
    }

    /// Gives back what a request has cost that should have cost nothing.
    pub(super) fn give_back(&self, subject: Subject, rate: Rate) {
        if let Some(until) = self.lock().until.get_mut(&subject) {
            *until -= rate.interval();
        }
    }

    /// Notes what somebody else has judged.
    pub(super) fn note(&self, subject: Subject, paid_until: i64, now: i64) {
        self.lock().note(subject, paid_until, now);
    }

    fn lock(&self) -> MutexGuard<'_, Paid> {
        self.paid.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Paid {
    fn note(&mut self, subject: Subject, until: i64, now: i64) {
        if now >= self.sweep_at || self.until.len() >= MOST {
            self.make_room(now);
            self.sweep_at = now + SWEEP_EVERY;
        }
        self.until.insert(subject, until);
    }

    /// Where all are busy, the half that has paid the least ahead goes: those lose a part of a burst at most.
    fn make_room(&mut self, now: i64) {
        self.until.retain(|_, until| *until > now);
        if self.until.len() >= MOST {
            let mut all: Vec<_> = self.until.values().copied().collect();
            let (_, median, _) = all.select_nth_unstable(MOST / 2);
            let median = *median;
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
    fn callers_are_counted_apart_and_what_is_given_back_may_be_taken_again() {
        let local = Local::default();
        let is_allowed = |subject| local.take(subject, rate(), 1_000_000).is_allowed;
        assert!(is_allowed(caller(1)) && is_allowed(caller(1)));
        assert!(!is_allowed(caller(1)));
        assert!(is_allowed(caller(2)));
        local.give_back(caller(1), rate());
        assert!(is_allowed(caller(1)));
        assert!(!is_allowed(caller(1)));
    }

    #[test]
    fn who_has_rested_is_forgotten() {
        let local = Local::default();
        for number in 0..1000 {
            local.take(caller(number), rate(), 0);
        }
        local.take(caller(0), rate(), SWEEP_EVERY);
        assert_eq!(local.lock().until.len(), 1);
    }

    #[test]
    fn there_is_room_for_so_many_and_the_busiest_stay() {
        let local = Local::default();
        let greedy = caller(u32::MAX);
        local.take(greedy, rate(), 0);
        local.take(greedy, rate(), 0);
        for number in 0..3 * u32::try_from(MOST).unwrap() {
            local.take(caller(number), rate(), 0);
        }
        assert!(local.lock().until.len() <= MOST);
        assert!(!local.take(greedy, rate(), 0).is_allowed, "who is to wait cannot have himself forgotten by a crowd");
    }
}
