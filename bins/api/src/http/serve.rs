//! The server: accepts connections, and closes those of slow clients. It is the loop of `axum::serve`, which has no
//! time limits, with one for the head of the first request and one for the idle time between requests. `body` limits
//! bodies.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use axum::serve::Listener;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::limits::{ConnectionBudget, LimitSettings, Permit};

/// Settings of connections.
pub(crate) struct Connections {
    http: http1::Builder,
    first_head_within: Duration,
    budget: Arc<ConnectionBudget>,
}

impl Connections {
    /// hyper's head timeout counts the idle time between two requests and the head of the next one together.
    pub(crate) fn new(settings: &LimitSettings, budget: Arc<ConnectionBudget>) -> Self {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(settings.idle);
        Self { http, first_head_within: settings.first_head_within, budget }
    }

    /// Serves until shutdown; then requests under way finish, and idle connections are closed.
    pub(crate) async fn serve(&self, mut listener: TcpListener, routes: Router, shutdown: CancellationToken) {
        let under_way = GracefulShutdown::new();
        loop {
            // Errors of accept, such as too many open files, are temporary: axum's listener waits and retries.
            let (stream, peer) = tokio::select! {
                accepted = Listener::accept(&mut listener) => accepted,
                () = shutdown.cancelled() => break,
            };
            if let Some(permit) = self.budget.take(peer.ip()) {
                self.spawn(stream, peer, permit, routes.clone(), &under_way);
            }
        }
        drop(listener);
        under_way.shutdown().await;
    }

    fn spawn(&self, stream: TcpStream, peer: SocketAddr, permit: Permit, routes: Router, under_way: &GracefulShutdown) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "answers on this connection may be delayed");
        }
        let has_request = Arc::new(AtomicBool::new(false));
        let received = Arc::clone(&has_request);
        let service = routes.map_request(move |mut request: Request<Incoming>| {
            received.store(true, Ordering::Relaxed);
            request.extensions_mut().insert(ConnectInfo(peer));
            request.map(axum::body::Body::new)
        });
        let connection = self.http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
        let served = under_way.watch(connection);
        let first_head_within = self.first_head_within;
        tokio::spawn(async move {
            let _permit = permit;
            let mut served = pin!(served);
            let in_time = tokio::time::timeout(first_head_within, &mut served).await;
            let ended = match in_time {
                Ok(ended) => ended,
                Err(_) if has_request.load(Ordering::Relaxed) => served.await,
                Err(_) => return,
            };
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection ended");
            }
        });
    }
}
