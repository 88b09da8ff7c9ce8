//! Large answers, and clients that do not read them.

use std::time::Duration;

use regua_domain::UserRole;
use regua_tests::{Client, Fleet, TenantOptions, TestUser, batch, eventually};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use super::only_the_api;

const PHONE: &str = "+5511988887777";

/// Posts a batch of one debtor whose contacts have this metadata. Returns the path of its listing.
async fn post_contacts(client: &Client, name: &str, contacts: usize, metadata: &Value) -> String {
    let mut batch = batch(name, contacts);
    for contact in batch["contacts"].as_array_mut().unwrap() {
        (contact["metadata"], contact["phone"]) = (metadata.clone(), PHONE.into());
    }
    let queue = client.send_accepted("overdue", &batch).await;
    format!("/api/v1/billing/queue/{queue}/contacts?limit=1000")
}

/// Metadata of so many bytes, in one text.
fn one_text(bytes: usize) -> Value {
    json!({ "x": "x".repeat(bytes) })
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

/// Metadata that makes an answer of 100 contacts larger than the buffers of a connection.
const LARGE: usize = 9000;

#[tokio::test(flavor = "multi_thread")]
async fn unread_answers_of_one_tenant_use_only_its_budget() {
    let options = only_the_api(|api| {
        api.limits.answer_bytes = 4 << 20;
        // The answer stays unread until the test closes its connection.
        api.limits.unread = Duration::from_secs(3600);
    });
    let (fleet, tenant, client) = Fleet::with(options, TenantOptions::default()).await;
    let other = TenantOptions { slug: "outra", instances: vec!["sul".to_owned()], ..TenantOptions::default() };
    let other = client.with_key(&fleet.create_tenant(&other).await.key);
    let path = post_contacts(&client, "large", 100, &one_text(LARGE)).await;
    let path_of_other = post_contacts(&other, "large", 100, &one_text(LARGE)).await;
    let list = async |client: &Client, path: &str| client.call(Method::GET, path, None).await;

    let mut unread = ask_without_reading(&fleet, &path, &tenant.key).await;
    // From here on the answer has its memory.
    let mut status = [0; 12];
    unread.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 200");
    let refused = list(&client, &path).await;
    assert_eq!((refused.status, refused.headers["retry-after"].as_bytes()), (StatusCode::TOO_MANY_REQUESTS, &b"1"[..]));
    assert_eq!(list(&client, "/api/v1/billing/queues").await.status, StatusCode::OK, "small answers need no permit");
    assert_eq!(list(&other, &path_of_other).await.status, StatusCode::OK, "another tenant has its own budget");
    assert_eq!(fleet.metrics.api.requests_refused.with_label_values(&["tenants_answers"]).get(), 1);

    drop(unread);
    eventually("the budget to be free", async || list(&client, &path).await.status == StatusCode::OK).await;
    fleet.end_unfinished().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connection_with_an_unread_answer_is_closed() {
    let options = only_the_api(|api| api.limits.unread = Duration::from_millis(500));
    let (fleet, tenant, client) = Fleet::with(options, TenantOptions::default()).await;
    let path = post_contacts(&client, "large", 100, &one_text(LARGE)).await;
    let mut unread = ask_without_reading(&fleet, &path, &tenant.key).await;
    let closed = fleet.metrics.api.connections_closed.with_label_values(&["unread"]);
    eventually("the connection to be closed", async || closed.get() == 1).await;
    let mut read = Vec::new();
    let _closed_or_reset = unread.read_to_end(&mut read).await;
    assert!(read.len() < 100 * LARGE, "{} bytes were sent", read.len());
    fleet.end_unfinished().await;
}

/// The pages of a listing or an export. `next` asks for the page after a cursor.
async fn pages(items: &str, next: impl AsyncFn(Option<String>) -> Value) -> Vec<Vec<Value>> {
    let (mut pages, mut cursor) = (Vec::new(), None);
    loop {
        let page = next(cursor).await;
        let bytes = page.to_string().len();
        assert!(bytes < (1 << 20) + 1000, "{bytes} bytes");
        pages.push(page[items].as_array().unwrap().clone());
        cursor = page["next_cursor"].as_str().map(str::to_owned);
        if cursor.is_none() {
            return pages;
        }
    }
}

fn assert_each_once(pages: &[Vec<Value>], contacts: usize) {
    let mut ids: Vec<_> = pages.iter().flatten().map(|contact| contact["external_id"].to_string()).collect();
    assert_eq!(ids.len(), contacts);
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), contacts, "each contact is in one page");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_large_rows_have_fewer_items() {
    let (fleet, tenant, client) = Fleet::with(only_the_api(|_| {}), TenantOptions::default()).await;
    let list = async |path: &str| {
        let next = async |cursor: Option<String>| {
            let cursor = cursor.map_or_else(String::new, |cursor| format!("&cursor={cursor}"));
            client.call(Method::GET, &format!("{path}{cursor}"), None).await.body
        };
        pages("items", next).await
    };
    let large = post_contacts(&client, "a", 150, &one_text(LARGE)).await;
    let found = list(&large).await;
    assert_eq!((found.len(), found[0].len() > 100), (2, true), "about 1 MiB in a page");
    assert_each_once(&found, 150);
    // Tiny elements take many times their text in memory.
    let tiny = post_contacts(&client, "b", 60, &json!({ "x": vec![json!({"a": 0}); 1200] })).await;
    let found = list(&tiny).await;
    assert_each_once(&found, 60);
    assert!(found.len() >= 3, "{} pages", found.len());
    let small = post_contacts(&client, "c", 1000, &json!({})).await;
    assert_eq!(list(&small).await[0].len(), 1000, "usual rows fill the page");

    let owner = TestUser::logged_in(&fleet, &tenant, UserRole::Owner, "ana").await;
    let next = async |cursor: Option<String>| {
        let mut body = json!({ "phone": PHONE });
        if let Some(cursor) = cursor {
            body["cursor"] = cursor.into();
        }
        owner.call(Method::POST, "/api/v1/admin/debtors/export", Some(&body)).await.body
    };
    assert_each_once(&pages("contacts", next).await, 1210);
    fleet.end_unfinished().await;
}

/// More rows than one statement of a listing reads.
const MANY: usize = 210;

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_many_rows_have_each_row_once() {
    let options = only_the_api(|api| api.limits.changes_per_minute = 10_000.try_into().unwrap());
    let (fleet, tenant, client) = Fleet::with(options, TenantOptions::default()).await;
    let platform = TestUser::logged_in(&fleet, &tenant, UserRole::Platform, "pia").await;
    for n in 0..MANY {
        client.send_accepted("overdue", &batch(&format!("b{n}"), 1)).await;
        let other = json!({"slug": format!("s{n}"), "name": "x", "time_zone": "America/Bahia"});
        let created = platform.post("/api/v1/admin/tenants", &other).await;
        assert_eq!(created.status, StatusCode::CREATED, "{:#}", created.body);
    }
    for (path, id) in [("billing/queues", "queue_id"), ("admin/tenants", "slug")] {
        let next = async |cursor: Option<String>| {
            let cursor = cursor.map_or_else(String::new, |cursor| format!("&cursor={cursor}"));
            platform.get(&format!("/api/v1/{path}?limit=205{cursor}")).await.body
        };
        let pages = pages("items", next).await;
        assert_eq!(pages[0].len(), 205, "{path}");
        let mut ids: Vec<_> = pages.iter().flatten().map(|item| item[id].to_string()).collect();
        ids.sort();
        ids.dedup();
        let listed = if id == "slug" { MANY + 1 } else { MANY };
        assert_eq!((ids.len(), pages.iter().flatten().count()), (listed, listed), "{path}");
    }
    fleet.end_unfinished().await;
}
