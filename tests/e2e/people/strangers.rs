//! Logins and sessions of users beside strangers who fail: in a flood, behind the same NAT, or with made-up secrets.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use regua_api::ApiMetrics;
use regua_boot::Registry;
use regua_domain::UserRole;
use regua_tests::{Answer, PASSWORD, TestUser, eventually};
use reqwest::StatusCode;
use serde_json::json;
use tokio::task::JoinSet;

use super::sessions::log_in_at_console;
use super::{code, fleet_with, rate};

const WRONG: &str = "outra senha qualquer";

/// Logs in with wrong passwords, one after the other from each of 30 addresses, until `ended`. Returns the number of
/// answers by status.
async fn flood(person: TestUser, refused: Arc<AtomicU32>, ended: Arc<AtomicBool>) -> BTreeMap<u16, u32> {
    let mut attackers = JoinSet::new();
    for n in 1..=30 {
        let (person, refused, ended) = (person.from_address(&format!("127.0.7.{n}")), refused.clone(), ended.clone());
        attackers.spawn(async move {
            let mut answers = BTreeMap::<u16, u32>::new();
            for attempt in 0.. {
                let person = TestUser { email: format!("a{attempt}-{n}@acme.example"), ..person.clone() };
                let status = person.try_login(WRONG, None).await.status;
                *answers.entry(status.as_u16()).or_default() += 1;
                if status == StatusCode::SERVICE_UNAVAILABLE {
                    refused.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                }
                if ended.load(Ordering::Relaxed) {
                    break;
                }
            }
            answers
        });
    }
    let all = attackers.join_all().await;
    all.into_iter().flatten().fold(BTreeMap::new(), |mut sum, (status, number)| {
        *sum.entry(status).or_default() += number;
        sum
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn valid_logins_succeed_beside_a_flood_of_bad_ones() {
    // Four for strangers, one of an address, and four for known clients.
    let (fleet, tenant) = fleet_with(|api| api.limits.password_checks = 8).await;
    let ana = TestUser::logged_in(&fleet, &tenant, UserRole::Viewer, "ana").await;
    let (refused, ended) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
    let flooding = tokio::spawn(flood(ana.without_credentials(), refused.clone(), ended.clone()));
    eventually("bad logins to be refused", async || refused.load(Ordering::Relaxed) > 20).await;
    for _ in 0..5 {
        assert_eq!(ana.try_login(PASSWORD, None).await.status, StatusCode::OK, "from a known address, at once");
    }
    let elsewhere = ana.from_address("127.0.8.1");
    eventually("a login from a new address", async || {
        let answer = elsewhere.try_login(PASSWORD, None).await;
        assert!(matches!(answer.status.as_u16(), 200 | 503), "{:#}", answer.body);
        answer.status == StatusCode::OK
    })
    .await;
    ended.store(true, Ordering::Relaxed);
    let answers = flooding.await.unwrap();
    assert!(answers.keys().all(|status| matches!(status, 401 | 503)), "{answers:?}");
    let checked = i64::from(answers[&401]);
    let counted = fleet.count("select sum(failures)::bigint from login_failures").await;
    assert_eq!(counted, checked, "a refused login does no work in the database");
    fleet.end().await;
}

/// The refresh token of no session.
fn made_up_secret() -> String {
    "A".repeat(86)
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_work_whatever_else_their_address_sends() {
    let (fleet, tenant) = fleet_with(|api| {
        api.limits.refused_keys = rate(5);
        api.limits.per_address = Some(rate(20));
    })
    .await;
    let mut ana = TestUser::logged_in(&fleet, &tenant, UserRole::Viewer, "ana").await;
    let token = ana.log_in().await;
    let console = log_in_at_console(&ana).await;
    let bare = ana.without_credentials();
    let refresh = async |token: &str| bare.post("/api/v1/auth/refresh", &json!({ "refresh_token": token })).await;
    let mut refused = Vec::new();
    for _ in 0..10 {
        refused.push(refresh(&made_up_secret()).await.status.as_u16());
    }
    assert_eq!(refused, [401, 401, 401, 401, 401, 429, 429, 429, 429, 429]);
    let mut token = token;
    for _ in 0..2 {
        let answer = refresh(&token).await;
        assert_eq!(answer.status, StatusCode::OK, "{:#}", answer.body);
        token = answer.body["refresh_token"].as_str().unwrap().to_owned();
        regua_tests::logs::register_secret(&token);
    }
    eventually("the rate of the address to be used up", async || {
        bare.get("/nowhere").await.status == StatusCode::TOO_MANY_REQUESTS
    })
    .await;
    for user in [&console, &ana] {
        assert_eq!(user.get("/api/v1/auth/me").await.status, StatusCode::OK);
        assert_eq!(user.get("/api/v1/billing/queues").await.status, StatusCode::OK);
    }
    let guess = TestUser { cookie: Some(format!("__Host-regua_session={}", made_up_secret())), ..bare.clone() };
    assert_eq!(guess.get("/api/v1/auth/me").await.status, StatusCode::TOO_MANY_REQUESTS, "a made-up cookie");
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_secrets_that_were_found_are_refunded() {
    let (mut fleet, tenant) = fleet_with(|api| api.limits.refused_keys = rate(3)).await;
    let mut ana = TestUser::logged_in(&fleet, &tenant, UserRole::Viewer, "ana").await;
    let forged = TestUser {
        cookie: Some(format!("__Host-regua_session={}", made_up_secret())),
        ..ana.from_address("127.0.9.1").without_credentials()
    };
    let mut statuses = Vec::new();
    for _ in 0..5 {
        statuses.push(forged.delete("/api/v1/auth/session").await.status.as_u16());
    }
    assert_eq!(statuses, [204, 204, 204, 429, 429], "a made-up cookie is charged");
    let body = json!({ "refresh_token": made_up_secret() });
    let stranger = ana.from_address("127.0.9.2").without_credentials();
    let mut statuses = Vec::new();
    for _ in 0..5 {
        statuses.push(stranger.post("/api/v1/auth/logout", &body).await.status.as_u16());
    }
    assert_eq!(statuses, [204, 204, 204, 429, 429], "a made-up token is charged");
    // Another process does not know the sessions, so it charges each of them until it has found it.
    let base = fleet.start_another_api(ApiMetrics::new(&Registry::default()).unwrap()).await;
    let bare = TestUser { base, ..ana.from_address("127.0.9.3").without_credentials() };
    for _ in 0..6 {
        assert_eq!(bare.delete("/api/v1/auth/session").await.status, StatusCode::NO_CONTENT, "there is no secret");
        let token = ana.log_in().await;
        let out = bare.post("/api/v1/auth/logout", &json!({ "refresh_token": token })).await;
        assert_eq!(out.status, StatusCode::NO_CONTENT);
    }
    fleet.end().await;
}

fn device_cookie(answer: &Answer) -> String {
    let mut cookies = answer.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap());
    let cookie = cookies.rfind(|cookie| cookie.starts_with("__Host-regua_device=")).unwrap();
    assert!(cookie.contains("; HttpOnly; SameSite=Strict; Max-Age=7776000"), "{cookie}");
    cookie.split(';').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_of_the_same_network_do_not_lock_out_known_devices() {
    let (fleet, tenant) = fleet_with(|api| api.limits.refused_keys = rate(8)).await;
    let ana = TestUser::logged_in(&fleet, &tenant, UserRole::Viewer, "ana").await.without_credentials();
    let rui = TestUser::logged_in(&fleet, &tenant, UserRole::Viewer, "rui").await.without_credentials();
    let with_device = |person: &TestUser, cookie: String| TestUser { cookie: Some(cookie), ..person.clone() };
    let of_ana = with_device(&ana, device_cookie(&ana.try_login(PASSWORD, None).await));
    let of_rui = with_device(&ana, device_cookie(&rui.try_login(PASSWORD, None).await));
    for _ in 0..5 {
        assert_eq!(code(&ana.try_login(WRONG, None).await), "login_failed");
    }
    assert_eq!(code(&ana.try_login(PASSWORD, None).await), "rate_limited", "the network is refused");
    assert_eq!(code(&of_rui.try_login(PASSWORD, None).await), "rate_limited", "the device of another user");
    let forged = with_device(&ana, format!("__Host-regua_device={}", "A".repeat(96)));
    assert_eq!(code(&forged.try_login(PASSWORD, None).await), "rate_limited", "a forged proof");
    for _ in 0..3 {
        ana.try_login(WRONG, None).await;
    }
    assert_eq!(of_ana.try_login(PASSWORD, None).await.status, StatusCode::OK, "the user's own device");
    for _ in 0..5 {
        assert_eq!(code(&of_ana.try_login(WRONG, None).await), "login_failed");
    }
    assert_eq!(
        code(&of_ana.try_login(PASSWORD, None).await),
        "rate_limited",
        "guesses with a copied proof are limited"
    );
    fleet.end().await;
}
