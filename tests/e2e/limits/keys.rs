//! API keys: the cache of valid ones, and the cost of invalid ones.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use regua_api::ApiMetrics;
use regua_boot::Registry;
use regua_domain::MessageType;
use regua_tests::{Client, Fleet, Tenant, TenantOptions, eventually};
use reqwest::{Method, StatusCode};
use serde_json::json;
use sqlx::Executor;

use super::{burst_only, count, list_queues, list_queues_repeatedly, only_the_api, unknown_key};

#[tokio::test]
async fn valid_key_is_looked_up_once_and_cached() {
    let options = only_the_api(|api| api.limits.key_cached_for = Duration::from_secs(3600));
    let (fleet, _, client) = Fleet::with(options, TenantOptions::default()).await;
    assert_eq!(count(&list_queues_repeatedly(&client, 20).await, StatusCode::OK), 20);
    assert_eq!(fleet.metrics.api.key_look_ups.get(), 1);
    let wrong = client.with_key(&format!("{}{}", &client_key(&client)[..15], "a".repeat(43)));
    assert_eq!(list_queues(&wrong).await.body["code"], "api_key_invalid");
    assert_eq!(fleet.metrics.api.key_look_ups.get(), 2, "a wrong secret is not answered from the cache");
    assert_eq!(count(&list_queues_repeatedly(&client, 5).await, StatusCode::OK), 5);
    assert_eq!(fleet.metrics.api.key_look_ups.get(), 2, "the wrong secret does not evict the valid key");
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_with_an_expired_entry_wait_for_few_look_ups() {
    let options = only_the_api(|api| api.limits.key_cached_for = Duration::ZERO);
    let (fleet, _, client) = Fleet::with(options, TenantOptions::default()).await;
    assert_eq!(list_queues(&client).await.status, StatusCode::OK);
    let before = fleet.metrics.api.key_look_ups.get();
    let mut lock = fleet.database.pool.begin().await.unwrap();
    lock.execute("lock table api_keys in access exclusive mode").await.unwrap();
    let call = |client: Client| tokio::spawn(async move { list_queues(&client).await.status });
    let callers: Vec<_> = (0..15).map(|_| call(client.clone())).collect();
    // A tenant has three connections for reads here.
    eventually("the other callers to be refused", async || {
        callers.iter().filter(|caller| caller.is_finished()).count() == 12
    })
    .await;
    assert_eq!(fleet.metrics.api.key_look_ups.get() - before, 3);
    lock.rollback().await.unwrap();
    let mut accepted = 0;
    for caller in callers {
        accepted += usize::from(caller.await.unwrap() == StatusCode::OK);
    }
    assert_eq!(accepted, 3);
    fleet.end().await;
}

fn client_key(client: &Client) -> String {
    let request = client.request(Method::GET, "/").build().unwrap();
    request.headers()["X-Billing-API-Key"].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn revoked_key_and_changed_rate_take_effect_within_two_seconds_in_every_process() {
    let (mut fleet, tenant, client) = Fleet::with(only_the_api(|_| {}), TenantOptions::default()).await;
    let other =
        Client::new(&fleet.start_another_api(ApiMetrics::new(&Registry::default()).unwrap()).await, &tenant.key);
    for (change, expected) in [
        ("update api_keys set requests_per_minute = 7", "a rate"),
        ("update api_keys set allowed_networks = '{192.0.2.0/24}'", "ip_not_allowed"),
        ("update api_keys set allowed_networks = '{}', active = false", "api_key_inactive"),
        ("update api_keys set active = true", "OK"),
        ("update tenants set status = 'suspended'", "api_key_inactive"),
        ("delete from api_keys", "api_key_invalid"),
    ] {
        list_queues(&client).await;
        list_queues(&other).await;
        fleet.database.pool.execute(change).await.unwrap();
        let changed = Instant::now();
        for client in [&client, &other] {
            eventually(expected, async || {
                let answer = list_queues(client).await;
                let policy = answer.headers.get("ratelimit-policy").map(|value| value.to_str().unwrap().to_owned());
                match expected {
                    "a rate" => policy.as_deref() == Some("7;w=60;burst=20"),
                    "OK" => answer.status == StatusCode::OK || answer.status == StatusCode::TOO_MANY_REQUESTS,
                    code => answer.body["code"] == code,
                }
            })
            .await;
        }
        // Two seconds, and a reserve for a busy machine.
        assert!(changed.elapsed() < Duration::from_millis(3500), "{change}: {:?}", changed.elapsed());
    }
    fleet.end().await;
}

#[tokio::test]
async fn cached_key_is_refused_once_it_expires() {
    let options = only_the_api(|api| api.limits.key_cached_for = Duration::from_secs(3600));
    let (fleet, tenant, client) = Fleet::with(options, TenantOptions::default()).await;
    let ends = fleet.clock.now() + TimeDelta::hours(1);
    let key =
        Tenant::add_key(&fleet.database.pool, tenant.id, &[MessageType::Overdue], Some(ends), fleet.clock.now()).await;
    let client = client.with_key(&key);
    assert_eq!(list_queues(&client).await.status, StatusCode::OK);
    fleet.manual_clock.set(ends);
    assert_eq!(list_queues(&client).await.body["code"], "api_key_expired");
    fleet.end().await;
}

#[tokio::test]
async fn invalid_keys_cost_few_look_ups_and_do_not_lock_out_known_keys() {
    let cached_for = Duration::from_millis(100);
    let options = only_the_api(|api| {
        api.limits.refused_keys = burst_only(10);
        api.limits.key_cached_for = cached_for;
    });
    let (fleet, _, client) = Fleet::with(options, TenantOptions::default()).await;
    assert_eq!(list_queues(&client).await.status, StatusCode::OK);
    let before = fleet.metrics.api.key_look_ups.get();
    let malformed = list_queues_repeatedly(&client.with_key("regua_short"), 5).await;
    assert_eq!((count(&malformed, StatusCode::UNAUTHORIZED), fleet.metrics.api.key_look_ups.get()), (5, before));
    let mut unknown = Vec::new();
    for number in 0..50 {
        unknown.push(list_queues(&client.with_key(&unknown_key(number))).await.status.as_u16());
    }
    assert_eq!((count(&unknown, StatusCode::UNAUTHORIZED), count(&unknown, StatusCode::TOO_MANY_REQUESTS)), (5, 45));
    assert_eq!(fleet.metrics.api.key_look_ups.get(), before + 5);
    let refused = list_queues(&client.with_key(&unknown_key(0))).await;
    assert_eq!(
        (&refused.body["code"], &refused.headers["retry-after"]),
        (&json!("rate_limited"), &"60".parse().unwrap())
    );
    // A valid key from the same address, whose cached look-up has expired.
    tokio::time::sleep(2 * cached_for).await;
    assert_eq!(count(&list_queues_repeatedly(&client, 20).await, StatusCode::OK), 20);
    let elsewhere = client.with_key(&unknown_key(1)).from_address("127.0.0.9".parse().unwrap());
    assert_eq!(list_queues(&elsewhere).await.status, StatusCode::UNAUTHORIZED);
    assert!(fleet.metrics.api.requests_refused.with_label_values(&["refused_keys"]).get() >= 45);
    fleet.end().await;
}

#[tokio::test]
async fn webhook_with_valid_secret_is_accepted_despite_failures_of_its_address() {
    let options = only_the_api(|api| {
        api.limits.refused_keys = burst_only(3);
        api.limits.per_address = Some(burst_only(1));
    });
    let (fleet, tenant, client) = Fleet::with(options, TenantOptions::default()).await;
    let secret = fleet.subscribe_webhook(&tenant, "matriz").await;
    let path = fleet.webhook_url(&tenant).replace(&fleet.api, "");
    let post = async |secret: &str| {
        let request = client.request(Method::POST, &path).header("X-Regua-Webhook-Secret", secret);
        Client::answer(request.json(&json!({"event": "connection.update"}))).await.status.as_u16()
    };
    assert_eq!(post(&secret).await, 200);
    let mut refused = Vec::new();
    for number in 0..10 {
        refused.push(post(&format!("guess {number}")).await);
    }
    assert_eq!(refused, [401, 401, 401, 429, 429, 429, 429, 429, 429, 429]);
    for _ in 0..50 {
        assert_eq!(post(&secret).await, 200);
    }
    fleet.end().await;
}
