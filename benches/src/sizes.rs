//! How much each measure does: enough for reliable figures, or a check within two minutes that nothing got slower.

use std::time::Duration;

/// The counts of one run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    /// `full` or `quick`.
    pub(crate) name: &'static str,
    /// Accepted batches of 10,000 contacts.
    pub(crate) intake_batches: usize,
    /// Timed batches of 1,000 contacts.
    pub(crate) large_batches: usize,
    /// Timed batches of one contact, and timed doorbells.
    pub(crate) single_batches: usize,
    /// Messages sent through many instances.
    pub(crate) messages: usize,
    /// Messages sent through one instance.
    pub(crate) messages_of_one_instance: usize,
    pub(crate) pauses: usize,
    /// Lanes at 20 a minute.
    pub(crate) lanes: usize,
    /// How long the lanes are measured once each has sent.
    pub(crate) watch: Duration,
    pub(crate) stored: usize,
    /// Stored contacts that a worker sends before claims are timed.
    pub(crate) churned: usize,
    /// Timed claims, and timed requests of a queue's status.
    pub(crate) timed: usize,
}

impl Sizes {
    /// About a quarter of an hour.
    pub(crate) const FULL: Self = Self {
        name: "full",
        intake_batches: 20,
        large_batches: 200,
        single_batches: 300,
        messages: 100_000,
        messages_of_one_instance: 20_000,
        pauses: 100,
        lanes: 10_000,
        watch: Duration::from_secs(45),
        stored: 10_000_000,
        churned: 100_000,
        timed: 1000,
    };
    /// Less than two minutes.
    pub(crate) const QUICK: Self = Self {
        name: "quick",
        intake_batches: 5,
        large_batches: 40,
        single_batches: 60,
        messages: 20_000,
        messages_of_one_instance: 4000,
        pauses: 20,
        lanes: 1000,
        watch: Duration::from_secs(12),
        stored: 100_000,
        churned: 5000,
        timed: 200,
    };
}
