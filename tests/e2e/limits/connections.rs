//! Slow and many connections, through raw sockets: each uses a limited budget for a limited time.

use std::time::{Duration, Instant};

use regua_tests::{Client, Fleet, Tenant, TenantOptions, batch, eventually};
use reqwest::{Method, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use super::{list_queues, only_the_api};

async fn connect(fleet: &Fleet) -> TcpStream {
    TcpStream::connect(fleet.api.trim_start_matches("http://")).await.unwrap()
}

/// Reads until the server closes the connection. Returns what was read, and the time it took.
async fn read_to_end(socket: &mut TcpStream) -> (String, Duration) {
    let (started, mut read) = (Instant::now(), Vec::new());
    let reading = tokio::time::timeout(Duration::from_secs(20), socket.read_to_end(&mut read)).await;
    let _closed_or_reset = reading.expect("the server closes the connection");
    (String::from_utf8_lossy(&read).into_owned(), started.elapsed())
}

#[tokio::test]
async fn connection_without_timely_request_head_is_closed() {
    let options = only_the_api(|api| api.limits.first_head_within = Duration::from_millis(400));
    let (fleet, _, client) = Fleet::with(options, TenantOptions::default()).await;
    for head in ["", "GET /healthz HTTP/1.1\r\nHost: a\r\nX-Slow: "] {
        let mut socket = connect(&fleet).await;
        socket.write_all(head.as_bytes()).await.unwrap();
        let (read, took) = read_to_end(&mut socket).await;
        assert_eq!(read, "");
        assert!(took > Duration::from_millis(300) && took < Duration::from_secs(10), "{took:?}");
    }
    let patient = client.request(Method::GET, "/healthz").send().await.unwrap();
    assert_eq!(patient.status(), StatusCode::OK);
    fleet.end().await;
}

#[tokio::test]
async fn connections_are_limited_and_one_address_gets_a_quarter() {
    let options = only_the_api(|api| api.limits.connections = 16);
    let (fleet, ..) = Fleet::with(options, TenantOptions::default()).await;
    let from = async |address: &str| {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(format!("{address}:0").parse().unwrap()).unwrap();
        let mut stream = socket.connect(fleet.api.trim_start_matches("http://").parse().unwrap()).await.unwrap();
        // A closed connection may be reset before the write.
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").await.ok()?;
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.ok()?;
        answer.starts_with(b"HTTP/1.1 200").then_some(stream)
    };
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(from("127.0.0.2").await.expect("a connection within the address's budget"));
    }
    assert!(from("127.0.0.2").await.is_none(), "the address has used up its quarter");
    held.push(from("127.0.0.3").await.expect("a connection of another address"));
    held.remove(0);
    eventually("the closed connection's permit to be free", async || match from("127.0.0.2").await {
        Some(stream) => {
            held.push(stream);
            true
        }
        None => false,
    })
    .await;
    let mut refused = 0;
    for address in ["127.0.0.4", "127.0.0.5", "127.0.0.6", "127.0.0.7"] {
        for _ in 0..4 {
            match from(address).await {
                Some(stream) => held.push(stream),
                None => refused += 1,
            }
        }
    }
    assert!(held.len() <= 16 && refused >= 5, "{} connections are open, {refused} were refused", held.len());
    fleet.end_unfinished().await;
}

#[tokio::test]
async fn idle_connection_is_closed() {
    let options = only_the_api(|api| api.limits.idle = Duration::from_millis(600));
    let (fleet, ..) = Fleet::with(options, TenantOptions::default()).await;
    let mut socket = connect(&fleet).await;
    for _ in 0..3 {
        socket.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"}") {
            assert_ne!(socket.read_buf(&mut answer).await.unwrap(), 0, "the connection is still open");
        }
        assert!(answer.starts_with(b"HTTP/1.1 200"));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // The next request's head stays incomplete.
    socket.write_all(b"GET /healthz HTTP/1.1\r\nX-").await.unwrap();
    let (_, took) = read_to_end(&mut socket).await;
    assert!(took < Duration::from_secs(10), "{took:?}");
    fleet.end().await;
}

/// Sends the head of a post and the first byte of its body.
async fn begin_post(fleet: &Fleet, key: &str, length: usize) -> TcpStream {
    let mut socket = connect(fleet).await;
    let head = format!(
        "POST /api/v1/billing/send/overdue HTTP/1.1\r\nHost: a\r\nX-Billing-API-Key: {key}\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{{"
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    socket
}

async fn tenants(fleet: &Fleet, slugs: [&'static str; 4]) -> Vec<Tenant> {
    let mut all = Vec::new();
    for slug in slugs {
        let options = TenantOptions { slug, instances: vec![slug.to_owned()], ..TenantOptions::default() };
        all.push(fleet.create_tenant(&options).await);
    }
    all
}

#[tokio::test]
async fn request_whose_body_is_late_gets_408() {
    let options = only_the_api(|api| api.body_timeout = Duration::from_millis(300));
    let (fleet, tenant, _) = Fleet::with(options, TenantOptions::default()).await;
    let mut socket = begin_post(&fleet, &tenant.key, 1000).await;
    let mut answer = [0; 12];
    socket.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 408");
    fleet.end().await;
}

#[tokio::test]
async fn slow_requests_exhaust_the_budget_of_their_tenant_and_then_the_total() {
    let options = only_the_api(|api| {
        api.limits.concurrent_requests = 8;
        api.body_timeout = Duration::from_secs(20);
    });
    let (fleet, tenant, client) = Fleet::with(options, TenantOptions::default()).await;
    let others = tenants(&fleet, ["b", "c", "d", "e"]).await;
    let mut slow = Vec::new();
    // A listing holds a permit itself, so a post can be refused meanwhile: the loop begins another one.
    eventually("the tenant's budget to be used up", async || {
        slow.push(begin_post(&fleet, &tenant.key, 1000).await);
        list_queues(&client).await.status == StatusCode::TOO_MANY_REQUESTS
    })
    .await;
    assert_eq!(list_queues(&client).await.headers["retry-after"], "1");
    assert_eq!(
        list_queues(&client.with_key(&others[3].key)).await.status,
        StatusCode::OK,
        "another tenant has its own budget"
    );
    let last = client.with_key(&others[3].key);
    eventually("the total budget to be used up", async || {
        for other in &others[..3] {
            slow.push(begin_post(&fleet, &other.key, 1000).await);
        }
        list_queues(&last).await.status == StatusCode::SERVICE_UNAVAILABLE
    })
    .await;
    let refused = list_queues(&last).await;
    assert_eq!(
        (&refused.body["code"], &refused.headers["retry-after"]),
        (&"unavailable".into(), &"1".parse().unwrap())
    );
    assert_eq!(last.call(Method::GET, "/healthz", None).await.status, StatusCode::OK);
    drop(slow);
    eventually("the permits to be free again", async || list_queues(&last).await.status == StatusCode::OK).await;
    fleet.end().await;
}

#[tokio::test]
async fn request_bodies_of_one_tenant_use_at_most_a_quarter_of_body_memory() {
    let options = only_the_api(|api| {
        api.limits.body_bytes = 4 << 20;
        api.body_timeout = Duration::from_secs(4);
    });
    let (fleet, tenant, client) = Fleet::with(options, TenantOptions::default()).await;
    let another = TenantOptions { slug: "another", instances: vec!["filial".to_owned()], ..TenantOptions::default() };
    let another = fleet.create_tenant(&another).await;
    // A body longer than the tenant's budget takes all of it.
    let _slow = begin_post(&fleet, &tenant.key, 2 << 20).await;
    eventually("the tenant's body budget to be used up", async || is_refused_for_bodies(&fleet, &client).await).await;
    let other = Client::new(&fleet.api, &another.key);
    assert_eq!(other.send("overdue", &batch("b", 1)).await.status, StatusCode::ACCEPTED);
    fleet.end_unfinished().await;
}

async fn is_refused_for_bodies(fleet: &Fleet, client: &Client) -> bool {
    let answer = client.send("overdue", &batch("a", 1)).await;
    assert!(matches!(answer.status.as_u16(), 200 | 202 | 429), "{:#}", answer.body);
    answer.status == StatusCode::TOO_MANY_REQUESTS
        && fleet.metrics.api.requests_refused.with_label_values(&["tenants_bodies"]).get() > 0
}
