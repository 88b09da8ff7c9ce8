//! The server: accepts connections, and closes those of slow clients between two requests. It is the loop of
//! `axum::serve`, which has no limits of time, with those of `Connection`. `body` limits bodies.

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use axum::response::Response;
use axum::serve::Listener;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::body::RequestOwner;
use super::held_body::HeldBody;
use crate::limits::{Connection, ConnectionBudget, LimitSettings, UnderWay};

/// Bytes of an answer that the system buffers, which no budget counts. Left to itself, Linux takes up to 4 MiB.
const SEND_BUFFER: usize = 128 << 10;

/// Settings of connections.
pub(crate) struct Connections {
    http: http1::Builder,
    unread: Duration,
    budget: Arc<ConnectionBudget>,
}

impl Connections {
    pub(crate) fn new(settings: &LimitSettings, budget: Arc<ConnectionBudget>) -> Self {
        let mut http = http1::Builder::new();
        // `Connection::must_close` limits the idle time and the time for the next head together.
        http.header_read_timeout(None);
        Self { http, unread: settings.unread, budget }
    }

    /// Serves until shutdown; then requests under way finish, and idle connections are closed.
    pub(crate) async fn serve(&self, mut listener: TcpListener, routes: Router, shutdown: CancellationToken) {
        let open = TaskTracker::new();
        loop {
            // Errors of accept, such as too many open files, are temporary: axum's listener waits and retries.
            let (stream, peer) = tokio::select! {
                accepted = Listener::accept(&mut listener) => accepted,
                () = shutdown.cancelled() => break,
            };
            if let Some(connection) = self.budget.open(peer.ip(), shutdown.child_token()) {
                open.spawn(self.drive(stream, peer, connection, routes.clone()));
            }
        }
        drop(listener);
        open.close();
        open.wait().await;
    }

    /// Serves one connection until it ends, or until it must close and no request is under way.
    fn drive(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        connection: Connection,
        routes: Router,
    ) -> impl Future<Output = ()> + Send + use<> {
        let set = stream.set_nodelay(true);
        if let Err(error) = set.and_then(|()| SockRef::from(&stream).set_send_buffer_size(SEND_BUFFER)) {
            tracing::debug!(%error, "answers on this connection may be delayed, or their buffers large");
        }
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(self.unread));
        let connection = Arc::new(connection);
        let begun = Arc::clone(&connection);
        let service = service_fn(move |request| answer(request, peer, begun.begin(), routes.clone()));
        let served = self.http.serve_connection(TokioIo::new(Box::pin(stream)), service);
        async move {
            let mut served = pin!(served);
            let ended = tokio::select! {
                ended = &mut served => ended,
                () = connection.must_close() => {
                    served.as_mut().graceful_shutdown();
                    tokio::select! {
                        biased;
                        ended = &mut served => ended,
                        // hyper still waits for the rest of a first head, or for a client that reads nothing.
                        () = connection.has_no_request() => return,
                    }
                }
            };
            if let Err(error) = ended {
                let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
                if cause.is_some_and(|cause| cause.kind() == io::ErrorKind::TimedOut) {
                    connection.count_closed("unread");
                }
                tracing::debug!(%error, "a connection ended");
            }
        }
    }
}

/// Answers a request, which is under way until its body is read and its answer is written.
async fn answer(
    mut request: Request<Incoming>,
    peer: SocketAddr,
    under_way: UnderWay,
    routes: Router,
) -> Result<Response<HeldBody<axum::body::Body, UnderWay>>, Infallible> {
    let (owner, under_way) = (RequestOwner::default(), Arc::new(under_way));
    request.extensions_mut().insert(ConnectInfo(peer));
    request.extensions_mut().insert(owner.clone());
    let request = request.map(|body| HeldBody::new(body, Arc::clone(&under_way)));
    let response = routes.oneshot(request).await?;
    if owner.is_known() {
        under_way.record_credential();
    }
    Ok(response.map(|body| HeldBody::new(body, under_way)))
}
