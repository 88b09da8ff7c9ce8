//! `/healthz`, `/readyz` and `/metrics`, the same for every process.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::Registry;

/// Checks that a service answers; the error is for the operator.
pub type Probe = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>> + Send + Sync>;

/// How old an answer of `/readyz` may be, so that a flood of requests costs the services one probe a second.
const READINESS_AGE: Duration = Duration::from_secs(1);

/// The three routes. `/readyz` is 200 when every probe succeeds, and otherwise 503 with the errors.
pub fn health_routes(registry: Registry, probes: Vec<(&'static str, Probe)>) -> Router {
    let readiness = Arc::new(Readiness { probes, max_age: READINESS_AGE, last: tokio::sync::Mutex::default() });
    Router::new()
        .route("/healthz", get(|| async { Json(json!({"status": "alive"})) }))
        .route("/readyz", get(move || ready(Arc::clone(&readiness))))
        .route(
            "/metrics",
            get(move || async move { ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], registry.text()) }),
        )
}

async fn ready(readiness: Arc<Readiness>) -> Response {
    let (is_ready, parts) = readiness.get().await;
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({"ready": is_ready, "parts": parts}))).into_response()
}

/// The last report of the probes.
struct Readiness {
    probes: Vec<(&'static str, Probe)>,
    max_age: Duration,
    last: tokio::sync::Mutex<Option<(Instant, Report)>>,
}

/// Whether all probes succeeded, and the answer of each.
type Report = (bool, Value);

impl Readiness {
    /// The last report while it is new, otherwise one of new probes. Requests that come meanwhile wait for it.
    async fn get(&self) -> Report {
        let mut last = self.last.lock().await;
        if let Some((_, report)) = last.as_ref().filter(|(at, _)| at.elapsed() < self.max_age) {
            return report.clone();
        }
        let report = self.probe().await;
        *last = Some((Instant::now(), report.clone()));
        report
    }

    async fn probe(&self) -> Report {
        let (mut is_ready, mut parts) = (true, serde_json::Map::new());
        // Concurrently, so that an answer takes as long as the slowest probe.
        let running: Vec<_> = self.probes.iter().map(|(name, probe)| (*name, tokio::spawn(probe()))).collect();
        for (name, answer) in running {
            let answer = match answer.await.map_err(anyhow::Error::from).and_then(|answer| answer) {
                Ok(()) => "ok".to_owned(),
                Err(error) => {
                    is_ready = false;
                    format!("{error:#}")
                }
            };
            parts.insert(name.to_owned(), answer.into());
        }
        (is_ready, parts.into())
    }
}

/// Serves routes until shutdown, and finishes the requests under way.
pub async fn serve(listener: TcpListener, routes: Router, shutdown: CancellationToken) -> anyhow::Result<()> {
    axum::serve(listener, routes).with_graceful_shutdown(shutdown.cancelled_owned()).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// How often many requests at once, and one more, probe the service.
    async fn probes_of_a_flood(max_age: Duration) -> usize {
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        let probe: Probe = Arc::new(move || {
            counted.fetch_add(1, Ordering::Relaxed);
            Box::pin(async {
                tokio::task::yield_now().await;
                anyhow::bail!("away")
            })
        });
        let probes = vec![("database", probe)];
        let readiness = Arc::new(Readiness { probes, max_age, last: tokio::sync::Mutex::default() });
        let flood: Vec<_> = (0..50).map(|_| tokio::spawn(ready(Arc::clone(&readiness)))).collect();
        for answer in flood {
            assert_eq!(answer.await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
        }
        assert_eq!(readiness.get().await, (false, json!({"database": "away"})));
        count.load(Ordering::Relaxed)
    }

    #[tokio::test]
    async fn flood_of_readiness_requests_probes_once_in_the_age_of_an_answer() {
        assert_eq!(probes_of_a_flood(Duration::from_secs(3600)).await, 1);
        assert_eq!(probes_of_a_flood(Duration::ZERO).await, 51, "an old answer is not used");
    }
}
