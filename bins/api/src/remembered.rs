//! Secrets that were right a moment ago, by their hashes, so that good callers wait for no look-up. What is remembered is
//! believed for a short time only; after it, it still tells a caller who was let in before from one who guesses.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Secrets that are remembered: some five megabytes.
const MOST: usize = 10_000;

/// What was looked up, by the name that finds it.
pub(crate) struct Remembered<K, V> {
    entries: Mutex<HashMap<K, Entry<V>>>,
    believed_for: Duration,
}

struct Entry<V> {
    value: Arc<V>,
    looked_up: Instant,
    is_being_renewed: bool,
}

/// What is known of a secret.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Recalled<V> {
    /// It is right.
    Right(Arc<V>),
    /// It is right, and the caller is to look it up anew meanwhile, so that nobody ever has to wait for it.
    RightButAgeing(Arc<V>),
    /// It was right, and must be looked up.
    WasRight,
    /// Nothing, or another one was right.
    Unknown,
}

impl<K: Eq + Hash, V> Remembered<K, V> {
    /// Nothing yet; what is looked up is believed for so long.
    pub(crate) fn new(believed_for: Duration) -> Self {
        Self { entries: Mutex::default(), believed_for }
    }

    /// What is known of a secret that `is_right` compares, in constant time, with the remembered value.
    pub(crate) fn recall(&self, name: &K, now: Instant, is_right: impl FnOnce(&V) -> bool) -> Recalled<V> {
        let mut entries = self.lock();
        let Some(entry) = entries.get_mut(name).filter(|entry| is_right(&entry.value)) else {
            return Recalled::Unknown;
        };
        let age = now.saturating_duration_since(entry.looked_up);
        if age >= self.believed_for {
            return Recalled::WasRight;
        }
        if age < self.believed_for / 2 || entry.is_being_renewed {
            return Recalled::Right(Arc::clone(&entry.value));
        }
        entry.is_being_renewed = true;
        Recalled::RightButAgeing(Arc::clone(&entry.value))
    }

    /// Remembers what a look-up that began at `now` has found, unless a later one was quicker.
    pub(crate) fn remember(&self, name: K, value: Arc<V>, now: Instant) {
        let mut entries = self.lock();
        if entries.get(&name).is_some_and(|entry| entry.looked_up > now) {
            return;
        }
        if entries.len() >= MOST && !entries.contains_key(&name) {
            let mut ages: Vec<_> = entries.values().map(|entry| entry.looked_up).collect();
            let middle = ages.len() / 2;
            let (_, median, _) = ages.select_nth_unstable(middle);
            let median = *median;
            entries.retain(|_, entry| entry.looked_up > median);
        }
        entries.insert(name, Entry { value, looked_up: now, is_being_renewed: false });
    }

    /// Forgets what is not there any more.
    pub(crate) fn forget(&self, name: &K) {
        self.lock().remove(name);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, Entry<V>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BELIEVED_FOR: Duration = Duration::from_secs(2);

    fn recall(remembered: &Remembered<u32, &'static str>, at: Instant, secret: &str) -> Recalled<&'static str> {
        remembered.recall(&1, at, |right| *right == secret)
    }

    #[test]
    fn what_was_right_is_believed_for_a_while_and_renewed_by_one_before_it_ends() {
        let (remembered, start) = (Remembered::new(BELIEVED_FOR), Instant::now());
        let after = |milliseconds| start + Duration::from_millis(milliseconds);
        assert_eq!(recall(&remembered, start, "a"), Recalled::Unknown);
        remembered.remember(1, Arc::new("a"), start);
        assert_eq!(recall(&remembered, after(999), "a"), Recalled::Right(Arc::new("a")));
        assert_eq!(recall(&remembered, after(999), "b"), Recalled::Unknown);
        assert_eq!(recall(&remembered, after(1000), "a"), Recalled::RightButAgeing(Arc::new("a")));
        assert_eq!(recall(&remembered, after(1001), "a"), Recalled::Right(Arc::new("a")));
        assert_eq!(recall(&remembered, after(1999), "a"), Recalled::Right(Arc::new("a")));
        assert_eq!(recall(&remembered, after(2000), "a"), Recalled::WasRight);
        assert_eq!(recall(&remembered, after(2000), "b"), Recalled::Unknown);
        remembered.forget(&1);
        assert_eq!(recall(&remembered, after(2000), "a"), Recalled::Unknown);
    }

    #[test]
    fn there_is_room_for_so_many_and_the_latest_stay() {
        let (remembered, start) = (Remembered::new(BELIEVED_FOR), Instant::now());
        for name in 0..3 * u64::try_from(MOST).unwrap() {
            remembered.remember(name, Arc::new("a"), start + Duration::from_micros(name));
        }
        assert!(remembered.lock().len() <= MOST);
        let last = 3 * u64::try_from(MOST).unwrap() - 1;
        assert!(matches!(remembered.recall(&last, start, |_| true), Recalled::Right(_)));
    }
}
