//! How often a key and an address may ask, and what they are told.

use chrono::TimeDelta;
use regua_tests::{Client, Fleet, Tenant, TenantOptions};
use reqwest::{Method, StatusCode};

use super::{a_few, count, look, looks, only_the_api};

#[tokio::test]
async fn each_key_has_its_rate_and_is_told_how_it_stands() {
    let tenant = TenantOptions { requests_per_minute: 1, ..TenantOptions::default() };
    let (fleet, tenant, client) = Fleet::with(only_the_api(|_| {}), tenant).await;
    let header = |answer: &regua_tests::Answer, name: &str| answer.headers[name].to_str().unwrap().to_owned();
    let first = look(&client).await;
    assert_eq!(first.status, StatusCode::OK);
    for (name, value) in [("policy", "1;w=60;burst=20"), ("limit", "20"), ("remaining", "19"), ("reset", "60")] {
        assert_eq!(header(&first, &format!("ratelimit-{name}")), value, "{name}");
    }
    assert_eq!(count(&looks(&client, 19).await, StatusCode::OK), 19);
    let refused = look(&client).await;
    assert_eq!((refused.status.as_u16(), &refused.body["code"]), (429, &"rate_limited".into()));
    assert_eq!(header(&refused, "ratelimit-remaining"), "0");
    let wait: i64 = header(&refused, "retry-after").parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");

    let second = Tenant::add_key(&fleet.database.pool, tenant.id, &["overdue"], None, fleet.clock.now()).await;
    assert_eq!(look(&client.with_key(&second)).await.status, StatusCode::OK, "another key of the tenant has its own");
    fleet.hands.set(fleet.clock.now() + TimeDelta::seconds(wait));
    assert_eq!(looks(&client, 2).await, [200, 429], "whoever waits as told is let in, and once");
    fleet.end().await;
}

#[tokio::test]
async fn an_address_is_limited_over_all_its_keys_and_probes_never() {
    let options = only_the_api(|api| api.limits.per_address = Some(a_few(5)));
    let (fleet, _, client) = Fleet::with(options, TenantOptions::default()).await;
    let another = fleet
        .tenant(&TenantOptions { slug: "another", instances: vec!["filial".into()], ..TenantOptions::default() })
        .await;
    assert_eq!(count(&looks(&client, 3).await, StatusCode::OK), 3);
    assert_eq!(looks(&client.with_key(&another.key), 3).await, [200, 200, 429]);
    let elsewhere = client.from_address("127.0.0.7".parse().unwrap());
    assert_eq!(look(&elsewhere).await.status, StatusCode::OK);
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
    assert_eq!(documents, [200, 200, 200, 200, 200, 429, 429], "a stranger is counted apart from good keys");
    assert_eq!(fleet.metrics.requests_refused.with_label_values(&["address"]).get(), 3);
    fleet.end().await;
}

#[tokio::test]
async fn whose_request_it_is_a_trusted_proxy_says_and_nobody_else() {
    for (trusted, statuses) in [("127.0.0.0/8", [200, 200, 429]), ("192.0.2.0/24", [200, 429, 429])] {
        let options = only_the_api(|api| {
            api.limits.per_address = Some(a_few(1));
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
