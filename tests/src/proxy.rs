//! A TCP proxy between a program and a server, which closes, delays, loses, resets, half-closes or redirects
//! connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::RoundTrips;
use crate::round_trips::Reader;

/// Forwards connections while it is open. Closing it cuts all connections and refuses new ones.
pub struct Proxy {
    /// The proxy's address.
    pub address: SocketAddr,
    /// The round trips of its connections, if they are to PostgreSQL.
    pub round_trips: RoundTrips,
    network: Arc<watch::Sender<Network>>,
}

/// The state of the network. Events are counted, so that a connection applies only the events since its beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Network {
    target: String,
    is_open: bool,
    delay: Duration,
    is_black_hole: bool,
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
        let (network, receiver) = watch::channel(Network {
            target,
            is_open,
            delay,
            is_black_hole: false,
            cuts: 0,
            resets: 0,
            half_closes: 0,
        });
        let round_trips = RoundTrips::default();
        let counted = round_trips.clone();
        tokio::spawn(async move {
            while let Ok((inbound, _)) = listener.accept().await {
                tokio::spawn(forward(inbound, receiver.clone(), counted.reader()));
            }
        });
        Self { address, round_trips, network: Arc::new(network) }
    }

    /// A proxy to the server of a URL, and the URL with the proxy's address instead.
    pub async fn in_front_of(url: &str, is_open: bool) -> (Self, String) {
        let proxy = Self::to(&server_of(url), is_open).await;
        let url = url.replacen(&server_of(url), &proxy.address.to_string(), 1);
        (proxy, url)
    }

    /// Forwards new connections.
    pub fn open(&self) {
        self.network.send_modify(|network| network.is_open = true);
    }

    /// Cuts all connections and refuses new ones.
    pub fn close(&self) {
        self.network.send_modify(|network| network.is_open = false);
    }

    /// Delays all data, in both directions.
    pub fn delay(&self, delay: Duration) {
        self.network.send_modify(|network| network.delay = delay);
    }

    /// Drops all data. A connection that lost data stays silent also after [`Self::heal`], as behind a firewall.
    pub fn drop_silently(&self) {
        self.network.send_modify(|network| network.is_black_hole = true);
    }

    /// Ends the delay and the loss of data.
    pub fn heal(&self) {
        self.network.send_modify(|network| {
            network.delay = Duration::ZERO;
            network.is_black_hole = false;
        });
    }

    /// Resets all present connections on both sides. New ones are forwarded.
    pub fn reset(&self) {
        self.network.send_modify(|network| network.resets += 1);
    }

    /// Closes the direction to the server in all present connections; data from the server is forwarded.
    pub fn half_close(&self) {
        self.network.send_modify(|network| network.half_closes += 1);
    }

    /// Cuts all connections and forwards new ones to the server of this URL.
    pub fn redirect(&self, url: &str) {
        self.network.send_modify(|network| {
            network.target = server_of(url);
            network.cuts += 1;
        });
    }
}

fn server_of(url: &str) -> String {
    let (_, rest) = url.split_once("://").expect("a URL");
    let (_, rest) = rest.rsplit_once('@').unwrap_or(("", rest));
    rest.split(['/', '?']).next().unwrap_or(rest).to_owned()
}

async fn forward(mut inbound: TcpStream, mut network: watch::Receiver<Network>, reader: Reader) {
    let at_first = network.borrow_and_update().clone();
    if !at_first.is_open {
        return;
    }
    let Ok(mut outbound) = TcpStream::connect(&at_first.target).await else { return };
    let (from_client, to_client) = inbound.split();
    let (from_server, to_server) = outbound.split();
    let has_lost = AtomicBool::new(false);
    let both_directions = async {
        tokio::join!(
            pump(from_client, to_server, network.clone(), &has_lost, Some((at_first.half_closes, reader))),
            pump(from_server, to_client, network.clone(), &has_lost, None),
        )
    };
    let mut watched = network.clone();
    let is_over = |now: &Network| !now.is_open || now.cuts != at_first.cuts || now.resets != at_first.resets;
    tokio::select! {
        _ = both_directions => {}
        _ = watched.wait_for(is_over) => {}
    }
    if network.borrow().resets != at_first.resets {
        for stream in [inbound, outbound] {
            let _already_closed = stream.set_zero_linger();
        }
    }
}

/// Forwards one direction. `client` is the count of half-closes at the beginning, and the reader of the client's
/// messages; none: the direction is the server's, and never half-closed.
async fn pump(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut network: watch::Receiver<Network>,
    has_lost: &AtomicBool,
    mut client: Option<(u64, Reader)>,
) {
    let half_closes = client.as_ref().map(|(count, _)| *count);
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = tokio::select! {
            read = from.read(&mut buffer) => read.unwrap_or(0),
            _ = network.wait_for(|now| half_closes.is_some_and(|before| now.half_closes != before)) => 0,
        };
        let Network { delay, is_black_hole, .. } = *network.borrow();
        if has_lost.fetch_or(is_black_hole, Ordering::Relaxed) || is_black_hole {
            // The end of the connection is lost too.
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
        if let Some((_, reader)) = &mut client {
            reader.read(&buffer[..read]);
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
