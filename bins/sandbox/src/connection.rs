//! A handle that cuts a connection, so that an answer is lost.

use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::sync::Arc;

use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use tokio::net::TcpListener;

/// Cuts a connection: all further writes fail. It is empty, and cuts nothing, when no file descriptor was free.
#[derive(Clone, Default)]
pub(crate) struct CutHandle(Option<Arc<TcpStream>>);

impl CutHandle {
    pub(crate) fn cut(&self) {
        // It fails when the caller has closed the connection, which is as good.
        let _ = self.0.as_ref().map(|socket| socket.shutdown(Shutdown::Both));
    }
}

impl Connected<IncomingStream<'_, TcpListener>> for CutHandle {
    fn connect_info(stream: IncomingStream<'_, TcpListener>) -> Self {
        // Without TCP_NODELAY an answer is only later.
        let _ = stream.io().set_nodelay(true);
        let socket = stream.io().as_fd().try_clone_to_owned().ok();
        Self(socket.map(|socket| Arc::new(socket.into())))
    }
}
