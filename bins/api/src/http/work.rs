//! Computations off the async threads, for a request whose caller may disconnect or be answered that time is up.

use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use super::error::Problem;

/// Runs a computation, which keeps `permits` until it has ended. The token is cancelled when the caller of this function
/// is gone: the computation should end soon then, and its permits are not free before.
pub(crate) async fn compute<T: Send + 'static>(
    permits: impl Send + 'static,
    work: impl FnOnce(&CancellationToken) -> T + Send + 'static,
) -> Result<T, Problem> {
    let stop = CancellationToken::new();
    let _stop_when_dropped = stop.clone().drop_guard();
    let work = move || {
        let _permits = permits;
        work(&stop)
    };
    spawn_blocking(work).await.map_err(Problem::internal)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, mpsc};

    use tokio::sync::Semaphore;

    use super::*;

    #[tokio::test]
    async fn abandoned_work_is_stopped_and_keeps_its_permits_until_it_ends() {
        let permits = Arc::new(Semaphore::new(1));
        let permit = Arc::clone(&permits).acquire_owned().await.unwrap();
        let ((started, has_started), (go_on, may_go_on)) = (mpsc::channel(), mpsc::channel());
        let request = tokio::spawn(compute(permit, move |stop| {
            started.send(stop.clone()).unwrap();
            may_go_on.recv().unwrap();
        }));
        let stop = spawn_blocking(move || has_started.recv().unwrap()).await.unwrap();
        assert!(!stop.is_cancelled());
        request.abort();
        assert!(request.await.unwrap_err().is_cancelled());
        assert!(stop.is_cancelled() && permits.available_permits() == 0);
        go_on.send(()).unwrap();
        let _permit = permits.acquire().await.unwrap();
    }
}
