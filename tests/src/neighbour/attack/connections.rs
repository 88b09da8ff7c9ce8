//! Connections that are held: slow bodies, answers that are not read, and idle connections.

use std::net::IpAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep, sleep_until, timeout_at};

use super::Target;
use super::batches::{SEND, batch, much_later};
use super::load::Answers;
use super::wire::{address, ask, connect, connect_with_buffer, head, status};

pub(super) async fn post_slow_webhooks(target: &Target) -> String {
    let line = format!("POST {}", target.webhook);
    let head = head(&line, &[("X-Regua-Webhook-Secret", &target.webhook_secret)], 1000);
    hold_slow_bodies(target, target.divided(540), &head, |_| address(0)).await
}

/// From eighteen addresses, whatever the attack's size.
pub(super) async fn post_slow_logins(target: &Target) -> String {
    let head = head("POST /api/v1/auth/login", &[], 1000);
    hold_slow_bodies(target, target.divided(540), &head, |n| address(n % 18)).await
}

/// Begins this number of requests, and another one a second after each that ends.
async fn hold_slow_bodies(target: &Target, count: usize, head: &str, from: impl Fn(usize) -> IpAddr) -> String {
    let end = Instant::now() + target.seconds(15);
    let mut running = JoinSet::new();
    for n in 0..count {
        let (api, from, begin) = (target.api, from(n), format!("{head}{{"));
        running.spawn(async move {
            let mut answers = Vec::new();
            while Instant::now() < end {
                if let Ok(mut stream) = connect(api, from).await
                    && stream.write_all(begin.as_bytes()).await.is_ok()
                {
                    answers.push(trickle(&mut stream, end).await);
                }
                sleep(Duration::from_secs(1)).await;
            }
            answers
        });
    }
    let mut all = Answers::default();
    for answers in running.join_all().await {
        answers.into_iter().for_each(|answer| all.add(answer));
    }
    format!("{count} slow bodies: {all}")
}

/// Writes a space a second until an answer arrives.
async fn trickle(stream: &mut TcpStream, end: Instant) -> Option<u16> {
    let (mut read, mut write) = stream.split();
    let trickle = async {
        let mut ticks = interval(Duration::from_secs(1));
        loop {
            ticks.tick().await;
            if write.write_all(b" ").await.is_err() {
                return;
            }
        }
    };
    let mut line = [0; 12];
    let answered = async {
        tokio::select! {
            answer = read.read_exact(&mut line) => answer.is_ok(),
            () = trickle => false,
        }
    };
    let is_answered = timeout_at(end, answered).await.unwrap_or(false);
    is_answered.then(|| std::str::from_utf8(&line[9..]).ok()?.parse().ok()).flatten()
}

/// Stores a batch whose contacts have as much metadata as allowed; returns the path of its page.
pub(super) async fn store_large_contacts(target: &Target) -> String {
    let client = crate::Client::new(&format!("http://{}", target.api), &target.key);
    let metadata = format!(r#","metadata":{{"a":"{}"}}"#, "x".repeat(10_000));
    let body = batch("paginas", 1000, &much_later(), &metadata);
    let (_, path) = SEND.split_once(' ').unwrap();
    let answer = client.post_raw(path, "application/json", body.into_bytes()).await;
    let queue = answer.body["queue_id"].as_str().unwrap_or_else(|| panic!("{:#}", answer.body)).to_owned();
    format!("/api/v1/billing/queue/{queue}/contacts?limit=1000")
}

pub(super) async fn leave_pages_unread(target: &Target) -> String {
    let request = target.with_key(&format!("GET {}", target.prepared), b"");
    let mut held = Vec::new();
    for _ in 0..target.divided(100) {
        if let Ok(mut stream) = connect_with_buffer(target.api, address(0), Some(4096)).await
            && stream.write_all(&request).await.is_ok()
        {
            held.push(stream);
        }
    }
    sleep(target.seconds(15)).await;
    let mut answers = Answers::default();
    for mut stream in held {
        answers.add(status(&mut stream).await);
    }
    answers.to_string()
}

pub(super) async fn stay_idle(target: &Target) -> String {
    let end = Instant::now() + target.seconds(15);
    let request = head("GET /healthz", &[], 0);
    let mut held = Vec::new();
    for n in 0..target.divided(4096) {
        if let Ok(mut stream) = connect(target.api, address(n % 4)).await
            && stream.write_all(request.as_bytes()).await.is_ok()
            && status(&mut stream).await.is_some()
        {
            held.push(stream);
        }
    }
    let opened = held.len();
    sleep_until(end).await;
    let open = held.iter().filter(|stream| is_open(stream)).count();
    let another = ask(target.api, address(9), request.into_bytes()).await;
    format!("{opened} connections opened, {open} still open; another address then gets {another:?}")
}

/// The rest of the last answer may be there.
fn is_open(stream: &TcpStream) -> bool {
    let mut rest = [0; 4096];
    loop {
        match stream.try_read(&mut rest) {
            Ok(0) => return false,
            Ok(_) => {}
            Err(error) => return error.kind() == std::io::ErrorKind::WouldBlock,
        }
    }
}
