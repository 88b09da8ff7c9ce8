//! Keys at the door: what is remembered of good ones, and what bad ones cost.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use regua_boot::Metrics;
use regua_tests::{Client, Fleet, Tenant, TenantOptions};
use reqwest::{Method, StatusCode};
use serde_json::json;
use sqlx::Executor;

use super::{a_few, count, look, looks, only_the_api, stranger};

#[tokio::test]
async fn a_good_key_is_looked_up_once_and_believed_for_a_moment() {
    let options = only_the_api(|api| api.limits.key_believed_for = Duration::from_secs(3600));
    let (fleet, _, client) = Fleet::with(options, TenantOptions::default()).await;
    assert_eq!(count(&looks(&client, 20).await, StatusCode::OK), 20);
    assert_eq!(fleet.metrics.key_look_ups.get(), 1);
    let wrong = client.with_key(&format!("{}{}", &client_key(&client)[..15], "a".repeat(43)));
    assert_eq!(look(&wrong).await.body["code"], "api_key_invalid");
    assert_eq!(fleet.metrics.key_look_ups.get(), 2, "another secret is not believed");
    assert_eq!(count(&looks(&client, 5).await, StatusCode::OK), 5);
    assert_eq!(fleet.metrics.key_look_ups.get(), 2, "and it does not push the good one out");
    fleet.end().await;
}

fn client_key(client: &Client) -> String {
    let request = client.request(Method::GET, "/").build().unwrap();
    request.headers()["X-Billing-API-Key"].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_revoked_key_and_a_changed_rate_take_effect_within_seconds_on_every_process() {
    let (mut fleet, tenant, client) = Fleet::with(only_the_api(|_| {}), TenantOptions::default()).await;
    let other = Client::new(&fleet.start_another_api(Metrics::new().unwrap()).await, &tenant.key);
    for (change, expected) in [
        ("update api_keys set requests_per_minute = 7", "a rate"),
        ("update api_keys set allowed_networks = '{192.0.2.0/24}'", "ip_not_allowed"),
        ("update api_keys set allowed_networks = '{}', active = false", "api_key_inactive"),
        ("update api_keys set active = true", "OK"),
        ("update tenants set status = 'suspended'", "api_key_inactive"),
        ("delete from api_keys", "api_key_invalid"),
    ] {
        look(&client).await;
        look(&other).await;
        fleet.database.pool.execute(change).await.unwrap();
        let changed = Instant::now();
        for client in [&client, &other] {
            regua_tests::eventually(expected, async || {
                let answer = look(client).await;
                let policy = answer.headers.get("ratelimit-policy").map(|value| value.to_str().unwrap().to_owned());
                match expected {
                    "a rate" => policy.as_deref() == Some("7;w=60;burst=20"),
                    "OK" => answer.status == StatusCode::OK || answer.status == StatusCode::TOO_MANY_REQUESTS,
                    code => answer.body["code"] == code,
                }
            })
            .await;
        }
        // Two seconds, and what a busy machine takes besides.
        assert!(changed.elapsed() < Duration::from_millis(3500), "{change}: {:?}", changed.elapsed());
    }
    fleet.end().await;
}

#[tokio::test]
async fn a_key_ends_when_its_time_is_over_though_it_is_remembered() {
    let options = only_the_api(|api| api.limits.key_believed_for = Duration::from_secs(3600));
    let (fleet, tenant, client) = Fleet::with(options, TenantOptions::default()).await;
    let ends = fleet.clock.now() + TimeDelta::hours(1);
    let key = Tenant::add_key(&fleet.database.pool, tenant.id, &["overdue"], Some(ends), fleet.clock.now()).await;
    let client = client.with_key(&key);
    assert_eq!(look(&client).await.status, StatusCode::OK);
    fleet.hands.set(ends);
    assert_eq!(look(&client).await.body["code"], "api_key_expired");
    fleet.end().await;
}

#[tokio::test]
async fn bad_keys_cost_few_look_ups_and_lock_out_nobody_who_was_let_in() {
    let believed_for = Duration::from_millis(100);
    let options = only_the_api(|api| {
        api.limits.refused_keys = a_few(10);
        api.limits.key_believed_for = believed_for;
    });
    let (fleet, _, client) = Fleet::with(options, TenantOptions::default()).await;
    assert_eq!(look(&client).await.status, StatusCode::OK);
    let before = fleet.metrics.key_look_ups.get();
    let malformed = looks(&client.with_key("regua_short"), 5).await;
    assert_eq!((count(&malformed, StatusCode::UNAUTHORIZED), fleet.metrics.key_look_ups.get()), (5, before));
    let mut unknown = Vec::new();
    for number in 0..50 {
        unknown.push(look(&client.with_key(&stranger(number))).await.status.as_u16());
    }
    assert_eq!((count(&unknown, StatusCode::UNAUTHORIZED), count(&unknown, StatusCode::TOO_MANY_REQUESTS)), (5, 45));
    assert_eq!(fleet.metrics.key_look_ups.get(), before + 5);
    let refused = look(&client.with_key(&stranger(0))).await;
    assert_eq!(
        (&refused.body["code"], &refused.headers["retry-after"]),
        (&json!("rate_limited"), &"60".parse().unwrap())
    );
    // A good key of the same address, long after it was last looked up.
    tokio::time::sleep(2 * believed_for).await;
    assert_eq!(count(&looks(&client, 20).await, StatusCode::OK), 20);
    let elsewhere = client.with_key(&stranger(1)).from_address("127.0.0.9".parse().unwrap());
    assert_eq!(look(&elsewhere).await.status, StatusCode::UNAUTHORIZED);
    assert!(fleet.metrics.requests_refused.with_label_values(&["refused_keys"]).get() >= 45);
    fleet.end().await;
}

#[tokio::test]
async fn webhooks_with_their_secret_come_in_whatever_else_their_address_sends() {
    let options = only_the_api(|api| {
        api.limits.refused_keys = a_few(3);
        api.limits.per_address = Some(a_few(1));
    });
    let (fleet, tenant, client) = Fleet::with(options, TenantOptions::default()).await;
    let secret = fleet.subscribe(&tenant, "matriz").await;
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
