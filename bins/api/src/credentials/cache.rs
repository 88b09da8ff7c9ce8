//! Look-ups of secrets, cached for some seconds, so that a valid caller rarely waits for the database. An expired entry
//! still shows that the secret was valid before, which distinguishes its caller from one that guesses.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Entries of a cache at most; they take about five megabytes.
const CAPACITY: usize = 10_000;

/// The results of look-ups by key.
pub(crate) struct Cache<K, V> {
    entries: Mutex<HashMap<K, Entry<V>>>,
    cached_for: Duration,
}

struct Entry<V> {
    value: Arc<V>,
    looked_up: Instant,
    is_being_renewed: bool,
}

/// The result of [`Cache::get`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Cached<V> {
    Fresh(Arc<V>),
    /// Valid, and to be renewed now by this caller in the background, so that no caller waits for an expired entry.
    Ageing(Arc<V>),
    /// Valid before; it must be looked up.
    Expired(Arc<V>),
    /// There is no entry, or its secret is another.
    Unknown,
}

impl<K: Eq + Hash, V> Cache<K, V> {
    /// An empty cache, whose entries are trusted for `cached_for`.
    pub(crate) fn new(cached_for: Duration) -> Self {
        Self { entries: Mutex::default(), cached_for }
    }

    /// The entry of a key, if `matches` finds the secret equal to it. The comparison takes constant time.
    pub(crate) fn get(&self, key: &K, now: Instant, matches: impl FnOnce(&V) -> bool) -> Cached<V> {
        let mut entries = self.lock();
        let Some(entry) = entries.get_mut(key).filter(|entry| matches(&entry.value)) else {
            return Cached::Unknown;
        };
        let age = now.saturating_duration_since(entry.looked_up);
        if age >= self.cached_for {
            return Cached::Expired(Arc::clone(&entry.value));
        }
        if age < self.cached_for / 2 || entry.is_being_renewed {
            return Cached::Fresh(Arc::clone(&entry.value));
        }
        entry.is_being_renewed = true;
        Cached::Ageing(Arc::clone(&entry.value))
    }

    /// Stores the result of a look-up that began at `looked_up`, unless the entry is of a later one. A full cache drops
    /// its older half.
    pub(crate) fn insert(&self, key: K, value: Arc<V>, looked_up: Instant) {
        let mut entries = self.lock();
        if entries.get(&key).is_some_and(|entry| entry.looked_up > looked_up) {
            return;
        }
        if entries.len() >= CAPACITY && !entries.contains_key(&key) {
            let mut ages: Vec<_> = entries.values().map(|entry| entry.looked_up).collect();
            let median = *ages.select_nth_unstable(CAPACITY / 2).1;
            entries.retain(|_, entry| entry.looked_up > median);
        }
        entries.insert(key, Entry { value, looked_up, is_being_renewed: false });
    }

    pub(crate) fn remove(&self, key: &K) {
        self.lock().remove(key);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, Entry<V>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CACHED_FOR: Duration = Duration::from_secs(2);

    fn get(cache: &Cache<u32, &'static str>, at: Instant, secret: &str) -> Cached<&'static str> {
        cache.get(&1, at, |cached| *cached == secret)
    }

    #[test]
    fn entry_expires_and_one_caller_is_asked_to_renew_it_before() {
        let (cache, start) = (Cache::new(CACHED_FOR), Instant::now());
        let after = |milliseconds| start + Duration::from_millis(milliseconds);
        assert_eq!(get(&cache, start, "a"), Cached::Unknown);
        cache.insert(1, Arc::new("a"), start);
        assert_eq!(get(&cache, after(999), "a"), Cached::Fresh(Arc::new("a")));
        assert_eq!(get(&cache, after(999), "b"), Cached::Unknown);
        assert_eq!(get(&cache, after(1000), "a"), Cached::Ageing(Arc::new("a")));
        assert_eq!(get(&cache, after(1001), "a"), Cached::Fresh(Arc::new("a")));
        assert_eq!(get(&cache, after(1999), "a"), Cached::Fresh(Arc::new("a")));
        assert!(matches!(get(&cache, after(2000), "a"), Cached::Expired(_)));
        assert_eq!(get(&cache, after(2000), "b"), Cached::Unknown);
        cache.remove(&1);
        assert_eq!(get(&cache, after(2000), "a"), Cached::Unknown);
    }

    #[test]
    fn full_cache_drops_its_oldest_entries() {
        let (cache, start) = (Cache::new(CACHED_FOR), Instant::now());
        let keys = 3 * u64::try_from(CAPACITY).unwrap();
        for key in 0..keys {
            cache.insert(key, Arc::new("a"), start + Duration::from_micros(key));
        }
        assert!(cache.lock().len() <= CAPACITY);
        assert!(matches!(cache.get(&(keys - 1), start, |_| true), Cached::Fresh(_)));
    }
}
