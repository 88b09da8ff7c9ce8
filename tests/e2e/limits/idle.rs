//! Open connections, through raw sockets: their budget, and how long one may be idle.

use std::time::{Duration, Instant};

use regua_api::TrustedProxies;
use regua_tests::{Fleet, TenantOptions, eventually};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use super::only_the_api;

const PROBE: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";

async fn connect_from(fleet: &Fleet, address: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{address}:0").parse().unwrap()).unwrap();
    socket.connect(fleet.api.trim_start_matches("http://").parse().unwrap()).await.unwrap()
}

/// Sends a request and reads its answer. None: the server closed the connection.
async fn ask(stream: &mut TcpStream, request: &[u8]) -> Option<String> {
    // A closed connection may be reset before the write.
    stream.write_all(request).await.ok()?;
    let mut answer = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&answer);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            if body.len() == length.parse::<usize>().unwrap() {
                return Some(text.into_owned());
            }
        }
        if stream.read_buf(&mut answer).await.ok()? == 0 {
            return None;
        }
    }
}

/// A connection of this address that has answered a probe. None: the server closed it.
async fn probe_from(fleet: &Fleet, address: &str) -> Option<TcpStream> {
    let mut stream = connect_from(fleet, address).await;
    ask(&mut stream, PROBE).await.map(|_| stream)
}

/// Whether the connection still answers.
async fn answers(stream: &mut TcpStream) -> bool {
    ask(stream, PROBE).await.is_some()
}

/// Reads until the server closes the connection. Returns what was read, and the time it took.
async fn read_to_end(socket: &mut TcpStream) -> (String, Duration) {
    let (started, mut read) = (Instant::now(), Vec::new());
    let reading = tokio::time::timeout(Duration::from_secs(20), socket.read_to_end(&mut read)).await;
    let _closed_or_reset = reading.expect("the server closes the connection");
    (String::from_utf8_lossy(&read).into_owned(), started.elapsed())
}

fn request_with_key(key: &str) -> Vec<u8> {
    format!("GET /api/v1/billing/queues HTTP/1.1\r\nHost: a\r\nX-Billing-API-Key: {key}\r\n\r\n").into_bytes()
}

#[tokio::test]
async fn connection_without_timely_request_head_is_closed() {
    let options = only_the_api(|api| api.limits.idle_before_credential = Duration::from_millis(400));
    let (fleet, tenant, _) = Fleet::with(options, TenantOptions::default()).await;
    for head in ["", "GET /healthz HTTP/1.1\r\nHost: a\r\nX-Slow: "] {
        let mut socket = connect_from(&fleet, "127.0.0.1").await;
        socket.write_all(head.as_bytes()).await.unwrap();
        let (read, took) = read_to_end(&mut socket).await;
        assert_eq!(read, "");
        assert!(took > Duration::from_millis(300) && took < Duration::from_secs(10), "{took:?}");
    }
    let mut with_key = connect_from(&fleet, "127.0.0.1").await;
    assert!(ask(&mut with_key, &request_with_key(&tenant.key)).await.unwrap().starts_with("HTTP/1.1 200"));
    // A probe and a wrong key are no credential.
    let mut without = probe_from(&fleet, "127.0.0.1").await.unwrap();
    assert!(ask(&mut without, &request_with_key("wrong")).await.unwrap().starts_with("HTTP/1.1 401"));
    read_to_end(&mut without).await;
    assert!(answers(&mut with_key).await, "a connection that had a valid key has the long limit");
    assert!(fleet.metrics.api.connections_closed.with_label_values(&["idle"]).get() >= 3);
    fleet.end().await;
}

#[tokio::test]
async fn idle_connection_is_closed() {
    let options = only_the_api(|api| {
        api.limits.idle_before_credential = Duration::from_millis(300);
        api.limits.idle = Duration::from_millis(900);
    });
    let (fleet, tenant, _) = Fleet::with(options, TenantOptions::default()).await;
    let mut socket = connect_from(&fleet, "127.0.0.1").await;
    for _ in 0..3 {
        assert!(ask(&mut socket, &request_with_key(&tenant.key)).await.is_some(), "the connection is still open");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // The next request's head stays incomplete.
    socket.write_all(b"GET /healthz HTTP/1.1\r\nX-").await.unwrap();
    let (_, took) = read_to_end(&mut socket).await;
    assert!(took > Duration::from_millis(500) && took < Duration::from_secs(4), "{took:?}");
    fleet.end().await;
}

#[tokio::test]
async fn new_connection_closes_the_longest_idle_one_of_the_address_with_the_most() {
    let options = only_the_api(|api| api.limits.connections = 16);
    let (fleet, tenant, _) = Fleet::with(options, TenantOptions::default()).await;
    // An address with its quarter loses its own longest-idle connection, and no other address loses one.
    let mut neighbour = probe_from(&fleet, "127.0.0.3").await.unwrap();
    let mut own = Vec::new();
    for _ in 0..5 {
        own.push(probe_from(&fleet, "127.0.0.2").await.expect("a connection of an address with its quarter"));
    }
    assert!(!answers(&mut own[0]).await && answers(&mut own[1]).await && answers(&mut neighbour).await);
    // Four addresses hold everything, half of it without a byte or with half a head.
    let mut held = Vec::new();
    for address in ["127.0.0.2", "127.0.0.4", "127.0.0.5", "127.0.0.6"] {
        for n in 0..4 {
            let mut stream = connect_from(&fleet, address).await;
            stream.write_all(if n % 2 == 0 { b"" } else { b"GET /healthz HTTP/1.1\r\nHo" }).await.unwrap();
            held.push(stream);
        }
    }
    let mut victims = vec![neighbour];
    for n in 10..18 {
        let mut victim = connect_from(&fleet, &format!("127.0.0.{n}")).await;
        let answer = ask(&mut victim, &request_with_key(&tenant.key)).await.expect("a connection of another address");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        victims.push(victim);
    }
    for victim in &mut victims {
        assert!(answers(victim).await, "connections of addresses with fewer stay open");
    }
    assert!(fleet.metrics.api.connections_closed.with_label_values(&["room"]).get() >= 9);
    fleet.end_unfinished().await;
}

/// Sends the head of a post and the first byte of its body.
async fn begin_post(fleet: &Fleet, address: &str, key: &str) -> TcpStream {
    let mut stream = connect_from(fleet, address).await;
    let head = format!(
        "POST /api/v1/billing/send/overdue HTTP/1.1\r\nHost: a\r\nX-Billing-API-Key: {key}\r\n\
         Content-Type: application/json\r\nContent-Length: 10\r\n\r\n{{"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn connection_with_a_request_under_way_is_not_closed_for_another() {
    let options = only_the_api(|api| {
        api.limits.connections = 4;
        api.limits.trusted_proxies = "127.0.0.9".parse::<TrustedProxies>().unwrap();
    });
    let (fleet, tenant, client) = Fleet::with(options, TenantOptions::default()).await;
    drop(client);
    let mut under_way = begin_post(&fleet, "127.0.0.2", &tenant.key).await;
    // A trusted proxy may be sending a request on an idle connection.
    let mut of_proxy = [probe_from(&fleet, "127.0.0.9").await.unwrap(), probe_from(&fleet, "127.0.0.9").await.unwrap()];
    eventually("the request to be under way", async || probe_from(&fleet, "127.0.0.2").await.is_none()).await;
    for n in 10..14 {
        assert!(probe_from(&fleet, &format!("127.0.0.{n}")).await.is_some(), "the only idle connection is closed");
    }
    let refused = fleet.metrics.api.requests_refused.with_label_values(&["connections"]).get();
    assert!(refused >= 1, "an address whose request is under way has no idle connection to close");
    for stream in &mut of_proxy {
        assert!(answers(stream).await);
    }
    let answer = ask(&mut under_way, b"        }").await.expect("an answer on the connection");
    assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    fleet.end_unfinished().await;
}
