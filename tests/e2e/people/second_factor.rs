//! The second factor: setting it requires the password, every login requires a code, and each code is single-use.

use chrono::TimeDelta;
use regua_domain::UserRole;
use regua_tests::{PASSWORD, TestUser, logs};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use totp_rs::{Builder, Secret};

use super::{code, fleet};

const TOTP: &str = "/api/v1/auth/totp";

/// The code that an authenticator app shows at this time.
fn code_at(seed: &str, at: i64) -> String {
    let totp =
        Builder::new().with_secret(Secret::try_from_base32(seed).unwrap()).with_account_name("-").build().unwrap();
    totp.generate(u64::try_from(at).unwrap()).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn totp_code_is_required_at_every_login_and_is_single_use() {
    let (fleet, tenant) = fleet().await;
    let ana = TestUser::logged_in(&fleet, &tenant, UserRole::Owner, "ana").await;
    assert_eq!(ana.post(TOTP, &json!({"current": "nem perto"})).await.body["errors"][0]["field"], "current");
    let begun = ana.post(TOTP, &json!({"current": PASSWORD})).await;
    assert_eq!(begun.status, StatusCode::OK, "{:#}", begun.body);
    let seed = begun.body["secret"].as_str().unwrap();
    logs::register_secret(seed);
    assert_eq!(ana.try_login(PASSWORD, None).await.status, StatusCode::OK, "not required before the first code");
    assert_eq!(ana.put(TOTP, &json!({"code": "000000"})).await.body["errors"][0]["code"], "wrong_code");
    let now = || fleet.clock.now().timestamp();
    let confirmed = ana.put(TOTP, &json!({"code": code_at(seed, now())})).await;
    assert_eq!(confirmed.status, StatusCode::OK, "{:#}", confirmed.body);
    let recovery: Vec<_> =
        confirmed.body["recovery_codes"].as_array().unwrap().iter().map(|code| code.as_str().unwrap()).collect();
    recovery.iter().for_each(|code| logs::register_secret(code));

    assert_eq!(code(&ana.try_login(PASSWORD, None).await), "totp_required");
    assert_eq!(
        code(&ana.try_login("outra senha qualquer", None).await),
        "login_failed",
        "a wrong password does not reveal the second factor"
    );
    assert_eq!(
        code(&ana.try_login(PASSWORD, Some(&code_at(seed, now()))).await),
        "login_failed",
        "the code of the setup is spent"
    );
    fleet.manual_clock.set(fleet.clock.now() + TimeDelta::seconds(30));
    let next = code_at(seed, now());
    assert_eq!(ana.try_login(PASSWORD, Some(&next)).await.status, StatusCode::OK);
    assert_eq!(code(&ana.try_login(PASSWORD, Some(&next)).await), "login_failed", "the code is spent");

    assert_eq!(
        ana.try_login(PASSWORD, Some(&recovery[3].to_uppercase())).await.status,
        StatusCode::OK,
        "a recovery code replaces the app"
    );
    assert_eq!(code(&ana.try_login(PASSWORD, Some(recovery[3])).await), "login_failed", "the code is spent");
    assert_eq!(
        fleet.count("select count(*) from users where totp_seed like 'v1:%'").await,
        1,
        "the seed is stored sealed"
    );

    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn second_factor_is_removed_with_an_unused_code_only() {
    let (fleet, tenant) = fleet().await;
    let ana = TestUser::logged_in(&fleet, &tenant, UserRole::Owner, "ana").await;
    let remove = async |body: Value| ana.call(Method::DELETE, TOTP, Some(&body)).await;
    let now = || fleet.clock.now().timestamp();
    for round in ["app", "recovery"] {
        let begun = ana.post(TOTP, &json!({"current": PASSWORD})).await;
        let seed = begun.body["secret"].as_str().unwrap();
        logs::register_secret(seed);
        let spent = code_at(seed, now());
        let confirmed = ana.put(TOTP, &json!({ "code": spent })).await;
        let recovery = confirmed.body["recovery_codes"].as_array().unwrap();
        recovery.iter().for_each(|code| logs::register_secret(code.as_str().unwrap()));
        for code in [Value::Null, "000000".into(), spent.into()] {
            let refused = remove(json!({"current": PASSWORD, "code": code})).await;
            assert_eq!(refused.body["errors"][0]["code"], "wrong_code", "{code}: {:#}", refused.body);
        }
        fleet.manual_clock.set(fleet.clock.now() + TimeDelta::seconds(30));
        let code = if round == "app" { code_at(seed, now()).into() } else { recovery[0].clone() };
        let removed = remove(json!({"current": PASSWORD, "code": code})).await;
        assert_eq!(removed.status, StatusCode::NO_CONTENT, "{round}: {:#}", removed.body);
        assert_eq!(ana.try_login(PASSWORD, None).await.status, StatusCode::OK);
    }
    assert_eq!(ana.post(TOTP, &json!({"current": PASSWORD})).await.status, StatusCode::OK);
    let removed = remove(json!({"current": PASSWORD})).await;
    assert_eq!(removed.status, StatusCode::NO_CONTENT, "a second factor without a first code");
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn guesses_of_the_code_that_removes_the_second_factor_count_as_failed_logins() {
    let (fleet, tenant) = fleet().await;
    let ana = TestUser::logged_in(&fleet, &tenant, UserRole::Owner, "ana").await;
    let begun = ana.post(TOTP, &json!({"current": PASSWORD})).await;
    let seed = begun.body["secret"].as_str().unwrap();
    logs::register_secret(seed);
    let confirmed = ana.put(TOTP, &json!({"code": code_at(seed, fleet.clock.now().timestamp())})).await;
    assert_eq!(confirmed.status, StatusCode::OK, "{:#}", confirmed.body);
    let mut statuses = Vec::new();
    for _ in 0..6 {
        let guess = json!({"current": PASSWORD, "code": "000000"});
        statuses.push(ana.call(Method::DELETE, TOTP, Some(&guess)).await.status.as_u16());
    }
    assert_eq!(statuses, [422, 422, 422, 422, 422, 429]);
    fleet.end().await;
}
