//! Sessions: their lifetime and end, refresh tokens, and the console's cookie.

use chrono::TimeDelta;
use regua_domain::UserRole;
use regua_store::users;
use regua_tests::{PASSWORD, TestUser};
use reqwest::{Method, StatusCode};
use serde_json::json;

use super::{code, fleet};

#[tokio::test(flavor = "multi_thread")]
async fn refresh_token_is_single_use_and_its_reuse_ends_the_session() {
    let (fleet, tenant) = fleet().await;
    let mut ana = TestUser::logged_in(&fleet, &tenant, UserRole::Viewer, "ana").await;
    let first = ana.log_in().await;
    let refresh = async |token: &str| {
        ana.without_credentials().post("/api/v1/auth/refresh", &json!({"refresh_token": token})).await
    };
    let second = refresh(&first).await;
    assert_eq!(second.status, StatusCode::OK, "{:#}", second.body);
    let newer = TestUser { bearer: second.body["access_token"].as_str().map(str::to_owned), ..ana.clone() };
    assert_eq!(newer.get("/api/v1/auth/me").await.status, StatusCode::OK);

    assert_eq!(code(&refresh(&first).await), "token_invalid", "the token is spent");
    assert_eq!(
        code(&refresh(second.body["refresh_token"].as_str().unwrap()).await),
        "token_invalid",
        "its reuse ended the session"
    );
    assert_eq!(code(&newer.get("/api/v1/auth/me").await), "not_authenticated", "and its access tokens");
    let reuse = "select count(*) from sessions where ended_by = 'reuse'";
    assert_eq!(fleet.count(reuse).await, 1);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn access_token_lasts_ten_minutes_and_session_thirty_days() {
    let (fleet, tenant) = fleet().await;
    let mut ana = TestUser::logged_in(&fleet, &tenant, UserRole::Viewer, "ana").await;
    let token = ana.log_in().await;
    fleet.manual_clock.set(fleet.clock.now() + TimeDelta::minutes(10));
    assert_eq!(code(&ana.get("/api/v1/auth/me").await), "not_authenticated");
    let body = json!({"refresh_token": token});
    let refreshed = ana.without_credentials().post("/api/v1/auth/refresh", &body).await;
    assert_eq!(refreshed.status, StatusCode::OK);
    fleet.manual_clock.set(fleet.clock.now() + TimeDelta::days(30));
    let late = json!({"refresh_token": refreshed.body["refresh_token"]});
    assert_eq!(code(&ana.without_credentials().post("/api/v1/auth/refresh", &late).await), "token_invalid");
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn logout_ends_session_at_once() {
    let (fleet, tenant) = fleet().await;
    let mut ana = TestUser::logged_in(&fleet, &tenant, UserRole::Viewer, "ana").await;
    let token = ana.log_in().await;
    let logout = async || ana.without_credentials().post("/api/v1/auth/logout", &json!({"refresh_token": token})).await;
    assert_eq!(logout().await.status, StatusCode::NO_CONTENT);
    assert_eq!(code(&ana.get("/api/v1/auth/me").await), "not_authenticated");
    assert_eq!(logout().await.status, StatusCode::NO_CONTENT, "a second logout is harmless");
    fleet.end().await;
}

/// Logs in at the console. Returns the user with the session cookie.
pub(super) async fn log_in_at_console(person: &TestUser) -> TestUser {
    let body = json!({"tenant": person.tenant, "email": person.email, "password": PASSWORD});
    let opened = person.without_credentials().post("/api/v1/auth/session", &body).await;
    assert_eq!(opened.status, StatusCode::OK, "{:#}", opened.body);
    let set = opened.headers["set-cookie"].to_str().unwrap();
    for attribute in
        ["__Host-regua_session=", "; Path=/", "; Secure", "; HttpOnly", "; SameSite=Strict", "; Max-Age=604800"]
    {
        assert!(set.contains(attribute), "the cookie has no {attribute}: {set}");
    }
    let cookie = set.split(';').next().map(str::to_owned);
    regua_tests::logs::register_secret(cookie.as_deref().unwrap().split_once('=').unwrap().1);
    TestUser { cookie, ..person.without_credentials() }
}

#[tokio::test(flavor = "multi_thread")]
async fn console_cookie_works_for_same_origin_requests_only() {
    let (fleet, tenant) = fleet().await;
    let ana = TestUser::logged_in(&fleet, &tenant, UserRole::Owner, "ana").await;
    let console = log_in_at_console(&ana).await;
    assert_eq!(console.get("/api/v1/auth/me").await.status, StatusCode::OK);
    let key = json!({"name": "ERP"});
    let from = async |site: Option<&str>| {
        let request = console.request(Method::POST, "/api/v1/admin/keys", Some(&key));
        let request = match site {
            Some(site) => request.header("Sec-Fetch-Site", site),
            None => request,
        };
        regua_tests::Client::answer(request).await
    };
    assert_eq!(code(&from(Some("cross-site")).await), "cross_site");
    assert_eq!(code(&from(None).await), "cross_site", "a request without Sec-Fetch-Site");
    assert_eq!(from(Some("same-origin")).await.status, StatusCode::CREATED);
    let stolen = TestUser {
        bearer: console.cookie.clone().map(|cookie| cookie.replace("__Host-regua_session=", "")),
        cookie: None,
        ..ana.clone()
    };
    assert_eq!(
        code(&stolen.get("/api/v1/auth/me").await),
        "not_authenticated",
        "the cookie is not accepted as a token"
    );

    let left = console.delete("/api/v1/auth/session").await;
    assert_eq!(left.status, StatusCode::NO_CONTENT);
    assert!(left.headers["set-cookie"].to_str().unwrap().contains("Max-Age=0"));
    assert_eq!(code(&console.get("/api/v1/auth/me").await), "not_authenticated");
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_console_session_ends_after_twelve_hours() {
    let (fleet, tenant) = fleet().await;
    let console = log_in_at_console(&TestUser::logged_in(&fleet, &tenant, UserRole::Owner, "ana").await).await;
    for _ in 0..3 {
        fleet.manual_clock.set(fleet.clock.now() + TimeDelta::hours(11));
        assert_eq!(console.get("/api/v1/auth/me").await.status, StatusCode::OK, "the session is in use");
    }
    fleet.manual_clock.set(fleet.clock.now() + TimeDelta::hours(12));
    assert_eq!(code(&console.get("/api/v1/auth/me").await), "not_authenticated");
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_password_ends_every_session() {
    let (fleet, tenant) = fleet().await;
    let ana = TestUser::logged_in(&fleet, &tenant, UserRole::Viewer, "ana").await;
    let console = log_in_at_console(&ana).await;
    let new = "outro grampo correto";
    regua_tests::logs::register_secret(new);
    let change =
        async |current: &str| ana.post("/api/v1/auth/password", &json!({"current": current, "password": new})).await;
    assert_eq!(change("nem perto").await.body["errors"][0]["field"], "current");
    assert_eq!(change(PASSWORD).await.status, StatusCode::NO_CONTENT);
    for person in [&ana, &console] {
        assert_eq!(code(&person.get("/api/v1/auth/me").await), "not_authenticated");
    }
    assert_eq!(code(&ana.try_login(PASSWORD, None).await), "login_failed");
    assert_eq!(ana.try_login(new, None).await.status, StatusCode::OK);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn logout_with_spent_refresh_token_ends_the_session() {
    let (fleet, tenant) = fleet().await;
    let mut ana = TestUser::logged_in(&fleet, &tenant, UserRole::Viewer, "ana").await;
    let first = ana.log_in().await;
    let stolen = ana.without_credentials().post("/api/v1/auth/refresh", &json!({"refresh_token": first})).await;
    let thief = TestUser { bearer: stolen.body["access_token"].as_str().map(str::to_owned), ..ana.clone() };
    assert_eq!(thief.get("/api/v1/auth/me").await.status, StatusCode::OK);
    let left = ana.without_credentials().post("/api/v1/auth/logout", &json!({"refresh_token": first})).await;
    assert_eq!(left.status, StatusCode::NO_CONTENT);
    assert_eq!(code(&thief.get("/api/v1/auth/me").await), "not_authenticated");
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn repeated_refreshes_do_not_grow_the_session_row() {
    let (fleet, tenant) = fleet().await;
    let mut ana = TestUser::logged_in(&fleet, &tenant, UserRole::Viewer, "ana").await;
    let mut token = ana.log_in().await;
    for _ in 0..205 {
        let answer = ana.without_credentials().post("/api/v1/auth/refresh", &json!({ "refresh_token": token })).await;
        token = answer.body["refresh_token"].as_str().unwrap_or_else(|| panic!("{:#}", answer.body)).to_owned();
    }
    assert_eq!(fleet.count("select max(cardinality(spent_hashes))::bigint from sessions").await, 200);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn user_cannot_reset_own_password_by_invitation() {
    let (fleet, tenant) = fleet().await;
    let ana = TestUser::logged_in(&fleet, &tenant, UserRole::Owner, "ana").await;
    TestUser::logged_in(&fleet, &tenant, UserRole::Owner, "bia").await;
    let invited = ana.post(&format!("/api/v1/admin/users/{}/invitation", ana.id), &json!({})).await;
    assert_eq!(code(&invited), "state_conflict", "a user cannot invite themselves");
    assert_eq!(ana.try_login(PASSWORD, None).await.status, StatusCode::OK);
    fleet.end().await;
}

/// Credentials are checked outside of the transaction. The login counts only while they are unchanged.
#[tokio::test(flavor = "multi_thread")]
async fn login_checked_against_replaced_password_opens_no_session() {
    let (fleet, tenant) = fleet().await;
    let ana = TestUser::logged_in(&fleet, &tenant, UserRole::Viewer, "ana").await;
    let now = fleet.clock.now();
    let mut conn = fleet.database.pool.acquire().await.unwrap();
    let checked = users::credentials(&mut conn, tenant.id, &ana.email).await.unwrap().unwrap();
    assert!(users::record_login(&mut conn, tenant.id, &checked, None, None, now).await.unwrap());
    assert!(users::set_password(&mut conn, tenant.id, &checked, "$argon2id$outra", now).await.unwrap());
    assert!(!users::record_login(&mut conn, tenant.id, &checked, None, None, now).await.unwrap());
    assert!(!users::set_password(&mut conn, tenant.id, &checked, "$argon2id$mais", now).await.unwrap());
    assert!(!users::set_totp(&mut conn, tenant.id, &checked, None, None, &[], now).await.unwrap());
    fleet.end().await;
}
