//! How much each measure does: enough to trust the figures, or enough to see in two minutes that all is as it was.

use std::time::Duration;

/// The counts of one run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    /// `full` or `quick`.
    pub(crate) name: &'static str,
    /// Batches of 10,000 contacts that are taken in.
    pub(crate) intake_batches: usize,
    /// Batches of 1,000 contacts whose time is taken.
    pub(crate) large_batches: usize,
    /// Batches of one contact whose time is taken, and doorbells.
    pub(crate) single_batches: usize,
    /// Messages that leave through many numbers.
    pub(crate) messages: usize,
    /// Messages that leave through one.
    pub(crate) messages_of_one: usize,
    /// Queues that are paused.
    pub(crate) pauses: usize,
    /// Lanes at 20 a minute.
    pub(crate) lanes: usize,
    /// How long they are watched once all have begun.
    pub(crate) watch: Duration,
    /// Contacts stored.
    pub(crate) stored: usize,
    /// Of those, sent by a worker before claims are timed.
    pub(crate) churned: usize,
    /// Claims and looks at a queue's status that are timed.
    pub(crate) looks: usize,
}

impl Sizes {
    /// About a quarter of an hour.
    pub(crate) const FULL: Self = Self {
        name: "full",
        intake_batches: 20,
        large_batches: 200,
        single_batches: 300,
        messages: 100_000,
        messages_of_one: 20_000,
        pauses: 100,
        lanes: 10_000,
        watch: Duration::from_secs(45),
        stored: 10_000_000,
        churned: 100_000,
        looks: 1000,
    };
    /// Less than two minutes.
    pub(crate) const QUICK: Self = Self {
        name: "quick",
        intake_batches: 5,
        large_batches: 40,
        single_batches: 60,
        messages: 20_000,
        messages_of_one: 4000,
        pauses: 20,
        lanes: 1000,
        watch: Duration::from_secs(12),
        stored: 100_000,
        churned: 5000,
        looks: 200,
    };
}
