//! `/healthz`, `/readyz` and `/metrics`, the same for every process.

use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::Metrics;

/// Asks whether something that the process needs answers; the error is for the operator.
pub type Probe = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>> + Send + Sync>;

/// The three routes. `/readyz` is 200 when every probe succeeds, and else 503 naming those that did not.
pub fn health_routes(metrics: Metrics, probes: Vec<(&'static str, Probe)>) -> Router {
    let probes = Arc::new(probes);
    Router::new()
        .route("/healthz", get(|| async { Json(json!({"status": "alive"})) }))
        .route("/readyz", get(move || ready(Arc::clone(&probes))))
        .route(
            "/metrics",
            get(move || async move { ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], metrics.text()) }),
        )
}

async fn ready(probes: Arc<Vec<(&'static str, Probe)>>) -> Response {
    let mut parts = serde_json::Map::new();
    let mut status = StatusCode::OK;
    // All at once: an operator's look takes as long as the slowest, not as all of them.
    let asked: Vec<_> = probes.iter().map(|(name, probe)| (*name, tokio::spawn(probe()))).collect();
    for (name, answer) in asked {
        let answer = match answer.await.map_err(anyhow::Error::from).and_then(|answer| answer) {
            Ok(()) => "ok".to_owned(),
            Err(error) => {
                status = StatusCode::SERVICE_UNAVAILABLE;
                format!("{error:#}")
            }
        };
        parts.insert(name.to_owned(), answer.into());
    }
    (status, Json(json!({"ready": status == StatusCode::OK, "parts": parts}))).into_response()
}

/// Serves routes until shutdown; requests under way are finished.
///
/// # Errors
/// When the listener fails.
pub async fn serve(listener: TcpListener, routes: Router, shutdown: CancellationToken) -> anyhow::Result<()> {
    axum::serve(listener, routes).with_graceful_shutdown(shutdown.cancelled_owned()).await?;
    Ok(())
}
