//! Logins: how long they last, how they end, and the console's cookie.

use chrono::TimeDelta;
use regua_domain::UserRole;
use regua_store::users;
use regua_tests::{PASSWORD, Person};
use reqwest::{Method, StatusCode};
use serde_json::json;

use super::{code, fleet};

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_is_good_for_once_and_a_copy_of_it_ends_the_login() {
    let (fleet, tenant) = fleet().await;
    let mut ana = Person::logged_in(&fleet, &tenant, UserRole::Viewer, "ana").await;
    let first = ana.log_in().await;
    let refresh =
        async |token: &str| ana.outside().post("/api/v1/auth/refresh", &json!({"refresh_token": token})).await;
    let second = refresh(&first).await;
    assert_eq!(second.status, StatusCode::OK, "{:#}", second.body);
    let newer = Person { bearer: second.body["access_token"].as_str().map(str::to_owned), ..ana.clone() };
    assert_eq!(newer.get("/api/v1/auth/me").await.status, StatusCode::OK);

    assert_eq!(code(&refresh(&first).await), "token_invalid", "it was used");
    assert_eq!(
        code(&refresh(second.body["refresh_token"].as_str().unwrap()).await),
        "token_invalid",
        "so the login ended"
    );
    assert_eq!(code(&newer.get("/api/v1/auth/me").await), "not_authenticated", "with its access tokens");
    let reuse = "select count(*) from sessions where ended_by = 'reuse'";
    assert_eq!(fleet.count(reuse).await, 1);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn access_tokens_last_ten_minutes_and_logins_thirty_days() {
    let (fleet, tenant) = fleet().await;
    let mut ana = Person::logged_in(&fleet, &tenant, UserRole::Viewer, "ana").await;
    let token = ana.log_in().await;
    fleet.hands.set(fleet.clock.now() + TimeDelta::minutes(10));
    assert_eq!(code(&ana.get("/api/v1/auth/me").await), "not_authenticated");
    let body = json!({"refresh_token": token});
    let refreshed = ana.outside().post("/api/v1/auth/refresh", &body).await;
    assert_eq!(refreshed.status, StatusCode::OK);
    fleet.hands.set(fleet.clock.now() + TimeDelta::days(30));
    let late = json!({"refresh_token": refreshed.body["refresh_token"]});
    assert_eq!(code(&ana.outside().post("/api/v1/auth/refresh", &late).await), "token_invalid");
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_logs_out_is_out_at_once() {
    let (fleet, tenant) = fleet().await;
    let mut ana = Person::logged_in(&fleet, &tenant, UserRole::Viewer, "ana").await;
    let token = ana.log_in().await;
    let logout = async || ana.outside().post("/api/v1/auth/logout", &json!({"refresh_token": token})).await;
    assert_eq!(logout().await.status, StatusCode::NO_CONTENT);
    assert_eq!(code(&ana.get("/api/v1/auth/me").await), "not_authenticated");
    assert_eq!(logout().await.status, StatusCode::NO_CONTENT, "twice is no more than once");
    fleet.end().await;
}

/// Somebody at the console, with the cookie that was set.
async fn at_the_console(person: &Person) -> Person {
    let body = json!({"tenant": person.tenant, "email": person.email, "password": PASSWORD});
    let opened = person.outside().post("/api/v1/auth/session", &body).await;
    assert_eq!(opened.status, StatusCode::OK, "{:#}", opened.body);
    let set = opened.headers["set-cookie"].to_str().unwrap();
    for attribute in
        ["__Host-regua_session=", "; Path=/", "; Secure", "; HttpOnly", "; SameSite=Strict", "; Max-Age=604800"]
    {
        assert!(set.contains(attribute), "{attribute} is not in {set}");
    }
    let cookie = set.split(';').next().map(str::to_owned);
    regua_tests::logs::keep_secret(cookie.as_deref().unwrap().split_once('=').unwrap().1);
    Person { cookie, ..person.outside() }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_consoles_cookie_works_for_our_own_pages_alone() {
    let (fleet, tenant) = fleet().await;
    let ana = Person::logged_in(&fleet, &tenant, UserRole::Owner, "ana").await;
    let console = at_the_console(&ana).await;
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
    assert_eq!(code(&from(None).await), "cross_site", "no browser's");
    assert_eq!(from(Some("same-origin")).await.status, StatusCode::CREATED);
    let stolen = Person {
        bearer: console.cookie.clone().map(|cookie| cookie.replace("__Host-regua_session=", "")),
        cookie: None,
        ..ana.clone()
    };
    assert_eq!(code(&stolen.get("/api/v1/auth/me").await), "not_authenticated", "a cookie is no token");

    let left = console.delete("/api/v1/auth/session").await;
    assert_eq!(left.status, StatusCode::NO_CONTENT);
    assert!(left.headers["set-cookie"].to_str().unwrap().contains("Max-Age=0"));
    assert_eq!(code(&console.get("/api/v1/auth/me").await), "not_authenticated");
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_console_that_nobody_uses_is_closed_after_twelve_hours() {
    let (fleet, tenant) = fleet().await;
    let console = at_the_console(&Person::logged_in(&fleet, &tenant, UserRole::Owner, "ana").await).await;
    for _ in 0..3 {
        fleet.hands.set(fleet.clock.now() + TimeDelta::hours(11));
        assert_eq!(console.get("/api/v1/auth/me").await.status, StatusCode::OK, "it is used");
    }
    fleet.hands.set(fleet.clock.now() + TimeDelta::hours(12));
    assert_eq!(code(&console.get("/api/v1/auth/me").await), "not_authenticated");
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_password_ends_every_login() {
    let (fleet, tenant) = fleet().await;
    let ana = Person::logged_in(&fleet, &tenant, UserRole::Viewer, "ana").await;
    let console = at_the_console(&ana).await;
    let new = "outro grampo correto";
    regua_tests::logs::keep_secret(new);
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
async fn whoever_logs_out_with_a_token_that_somebody_else_has_used_ends_the_login() {
    let (fleet, tenant) = fleet().await;
    let mut ana = Person::logged_in(&fleet, &tenant, UserRole::Viewer, "ana").await;
    let first = ana.log_in().await;
    let stolen = ana.outside().post("/api/v1/auth/refresh", &json!({"refresh_token": first})).await;
    let thief = Person { bearer: stolen.body["access_token"].as_str().map(str::to_owned), ..ana.clone() };
    assert_eq!(thief.get("/api/v1/auth/me").await.status, StatusCode::OK);
    let left = ana.outside().post("/api/v1/auth/logout", &json!({"refresh_token": first})).await;
    assert_eq!(left.status, StatusCode::NO_CONTENT);
    assert_eq!(code(&thief.get("/api/v1/auth/me").await), "not_authenticated");
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_is_refreshed_for_ever_does_not_grow() {
    let (fleet, tenant) = fleet().await;
    let mut ana = Person::logged_in(&fleet, &tenant, UserRole::Viewer, "ana").await;
    let mut token = ana.log_in().await;
    for _ in 0..205 {
        let answer = ana.outside().post("/api/v1/auth/refresh", &json!({ "refresh_token": token })).await;
        token = answer.body["refresh_token"].as_str().unwrap_or_else(|| panic!("{:#}", answer.body)).to_owned();
    }
    assert_eq!(fleet.count("select max(cardinality(spent_hashes))::bigint from sessions").await, 200);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_console_is_not_enough_to_take_an_account_over() {
    let (fleet, tenant) = fleet().await;
    let ana = Person::logged_in(&fleet, &tenant, UserRole::Owner, "ana").await;
    Person::logged_in(&fleet, &tenant, UserRole::Owner, "bia").await;
    let invited = ana.post(&format!("/api/v1/admin/users/{}/invitation", ana.id), &json!({})).await;
    assert_eq!(code(&invited), "state_conflict", "nobody invites themselves");
    assert_eq!(ana.try_login(PASSWORD, None).await.status, StatusCode::OK);
    fleet.end().await;
}

/// What is checked outside of a transaction counts only while it still stands.
#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_was_checked_against_what_stands_no_more_opens_nothing() {
    let (fleet, tenant) = fleet().await;
    let ana = Person::logged_in(&fleet, &tenant, UserRole::Viewer, "ana").await;
    let now = fleet.clock.now();
    let mut conn = fleet.database.pool.acquire().await.unwrap();
    let checked = users::credentials(&mut conn, tenant.id, &ana.email).await.unwrap().unwrap();
    assert!(users::came_in(&mut conn, tenant.id, &checked, None, None, now).await.unwrap());
    assert!(users::set_password(&mut conn, tenant.id, &checked, "$argon2id$outra", now).await.unwrap());
    assert!(!users::came_in(&mut conn, tenant.id, &checked, None, None, now).await.unwrap());
    assert!(!users::set_password(&mut conn, tenant.id, &checked, "$argon2id$mais", now).await.unwrap());
    assert!(!users::set_totp(&mut conn, tenant.id, &checked, None, None, &[], now).await.unwrap());
    fleet.end().await;
}
