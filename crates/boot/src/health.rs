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

use crate::Registry;

/// Checks that a service answers; the error is for the operator.
pub type Probe = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>> + Send + Sync>;

/// The three routes. `/readyz` is 200 when every probe succeeds, and otherwise 503 with the errors.
pub fn health_routes(registry: Registry, probes: Vec<(&'static str, Probe)>) -> Router {
    let probes = Arc::new(probes);
    Router::new()
        .route("/healthz", get(|| async { Json(json!({"status": "alive"})) }))
        .route("/readyz", get(move || ready(Arc::clone(&probes))))
        .route(
            "/metrics",
            get(move || async move { ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], registry.text()) }),
        )
}

async fn ready(probes: Arc<Vec<(&'static str, Probe)>>) -> Response {
    let mut parts = serde_json::Map::new();
    let mut status = StatusCode::OK;
    // Concurrently, so that an answer takes as long as the slowest probe.
    let running: Vec<_> = probes.iter().map(|(name, probe)| (*name, tokio::spawn(probe()))).collect();
    for (name, answer) in running {
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

/// Serves routes until shutdown, and finishes the requests under way.
pub async fn serve(listener: TcpListener, routes: Router, shutdown: CancellationToken) -> anyhow::Result<()> {
    axum::serve(listener, routes).with_graceful_shutdown(shutdown.cancelled_owned()).await?;
    Ok(())
}
