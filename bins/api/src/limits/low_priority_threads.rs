//! Low-priority threads for the computation of large batches, which takes a core for tens of milliseconds at a time.
//! The other threads of the process go first.

use std::io;

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinError;

/// A tenth of a core while other threads want all of it.
const NICE: i32 = 10;

/// A runtime whose blocking threads have low priority.
pub(crate) struct LowPriorityThreads(Option<Runtime>);

impl LowPriorityThreads {
    pub(crate) fn open() -> io::Result<Self> {
        // No future runs on it, only blocking work.
        let runtime =
            Builder::new_current_thread().thread_name("large-batch").on_thread_start(lower_priority).build()?;
        Ok(Self(Some(runtime)))
    }

    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, JoinError> {
        match &self.0 {
            Some(threads) => threads.spawn_blocking(work).await,
            None => tokio::task::spawn_blocking(work).await,
        }
    }
}

impl Drop for LowPriorityThreads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            // Dropping the runtime would block until the work under way has finished.
            runtime.shutdown_background();
        }
    }
}

fn lower_priority() {
    // On Linux the nice value is per thread, on other systems per process.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(NICE) {
        tracing::debug!(%error, "large batches run with normal priority");
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_threads_for_large_batches_have_low_priority() {
        let nice = || rustix::process::nice(0).unwrap();
        let usual = nice();
        let threads = LowPriorityThreads::open().unwrap();
        assert_eq!(threads.run(nice).await.unwrap(), NICE);
        assert_eq!((nice(), tokio::task::spawn_blocking(nice).await.unwrap()), (usual, usual));
    }
}
