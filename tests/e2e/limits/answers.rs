//! Large answers, and clients that do not read them.

use std::time::Duration;

use regua_tests::{Client, Fleet, TenantOptions, batch, eventually};
use reqwest::{Method, StatusCode};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use super::only_the_api;

/// Posts a batch whose contacts have this much metadata each, in bytes. Returns the path of its listing.
async fn post_contacts(client: &Client, contacts: usize, bytes: usize) -> String {
    let mut batch = batch("large", contacts);
    for contact in batch["contacts"].as_array_mut().unwrap() {
        contact["metadata"] = json!({ "x": "x".repeat(bytes) });
    }
    let queue = client.send_accepted("overdue", &batch).await;
    format!("/api/v1/billing/queue/{queue}/contacts?limit=1000")
}

/// Asks for a document and does not read it.
async fn ask_without_reading(fleet: &Fleet, path: &str, key: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(fleet.api.trim_start_matches("http://").parse().unwrap()).await.unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nHost: a\r\nX-Billing-API-Key: {key}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn unread_answers_of_one_tenant_use_its_part_and_end() {
    let options = only_the_api(|api| {
        api.limits.answer_bytes = 4 << 20;
        api.limits.unread = Duration::from_millis(1500);
    });
    let (fleet, tenant, client) = Fleet::with(options, TenantOptions::default()).await;
    let other = TenantOptions { slug: "outra", instances: vec!["sul".to_owned()], ..TenantOptions::default() };
    let other = client.with_key(&fleet.create_tenant(&other).await.key);
    let path = post_contacts(&client, 100, 9000).await;
    let path_of_other = post_contacts(&other, 100, 9000).await;
    let list = async |client: &Client, path: &str| client.call(Method::GET, path, None).await;
    assert_eq!(list(&client, &path).await.status, StatusCode::OK);

    let mut unread = ask_without_reading(&fleet, &path, &tenant.key).await;
    eventually("the tenant's budget to be used up", async || {
        list(&client, &path).await.status == StatusCode::TOO_MANY_REQUESTS
    })
    .await;
    assert_eq!(list(&client, &path).await.headers["retry-after"], "1");
    assert_eq!(list(&client, "/api/v1/billing/queues").await.status, StatusCode::OK, "small answers need no permit");
    assert_eq!(list(&other, &path_of_other).await.status, StatusCode::OK, "another tenant has its own budget");
    assert!(fleet.metrics.api.requests_refused.with_label_values(&["tenants_answers"]).get() >= 2);

    eventually("the unread answer to end", async || list(&client, &path).await.status == StatusCode::OK).await;
    assert_eq!(fleet.metrics.api.connections_closed.with_label_values(&["unread"]).get(), 1);
    let mut read = Vec::new();
    let _closed_or_reset = unread.read_to_end(&mut read).await;
    assert!(read.len() < 900_000, "{} bytes were sent", read.len());
    fleet.end_unfinished().await;
}
