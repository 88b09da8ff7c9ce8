//! Rate limits of keys and addresses, and their response headers.

use chrono::TimeDelta;
use regua_domain::MessageType;
use regua_tests::{Client, Fleet, Tenant, TenantOptions};
use reqwest::{Method, StatusCode};

use super::{burst_only, count, list_queues, list_queues_repeatedly, only_the_api};

#[tokio::test]
async fn each_key_has_its_rate_limit_and_gets_rate_limit_headers() {
    let tenant = TenantOptions { requests_per_minute: 1, ..TenantOptions::default() };
    let (fleet, tenant, client) = Fleet::with(only_the_api(|_| {}), tenant).await;
    let header = |answer: &regua_tests::Answer, name: &str| answer.headers[name].to_str().unwrap().to_owned();
    let first = list_queues(&client).await;
    assert_eq!(first.status, StatusCode::OK);
    for (name, value) in [("policy", "1;w=60;burst=20"), ("limit", "20"), ("remaining", "19"), ("reset", "60")] {
        assert_eq!(header(&first, &format!("ratelimit-{name}")), value, "{name}");
    }
    assert_eq!(count(&list_queues_repeatedly(&client, 19).await, StatusCode::OK), 19);
    let refused = list_queues(&client).await;
    assert_eq!((refused.status.as_u16(), &refused.body["code"]), (429, &"rate_limited".into()));
    assert_eq!(header(&refused, "ratelimit-remaining"), "0");
    let wait: i64 = header(&refused, "retry-after").parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");

    let second =
        Tenant::add_key(&fleet.database.pool, tenant.id, &[MessageType::Overdue], None, fleet.clock.now()).await;
    assert_eq!(
        list_queues(&client.with_key(&second)).await.status,
        StatusCode::OK,
        "another key of the tenant has its own rate limit"
    );
    fleet.manual_clock.set(fleet.clock.now() + TimeDelta::seconds(wait));
    assert_eq!(
        list_queues_repeatedly(&client, 2).await,
        [200, 429],
        "after `retry-after` exactly one request is accepted"
    );
    fleet.end().await;
}

#[tokio::test]
async fn address_rate_limit_covers_all_keys_and_exempts_probes() {
    let options = only_the_api(|api| api.limits.per_address = Some(burst_only(5)));
    let (fleet, _, client) = Fleet::with(options, TenantOptions::default()).await;
    let another = fleet
        .create_tenant(&TenantOptions { slug: "another", instances: vec!["filial".into()], ..TenantOptions::default() })
        .await;
    assert_eq!(count(&list_queues_repeatedly(&client, 3).await, StatusCode::OK), 3);
    assert_eq!(list_queues_repeatedly(&client.with_key(&another.key), 3).await, [200, 200, 429]);
    let elsewhere = client.from_address("127.0.0.7".parse().unwrap());
    assert_eq!(list_queues(&elsewhere).await.status, StatusCode::OK);
    let bare = Client::new(&fleet.api, "");
    for path in ["/healthz", "/readyz", "/metrics"] {
        for _ in 0..10 {
            assert_eq!(bare.call(Method::GET, path, None).await.status, StatusCode::OK, "{path}");
        }
    }
    let mut documents = Vec::new();
    for _ in 0..7 {
        documents.push(bare.call(Method::GET, "/openapi.json", None).await.status.as_u16());
    }
    assert_eq!(documents, [200, 200, 200, 200, 200, 429, 429], "requests without a key have a rate limit of their own");
    assert_eq!(fleet.metrics.api.requests_refused.with_label_values(&["address"]).get(), 3);
    fleet.end().await;
}

#[tokio::test]
async fn forwarded_for_header_is_read_from_trusted_proxies_only() {
    for (trusted, statuses) in [("127.0.0.0/8", [200, 200, 429]), ("192.0.2.0/24", [200, 429, 429])] {
        let options = only_the_api(|api| {
            api.limits.per_address = Some(burst_only(1));
            api.limits.trusted_proxies = trusted.parse().unwrap();
        });
        let (fleet, _, client) = Fleet::with(options, TenantOptions::default()).await;
        let mut answered = Vec::new();
        for forwarded_for in ["198.51.100.1", "10.0.0.1, 198.51.100.2", "10.0.0.2,198.51.100.2"] {
            let request = client.request(Method::GET, "/api/v1/billing/queues");
            let answer = Client::answer(request.header("X-Forwarded-For", forwarded_for)).await;
            answered.push(answer.status.as_u16());
        }
        assert_eq!(answered, statuses, "{trusted}");
        fleet.end().await;
    }
}
