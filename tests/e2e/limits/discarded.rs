//! Refused bodies, through raw sockets: the client sees the refusal although it still sends.

use regua_tests::{Fleet, TenantOptions};
use reqwest::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{list_queues, only_the_api};

const LENGTH: usize = 20 << 20;

async fn begin(fleet: &Fleet, path: &str, credential: &str) -> TcpStream {
    let mut socket = TcpStream::connect(fleet.api.trim_start_matches("http://")).await.unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: a\r\n{credential}\r\nContent-Type: application/json\r\n\
         Content-Length: {LENGTH}\r\n\r\n"
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    socket
}

/// Sends half of the body in small pieces. False: the connection is reset.
async fn send_half(socket: &mut TcpStream) -> bool {
    let piece = vec![b' '; 32 << 10];
    for _ in 0..LENGTH / 2 / piece.len() {
        if socket.write_all(&piece).await.is_err() {
            return false;
        }
        tokio::task::yield_now().await;
    }
    true
}

#[tokio::test(flavor = "multi_thread")]
async fn client_sees_the_refusal_of_a_body_that_it_still_sends() {
    let options = only_the_api(|api| {
        // A tenant may have one request under way, and one refused body is discarded at a time.
        api.limits.concurrent_requests = 4;
        api.max_body_bytes = 12 << 20;
    });
    let (fleet, tenant, client) = Fleet::with(options, TenantOptions::default()).await;
    let (secret, hash) = regua_api::keys::secret_with_hash(&[1; 32]);
    regua_tests::logs::register_secret(&secret);
    let (mut conn, instance) = (fleet.database.pool.acquire().await.unwrap(), tenant.instances[0]);
    regua_store::instances::set_webhook_secret(&mut conn, tenant.id, instance, &hash).await.unwrap();
    drop(conn);
    let webhook = format!("/webhooks/evolution/{}/{instance}", tenant.id);
    let by_secret = format!("X-Regua-Webhook-Secret: {secret}");
    let by_key = format!("X-Billing-API-Key: {}", tenant.key);
    for (path, credential) in [(&*webhook, &by_secret), ("/api/v1/billing/send/overdue", &by_key)] {
        let mut socket = begin(&fleet, path, credential).await;
        assert!(send_half(&mut socket).await, "{path}: the body is read");
        assert_eq!(list_queues(&client).await.status, StatusCode::OK, "a refused body holds no request");
        let mut second = begin(&fleet, path, credential).await;
        assert!(!send_half(&mut second).await, "{path}: a second body is beyond the budget");
        assert!(send_half(&mut socket).await, "{path}: the body is read to its end");
        let mut answer = [0; 12];
        socket.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 413", "{path}");
    }
    assert!(fleet.metrics.api.requests_refused.with_label_values(&["tenants_discarding"]).get() >= 2);
    fleet.end().await;
}
