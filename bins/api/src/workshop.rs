//! Threads for large batches, which keep a core busy for tens of milliseconds at a time. They give way: whoever else has
//! something to do on a core, such as the rest of this process, goes before them.

use std::io;

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinError;

/// A tenth of a core where others want all of it.
const NICE: i32 = 10;

/// The threads, as many as are needed at once.
pub(crate) struct Workshop(Option<Runtime>);

impl Workshop {
    /// No thread runs yet.
    pub(crate) fn open() -> io::Result<Self> {
        // Nothing is awaited on it: it is there for its blocking threads.
        let runtime = Builder::new_current_thread().thread_name("large-batch").on_thread_start(give_way).build()?;
        Ok(Self(Some(runtime)))
    }

    /// Does a piece of work, and waits for it.
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

impl Drop for Workshop {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            // To wait for what still runs would hold up whoever drops it.
            runtime.shutdown_background();
        }
    }
}

fn give_way() {
    // On Linux it is a thread that is nice, elsewhere the whole process.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(NICE) {
        tracing::debug!(%error, "large batches work as everybody else");
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_thread_for_large_batches_gives_way_and_no_other_does() {
        let nice = || rustix::process::nice(0).unwrap();
        let usual = nice();
        let workshop = Workshop::open().unwrap();
        assert_eq!(workshop.run(nice).await.unwrap(), NICE);
        assert_eq!((nice(), tokio::task::spawn_blocking(nice).await.unwrap()), (usual, usual));
    }
}
