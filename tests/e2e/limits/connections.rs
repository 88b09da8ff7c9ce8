//! Slow requests, through raw sockets: each uses a limited budget for a limited time.

use std::time::Duration;

use regua_tests::{Client, Fleet, Tenant, TenantOptions, batch, eventually};
use reqwest::{Method, StatusCode};
use sqlx::Executor;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{list_queues, only_the_api};

async fn connect(fleet: &Fleet) -> TcpStream {
    TcpStream::connect(fleet.api.trim_start_matches("http://")).await.unwrap()
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
async fn slow_bodies_leave_requests_to_their_tenant_and_to_others() {
    let options = only_the_api(|api| {
        api.limits.concurrent_requests = 16;
        api.body_timeout = Duration::from_secs(20);
    });
    let (fleet, tenant, client) = Fleet::with(options, TenantOptions::default()).await;
    let others = tenants(&fleet, ["b", "c", "d", "e"]).await;
    // Until a key is known, its requests are among those without a valid credential.
    for key in others.iter().map(|tenant| &tenant.key).chain([&tenant.key]) {
        assert_eq!(list_queues(&client.with_key(key)).await.status, StatusCode::OK);
    }
    let post = async |key: &str| client.with_key(key).send("overdue", &batch("a", 1)).await;
    let refused = fleet.metrics.api.requests_refused.clone();
    let mut slow = Vec::new();
    eventually("the tenant's budget of bodies to be used up", async || {
        slow.push(begin_post(&fleet, &tenant.key, 1000).await);
        post(&tenant.key).await.status == StatusCode::TOO_MANY_REQUESTS
    })
    .await;
    assert_eq!(post(&tenant.key).await.headers["retry-after"], "1");
    assert!(refused.with_label_values(&["tenants_receiving"]).get() > 0);
    assert_eq!(list_queues(&client).await.status, StatusCode::OK, "the tenant's other requests go on");
    assert_eq!(post(&others[3].key).await.status, StatusCode::ACCEPTED, "another tenant has its own budget");
    eventually("the total budget of bodies to be used up", async || {
        for other in &others[..3] {
            slow.push(begin_post(&fleet, &other.key, 1000).await);
        }
        post(&others[3].key).await.status == StatusCode::SERVICE_UNAVAILABLE
    })
    .await;
    assert!(refused.with_label_values(&["receiving"]).get() > 0);
    for other in &others {
        assert_eq!(list_queues(&client.with_key(&other.key)).await.status, StatusCode::OK, "requests go on");
    }
    drop(slow);
    eventually("the permits to be free again", async || post(&others[3].key).await.status == StatusCode::OK).await;
    fleet.end_unfinished().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_requests_exhaust_the_budget_of_their_tenant_and_then_the_total() {
    let options = only_the_api(|api| {
        api.limits.concurrent_requests = 8;
        api.limits.key_cached_for = Duration::from_secs(3600);
    });
    let (fleet, tenant, client) = Fleet::with(options, TenantOptions::default()).await;
    let others = tenants(&fleet, ["b", "c", "d", "e"]).await;
    let last = client.with_key(&others[3].key);
    // Until a key is known, its requests are among those without a valid credential.
    for key in others.iter().map(|tenant| &tenant.key).chain([&tenant.key]) {
        assert_eq!(list_queues(&client.with_key(key)).await.status, StatusCode::OK);
    }
    // A post waits for its tenant's row.
    let mut lock = fleet.database.pool.begin().await.unwrap();
    lock.execute("select from tenants for update").await.unwrap();
    let mut slow = tokio::task::JoinSet::new();
    let mut begin = |key: &str| {
        let client = client.with_key(key);
        slow.spawn(async move { client.send("overdue", &batch("a", 1)).await });
    };
    // A post that is refused holds a permit for a moment.
    let is_used_up = async |client: &Client, status: StatusCode, code: &str| {
        for _ in 0..3 {
            let answer = list_queues(client).await;
            if answer.status != status {
                return false;
            }
            assert_eq!((&answer.body["code"], &answer.headers["retry-after"]), (&code.into(), &"1".parse().unwrap()));
        }
        true
    };
    eventually("the tenant's budget to be used up", async || {
        begin(&tenant.key);
        is_used_up(&client, StatusCode::TOO_MANY_REQUESTS, "rate_limited").await
    })
    .await;
    assert_eq!(list_queues(&last).await.status, StatusCode::OK, "another tenant has its own budget");
    eventually("the total budget to be used up", async || {
        others[..3].iter().for_each(|other| begin(&other.key));
        is_used_up(&last, StatusCode::SERVICE_UNAVAILABLE, "overloaded").await
    })
    .await;
    assert_eq!(last.call(Method::GET, "/healthz", None).await.status, StatusCode::OK);
    lock.rollback().await.unwrap();
    slow.join_all().await;
    eventually("the permits to be free again", async || list_queues(&last).await.status == StatusCode::OK).await;
    fleet.end_unfinished().await;
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
