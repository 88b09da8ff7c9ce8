//! A TCP proxy between a program and a server, which a test can close and open again.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Forwards connections while it is open; closing it cuts all of them and refuses new ones.
pub struct Proxy {
    /// Where it listens.
    pub address: SocketAddr,
    is_open: Arc<watch::Sender<bool>>,
}

impl Proxy {
    /// A proxy to `target`.
    pub async fn to(target: &str, is_open: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, receiver) = watch::channel(is_open);
        let target = target.to_owned();
        tokio::spawn(async move {
            while let Ok((inbound, _)) = listener.accept().await {
                tokio::spawn(forward(inbound, target.clone(), receiver.clone()));
            }
        });
        Self { address, is_open: Arc::new(sender) }
    }

    /// A proxy to the server of a URL, and the URL with the proxy in the server's place.
    pub async fn before(url: &str, is_open: bool) -> (Self, String) {
        let (scheme, rest) = url.split_once("://").expect("a URL");
        let (credentials, rest) = rest.rsplit_once('@').map_or(("", rest), |(before, after)| (before, after));
        let (server, path) = rest.split_once('/').unwrap_or((rest, ""));
        let proxy = Self::to(server, is_open).await;
        let at = if credentials.is_empty() { "" } else { "@" };
        let url = format!("{scheme}://{credentials}{at}{}/{path}", proxy.address);
        (proxy, url)
    }

    /// Lets connections through.
    pub fn open(&self) {
        self.is_open.send_replace(true);
    }

    /// Cuts all connections, and every new one.
    pub fn close(&self) {
        self.is_open.send_replace(false);
    }
}

async fn forward(mut inbound: TcpStream, target: String, mut is_open: watch::Receiver<bool>) {
    if !*is_open.borrow_and_update() {
        return;
    }
    let Ok(mut outbound) = TcpStream::connect(&target).await else { return };
    tokio::select! {
        _ = copy_bidirectional(&mut inbound, &mut outbound) => {}
        _ = is_open.wait_for(|is_open| !is_open) => {}
    }
}
