//! A TCP proxy between a program and a server, with which a test spoils the network between them: cut, refused, slow,
//! silent, reset, half closed, or leading somewhere else.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Forwards connections while it is open; closing it cuts all of them and refuses new ones.
pub struct Proxy {
    /// Where it listens.
    pub address: SocketAddr,
    network: Arc<watch::Sender<Network>>,
}

/// What the network does at the moment. What happened to the connections of a moment is counted, so that each of them
/// can see whether it was there already.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Network {
    target: String,
    is_open: bool,
    delay: Duration,
    swallows: bool,
    cuts: u64,
    resets: u64,
    half_closes: u64,
}

impl Proxy {
    /// A proxy to `target`.
    pub async fn to(target: &str, is_open: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (target, delay) = (target.to_owned(), Duration::ZERO);
        let (network, receiver) =
            watch::channel(Network { target, is_open, delay, swallows: false, cuts: 0, resets: 0, half_closes: 0 });
        tokio::spawn(async move {
            while let Ok((inbound, _)) = listener.accept().await {
                tokio::spawn(forward(inbound, receiver.clone()));
            }
        });
        Self { address, network: Arc::new(network) }
    }

    /// A proxy to the server of a URL, and the URL with the proxy in the server's place.
    pub async fn before(url: &str, is_open: bool) -> (Self, String) {
        let proxy = Self::to(&server_of(url), is_open).await;
        let url = url.replacen(&server_of(url), &proxy.address.to_string(), 1);
        (proxy, url)
    }

    /// Lets connections through.
    pub fn open(&self) {
        self.network.send_modify(|network| network.is_open = true);
    }

    /// Cuts all connections, and every new one.
    pub fn close(&self) {
        self.network.send_modify(|network| network.is_open = false);
    }

    /// Whatever is on its way takes so much longer, in both directions.
    pub fn delay(&self, delay: Duration) {
        self.network.send_modify(|network| network.delay = delay);
    }

    /// A black hole: what is sent is lost, and nobody is told. A connection that lost something stays silent for ever,
    /// as behind a firewall that has forgotten it, also when the proxy has healed.
    pub fn drop_silently(&self) {
        self.network.send_modify(|network| network.swallows = true);
    }

    /// No delay, no black hole.
    pub fn heal(&self) {
        self.network.send_modify(|network| {
            network.delay = Duration::ZERO;
            network.swallows = false;
        });
    }

    /// Ends all present connections with RST, on both sides. New ones go through.
    pub fn reset(&self) {
        self.network.send_modify(|network| network.resets += 1);
    }

    /// Shuts the way to the server of all present connections; what the server says still arrives.
    pub fn half_close(&self) {
        self.network.send_modify(|network| network.half_closes += 1);
    }

    /// Cuts all connections; new ones go to the server of this URL.
    pub fn redirect(&self, url: &str) {
        self.network.send_modify(|network| {
            network.target = server_of(url);
            network.cuts += 1;
        });
    }
}

/// Host and port of a URL.
fn server_of(url: &str) -> String {
    let (_, rest) = url.split_once("://").expect("a URL");
    let (_, rest) = rest.rsplit_once('@').unwrap_or(("", rest));
    rest.split(['/', '?']).next().unwrap_or(rest).to_owned()
}

async fn forward(mut inbound: TcpStream, mut network: watch::Receiver<Network>) {
    let at_first = network.borrow_and_update().clone();
    if !at_first.is_open {
        return;
    }
    let Ok(mut outbound) = TcpStream::connect(&at_first.target).await else { return };
    let (from_client, to_client) = inbound.split();
    let (from_server, to_server) = outbound.split();
    let has_lost = AtomicBool::new(false);
    let to_and_fro = async {
        tokio::join!(
            pump(from_client, to_server, network.clone(), &has_lost, Some(at_first.half_closes)),
            pump(from_server, to_client, network.clone(), &has_lost, None),
        )
    };
    let mut watched = network.clone();
    let is_over = |now: &Network| !now.is_open || now.cuts != at_first.cuts || now.resets != at_first.resets;
    tokio::select! {
        _ = to_and_fro => {}
        _ = watched.wait_for(is_over) => {}
    }
    if network.borrow().resets != at_first.resets {
        for stream in [inbound, outbound] {
            let _already_closed = stream.set_zero_linger();
        }
    }
}

/// One direction, until its end. `half_closes`: as many as there were when the connection was made.
async fn pump(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut network: watch::Receiver<Network>,
    has_lost: &AtomicBool,
    half_closes: Option<u64>,
) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = tokio::select! {
            read = from.read(&mut buffer) => read.unwrap_or(0),
            _ = network.wait_for(|now| half_closes.is_some_and(|before| now.half_closes != before)) => 0,
        };
        let Network { delay, swallows, .. } = *network.borrow();
        if has_lost.fetch_or(swallows, Ordering::Relaxed) || swallows {
            // The end is lost, too: nobody is told of it.
            if read == 0 {
                return std::future::pending().await;
            }
            continue;
        }
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        if read == 0 {
            let _already_closed = to.shutdown().await;
            return;
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
