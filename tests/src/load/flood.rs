//! A flood of requests with well-formed unknown keys, over raw sockets that take little of the processor.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const ADDRESSES: u8 = 4;
const CONNECTIONS: usize = 2;
/// Between two writes of one connection. The connections start at different times, so that requests arrive evenly.
const WRITE_INTERVAL: Duration = Duration::from_millis(8);

/// The answers to a flood.
#[derive(Clone, Copy, Debug, Default)]
pub struct FloodAnswers {
    /// All requests.
    pub made: usize,
    /// 401: looked up, and unknown.
    pub unknown: usize,
    /// 429: refused without a look-up.
    pub limited: usize,
    /// 503: too many requests under way.
    pub busy: usize,
    /// Requests a second.
    pub per_second: f64,
}

pub(super) struct Flood {
    started: Instant,
    counts: Arc<[AtomicUsize; 4]>,
    running: JoinSet<()>,
}

/// Starts a flood, which ends when `stop` is cancelled.
pub(super) fn start(api: &str, per_second: usize, stop: &CancellationToken) -> Flood {
    let api: SocketAddr = api.trim_start_matches("http://").parse().unwrap();
    let counts: Arc<[AtomicUsize; 4]> = Arc::default();
    let mut running = JoinSet::new();
    let connections = usize::from(ADDRESSES) * CONNECTIONS;
    for number in 0..connections {
        let (counts, stop) = (Arc::clone(&counts), stop.clone());
        let last = u8::try_from(number / CONNECTIONS).unwrap() + 1;
        running.spawn(async move {
            let socket = connect(api, last).await;
            let (read, write) = socket.into_split();
            tokio::time::sleep(WRITE_INTERVAL * u32::try_from(number).unwrap() / u32::try_from(connections).unwrap())
                .await;
            let posting = post(write, number, per_second.div_ceil(connections));
            let reading = count(read, &counts);
            tokio::select! {
                () = posting => {}
                () = reading => {}
                () = stop.cancelled() => {}
            }
        });
    }
    Flood { started: Instant::now(), counts, running }
}

impl Flood {
    pub(super) async fn wait_for_end(mut self) -> FloodAnswers {
        let took = self.started.elapsed();
        while let Some(ended) = self.running.join_next().await {
            ended.unwrap();
        }
        let [unknown, limited, busy, others] = [0, 1, 2, 3].map(|place| self.counts[place].load(Ordering::Relaxed));
        let made = unknown + limited + busy + others;
        assert_eq!(others, 0, "other answers to bad requests");
        FloodAnswers { made, unknown, limited, busy, per_second: made as f64 / took.as_secs_f64() }
    }
}

async fn connect(api: SocketAddr, last: u8) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from(([127, 0, 0, last], 0))).unwrap();
    let stream = socket.connect(api).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Each request has another key. The requests of one interval are one write.
async fn post(mut write: OwnedWriteHalf, connection: usize, per_second: usize) {
    let (started, mut made) = (Instant::now(), 0);
    let mut interval = tokio::time::interval(WRITE_INTERVAL);
    loop {
        interval.tick().await;
        let due = started.elapsed().as_millis() as usize * per_second / 1000;
        let mut text = String::new();
        while made < due {
            let key = format!("regua_{:0>8}_{:0>43}", made % 100_000_000, connection);
            text.push_str("GET /api/v1/billing/queues HTTP/1.1\r\nHost: a\r\nX-Billing-API-Key: ");
            text.push_str(&key);
            text.push_str("\r\n\r\n");
            made += 1;
        }
        if write.write_all(text.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// Counts the answers by status line. A read may end within a line.
async fn count(mut read: OwnedReadHalf, counts: &[AtomicUsize; 4]) {
    const LINE: &[u8] = b"HTTP/1.1 ";
    let (mut buffer, mut rest) = (vec![0; 64 << 10], Vec::new());
    while let Ok(length @ 1..) = read.read(&mut buffer).await {
        rest.extend_from_slice(&buffer[..length]);
        let mut place = 0;
        while let Some(found) = rest[place..].windows(LINE.len() + 3).position(|window| window.starts_with(LINE)) {
            let status = place + found + LINE.len();
            let kind = match &rest[status..status + 3] {
                b"401" => 0,
                b"429" => 1,
                b"503" => 2,
                _ => 3,
            };
            counts[kind].fetch_add(1, Ordering::Relaxed);
            place = status + 3;
        }
        let keep = rest.len().saturating_sub(LINE.len() + 2).max(place);
        rest.drain(..keep);
    }
}
