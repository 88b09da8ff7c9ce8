//! Many requests: a flood over few connections, and exports that read much.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, timeout_at};

use super::Target;
use super::batches::{SEND, batch, much_later};
use super::load::{Answers, Load};
use super::wire::{address, ask, connect};

/// Batches of 10,000 contacts that an export searches.
const SEARCHED: usize = 5;
const ADDRESSES: usize = 4;
const CONNECTIONS: usize = 8;
/// Between two writes of one connection. The requests of one interval are one write.
const WRITE_INTERVAL: Duration = Duration::from_millis(8);

/// Requests that follow each other on a few connections without waiting for answers.
pub(super) struct Flood {
    pub(super) per_second: usize,
    pub(super) time: Duration,
}

impl Flood {
    /// `request` makes the text of a connection's n-th request.
    pub(super) async fn run(
        self,
        api: SocketAddr,
        request: impl Fn(usize, usize) -> String + Clone + Send + Sync + 'static,
    ) -> String {
        let end = Instant::now() + self.time;
        let (answers, mut running) = (Arc::new(Mutex::new(Answers::default())), JoinSet::new());
        for connection in 0..CONNECTIONS {
            let (answers, request) = (Arc::clone(&answers), request.clone());
            running.spawn(async move {
                while Instant::now() < end
                    && let Ok(stream) = connect(api, address(connection % ADDRESSES)).await
                {
                    let (read, write) = stream.into_split();
                    let writing = write_requests(write, self.per_second / CONNECTIONS, |n| request(connection, n));
                    let _time_over = timeout_at(end, async {
                        tokio::select! {
                            () = writing => {}
                            () = count(read, &answers) => {}
                        }
                    })
                    .await;
                }
            });
        }
        running.join_all().await;
        let answers = answers.lock().unwrap();
        answers.to_string()
    }
}

async fn write_requests(mut write: OwnedWriteHalf, per_second: usize, request: impl Fn(usize) -> String) {
    let (begun, mut made, mut ticks) = (Instant::now(), 0, interval(WRITE_INTERVAL));
    loop {
        ticks.tick().await;
        let due = begun.elapsed().as_millis() as usize * per_second / 1000;
        let text: String = (made..due).map(&request).collect();
        made = due;
        if write.write_all(text.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// Counts the answers by status line. A read may end within a line.
async fn count(mut read: OwnedReadHalf, answers: &Mutex<Answers>) {
    const LINE: &[u8] = b"HTTP/1.1 ";
    let (mut buffer, mut rest) = (vec![0; 64 << 10], Vec::new());
    while let Ok(length @ 1..) = read.read(&mut buffer).await {
        rest.extend_from_slice(&buffer[..length]);
        let mut place = 0;
        while let Some(found) = rest[place..].windows(LINE.len() + 3).position(|window| window.starts_with(LINE)) {
            let status = place + found + LINE.len();
            place = status + 3;
            answers
                .lock()
                .unwrap()
                .add(std::str::from_utf8(&rest[status..place]).ok().and_then(|text| text.parse().ok()));
        }
        let unread = rest.len().saturating_sub(LINE.len() + 2).max(place);
        rest.drain(..unread);
    }
}

pub(super) async fn use_wrong_methods(target: &Target) -> String {
    let flood = Flood { per_second: target.divided(1600), time: target.seconds(10) };
    flood.run(target.api, |_, _| "DELETE /api/v1/billing/queues HTTP/1.1\r\nHost: a\r\n\r\n".to_owned()).await
}

/// Stores batches that are not sent in this run.
pub(super) async fn store_contacts(target: &Target) -> String {
    let client = crate::Client::new(&format!("http://{}", target.api), &target.key);
    let (_, path) = SEND.split_once(' ').unwrap();
    for n in 0..SEARCHED {
        let body = batch(&format!("procurado-{n}"), target.divided(10_000), &much_later(), "");
        let answer = client.post_raw(path, "application/json", body.into_bytes()).await;
        assert_eq!(answer.status, reqwest::StatusCode::ACCEPTED, "{:#}", answer.body);
    }
    String::new()
}

pub(super) async fn export_debtors(target: &Target) -> String {
    let load = Load { count: 10_000, at_once: 60, over: Duration::ZERO, at_most: Duration::from_secs(12) };
    let request = target.as_owner("POST /api/v1/admin/debtors/export", br#"{"phone":"+5511910000001"}"#);
    load.run(|n| ask(target.api, address(n % 4), request.clone())).await.to_string()
}
