//! The connections that requests come by, with the time limits that keep slow callers from holding them for ever.
//!
//! axum's own server sets none, so this is its loop with a timer: a new connection must say quickly what it wants, and one
//! that has been served may rest for a while. How long a body may take stands in `posted`.

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

use crate::limits::{LimitSettings, Limits, Part};

/// How connections are held.
pub(crate) struct Connections {
    http: http1::Builder,
    first_head_within: Duration,
    limits: Arc<Limits>,
}

impl Connections {
    /// hyper counts the rest between two requests and the head of the next one together.
    pub(crate) fn of(settings: &LimitSettings, limits: Arc<Limits>) -> Self {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(settings.idle);
        Self { http, first_head_within: settings.first_head_within, limits }
    }

    /// Serves until shutdown; then requests under way are finished, and resting connections are closed.
    pub(crate) async fn serve(&self, mut listener: TcpListener, routes: Router, shutdown: CancellationToken) {
        let under_way = GracefulShutdown::new();
        loop {
            // What goes wrong with accepting (too many open files) passes; axum's listener waits for that.
            let (stream, peer) = tokio::select! {
                accepted = Listener::accept(&mut listener) => accepted,
                () = shutdown.cancelled() => break,
            };
            if let Some(place) = self.limits.connection(peer.ip()) {
                self.hold(stream, peer, place, routes.clone(), &under_way);
            }
        }
        drop(listener);
        under_way.shutdown().await;
    }

    fn hold(&self, stream: TcpStream, peer: SocketAddr, place: Part, routes: Router, under_way: &GracefulShutdown) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "answers on this connection may be delayed");
        }
        let has_asked = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&has_asked);
        let service = routes.map_request(move |mut request: Request<Incoming>| {
            asked.store(true, Ordering::Relaxed);
            request.extensions_mut().insert(ConnectInfo(peer));
            request.map(axum::body::Body::new)
        });
        let connection = self.http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
        let served = under_way.watch(connection);
        let first_head_within = self.first_head_within;
        tokio::spawn(async move {
            let _held = place;
            let mut served = pin!(served);
            let in_time = tokio::time::timeout(first_head_within, &mut served).await;
            let ended = match in_time {
                Ok(ended) => ended,
                Err(_) if has_asked.load(Ordering::Relaxed) => served.await,
                Err(_) => return,
            };
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection ended");
            }
        });
    }
}
