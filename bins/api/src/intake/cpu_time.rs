//! The CPU time of a thread. It does not depend on what else the machine does, unlike the clock.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The CPU time of the thread at the start of a work.
pub(super) struct CpuTime(Duration);

impl CpuTime {
    pub(super) fn start() -> Self {
        Self(of_thread())
    }

    /// What the thread has used since.
    pub(super) fn elapsed(&self) -> Duration {
        of_thread().saturating_sub(self.0)
    }
}

fn of_thread() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap_or_default()
}
