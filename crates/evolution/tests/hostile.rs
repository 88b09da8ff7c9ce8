//! Hostile gateways and tenants: forbidden addresses, redirects, malformed and endless answers, texts that try to change a
//! request.

#![expect(clippy::unwrap_used, reason = "a missing fixture ends the test")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use regua_domain::{PhoneNumber, Reference, TenantId};
use regua_evolution::{
    AllowedNetworks, ClientSettings, ConnectionState, EvolutionClient, InstanceAddress, LookResult, MAX_RESPONSE_BYTES,
    Outcome, Reason, Search, Token,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use uuid::Uuid;

const LIMIT: Duration = Duration::from_millis(300);

fn client(networks: AllowedNetworks) -> EvolutionClient {
    let settings = ClientSettings { send_timeout: LIMIT, check_timeout: LIMIT, connect_timeout: LIMIT, networks };
    EvolutionClient::new(settings).unwrap()
}

fn instance(base_url: &str, name: &str) -> InstanceAddress {
    InstanceAddress::parse(base_url, name, Token::parse("segredo").unwrap()).unwrap()
}

struct Results {
    send: Outcome,
    state: ConnectionState,
    look: LookResult,
    webhook: Result<(), Reason>,
}

/// Calls every method of the client, with texts that try to change the request.
async fn call_all(client: &EvolutionClient, address: &InstanceAddress) -> Results {
    let text = "Olá\r\nx: y\u{202e} ?instanceName=b&#/../ \"}],\"number\":\"1";
    let number = PhoneNumber::parse("(11) 98888-7777").unwrap();
    let now = chrono::DateTime::from_timestamp(1_795_000_000, 0).unwrap();
    let search = Search {
        number: number.clone(),
        reference: Reference::nth(TenantId(Uuid::from_u128(1)), 1),
        text: text.to_owned(),
        from: now,
        to: now,
    };
    Results {
        send: client.send_text(address, &number, text).await,
        state: client.connection_state(address).await,
        look: client.find_sent(address, &search).await,
        webhook: client.set_webhook(address, "https://regua.example/?a=b#c", ("X-Secret", "s")).await,
    }
}

impl Results {
    fn assert_not_reached(&self, reason: Reason, case: &str) {
        assert_eq!(self.send, Outcome::NotSent { reason, retry: true }, "{case}");
        assert!(self.send.suggests_instance_down(), "{case}");
        assert_eq!(self.state, ConnectionState::Unreachable { reason }, "{case}");
        assert_eq!((&self.look, self.webhook), (&LookResult::Failed { reason }, Err(reason)), "{case}");
    }

    fn assert_nothing_proven(&self, case: &str) {
        assert!(matches!(self.send, Outcome::Unknown { .. }), "{case}: {:?}", self.send);
        assert!(matches!(self.state, ConnectionState::Unreachable { .. }), "{case}: {:?}", self.state);
        assert!(matches!(self.look, LookResult::Failed { .. }), "{case}: {:?}", self.look);
        assert!(self.webhook.is_err(), "{case}");
    }
}

/// Counts connections to one port of every local address.
async fn listener() -> (u16, Arc<AtomicUsize>, JoinHandle<()>) {
    let listener = TcpListener::bind("[::]:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    let listening = tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            counter.fetch_add(1, Ordering::SeqCst);
        }
    });
    (port, count, listening)
}

#[tokio::test]
async fn disallowed_address_is_never_connected_to() {
    let (port, connections, _listening) = listener().await;
    // The last one is a name, which is checked when it is resolved.
    let hosts = [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.1",
        "0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "localhost",
    ];
    for host in hosts {
        let address = instance(&format!("http://{host}:{port}"), "matriz");
        let results = call_all(&client(AllowedNetworks::default()), &address).await;
        results.assert_not_reached(Reason::AddressNotAllowed, host);
    }
    assert_eq!(connections.load(Ordering::SeqCst), 0, "the client connected");
    // With the loopback allowed, the same names connect.
    for host in ["127.1", "localhost", "[::ffff:127.0.0.1]"] {
        let before = connections.load(Ordering::SeqCst);
        let address = instance(&format!("http://{host}:{port}"), "matriz");
        client(AllowedNetworks::with_loopback()).connection_state(&address).await;
        assert!(connections.load(Ordering::SeqCst) > before, "{host}");
    }
}

#[tokio::test]
async fn no_method_follows_a_redirect() {
    let (port, connections, _listening) = listener().await;
    let to = format!("http://127.0.0.1:{port}/");
    let answers = [StatusCode::MOVED_PERMANENTLY, StatusCode::FOUND, StatusCode::TEMPORARY_REDIRECT];
    for status in answers {
        let to = to.clone();
        let base_url = serve(Router::new().fallback(move || async move { (status, [(header::LOCATION, to)]) })).await;
        let results = call_all(&client(AllowedNetworks::with_loopback()), &instance(&base_url, "matriz")).await;
        results.assert_nothing_proven(status.as_str());
    }
    assert_eq!(connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn tenant_text_cannot_change_a_request() {
    let requests: Arc<Mutex<Vec<(Uri, HeaderMap)>>> = Arc::default();
    let received = Arc::clone(&requests);
    let record = move |uri: Uri, headers: HeaderMap| async move {
        received.lock().unwrap().push((uri, headers));
        StatusCode::NOT_FOUND
    };
    let base_url = serve(Router::new().fallback(record)).await;
    let names = [
        "a?instanceName=b",
        "a&instanceName=b",
        "a#b",
        "../b",
        "a/../b",
        "%2e%2e",
        "a\\b",
        "a\r\nb",
        "a b",
        "ã\u{202e}",
    ];
    for name in names {
        call_all(&client(AllowedNetworks::with_loopback()), &instance(&base_url, name)).await;
        let requests = std::mem::take(&mut *requests.lock().unwrap());
        assert_eq!(requests.len(), 4, "{name:?}: one request a method");
        for (uri, headers) in requests {
            assert_eq!(uri.query(), None, "{name:?}: {uri}");
            let segments: Vec<_> = uri.path().split('/').skip(1).collect();
            let routes = [
                ["message", "sendText"],
                ["instance", "connectionState"],
                ["chat", "findMessages"],
                ["webhook", "set"],
            ];
            assert!(segments.len() == 3 && routes.contains(&[segments[0], segments[1]]), "{name:?}: {uri}");
            assert!(!segments[2].contains(['?', '&', '#', '\\']) || segments[2].contains("%3F") || name.contains('&'));
            assert!(headers.get(header::ACCEPT_ENCODING).is_none(), "a small compressed body may be large");
            assert_eq!(headers["apikey"], "segredo");
        }
    }
}

async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

#[tokio::test]
async fn malformed_body_proves_nothing() {
    let nested = "[".repeat(500_000).into_bytes();
    let nested_in_key = format!(r#"{{"key":{}}}"#, r#"{"id":"#.repeat(100_000)).into_bytes();
    let packed = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03".to_vec();
    let bodies = [
        ("nested", "application/json", nested),
        ("nested inside", "application/json", nested_in_key),
        ("no text", "application/json", b"{\"key\":{\"id\":\"\xff\xfe\"}}".to_vec()),
        ("packed", "application/json", packed),
        ("a page", "text/html", b"<html>".to_vec()),
        ("an id with a line break", "application/json", br#"{"key":{"id":"3EB0\n"}}"#.to_vec()),
        ("too long", "application/json", vec![b' '; MAX_RESPONSE_BYTES + 1]),
        ("nothing", "application/json", Vec::new()),
    ];
    for (case, content_type, body) in bodies {
        for status in [StatusCode::OK, StatusCode::CREATED] {
            let body = body.clone();
            let headers = [(header::CONTENT_TYPE, content_type), (header::CONTENT_ENCODING, "gzip")];
            let answer = move || async move { (status, headers, body) };
            let base_url = serve(Router::new().fallback(answer)).await;
            let mut results = call_all(&client(AllowedNetworks::with_loopback()), &instance(&base_url, "matriz")).await;
            if status == StatusCode::CREATED && case != "too long" {
                // The client reads only the status of this answer.
                results.webhook = Err(Reason::Unrecognised);
            }
            results.assert_nothing_proven(case);
        }
    }
}

/// Reads a request, writes `head`, then repeats `piece` until the connection closes.
async fn endless(head: &'static [u8], piece: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let _request = stream.read(&mut [0; 4096]).await;
                let mut written = stream.write_all(head).await;
                while written.is_ok() {
                    written = stream.write_all(piece).await;
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            });
        }
    });
    base_url
}

#[tokio::test]
async fn endless_answer_ends_at_the_time_limit() {
    let chunked: &[u8] = b"HTTP/1.1 201 Created\r\ntransfer-encoding: chunked\r\n\r\n";
    let cases: [(&[u8], &[u8]); 5] = [
        (chunked, b"1\r\n \r\n"),
        (b"HTTP/1.1 201 Created\r\n\r\n", b" "),
        (b"HTTP/1.1 ", b"1"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"HTTP/1.1 201 Created\r\n", b"x: y\r\n"),
    ];
    for (head, piece) in cases {
        let base_url = endless(head, piece).await;
        let case = String::from_utf8_lossy(&[head, piece].concat()).into_owned();
        let started = Instant::now();
        let results = call_all(&client(AllowedNetworks::with_loopback()), &instance(&base_url, "matriz")).await;
        results.assert_nothing_proven(&case);
        assert!(started.elapsed() < LIMIT * 12, "{case}: {:?}", started.elapsed());
    }
}
