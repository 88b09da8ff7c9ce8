//! Users: invitations, logins, failure limits, deactivation, API keys and the audit log.

mod concurrency;
mod second_factor;
mod sessions;
mod strangers;

use std::num::NonZeroU32;

use chrono::TimeDelta;
use regua_api::{ApiMetrics, ApiSettings};
use regua_boot::Registry;
use regua_domain::{Rate, UserRole};
use regua_tests::{Answer, Fleet, FleetOptions, PASSWORD, Tenant, TenantOptions, TestUser};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// A fleet without workers and periodic, and a tenant.
async fn fleet() -> (Fleet, Tenant) {
    fleet_with(|_| {}).await
}

/// The same, with changed API settings.
async fn fleet_with(change: impl FnOnce(&mut ApiSettings)) -> (Fleet, Tenant) {
    let mut options = FleetOptions { workers: 0, periodic: false, ..FleetOptions::default() };
    change(&mut options.api);
    let (fleet, tenant, _) = Fleet::with(options, TenantOptions::default()).await;
    (fleet, tenant)
}

/// This many requests at once, then one a minute.
fn rate(burst: u32) -> Rate {
    Rate::with_burst(NonZeroU32::MIN, NonZeroU32::new(burst).unwrap())
}

/// Status and body of an answer, without its request id.
fn comparable(answer: &Answer) -> (StatusCode, Value) {
    let mut body = answer.body.clone();
    body.as_object_mut().unwrap().remove("request_id");
    (answer.status, body)
}

fn code(answer: &Answer) -> &str {
    answer.body["code"].as_str().unwrap_or_else(|| panic!("no problem: {} {:#}", answer.status, answer.body))
}

#[tokio::test(flavor = "multi_thread")]
async fn invited_user_sets_password_once_and_logs_in() {
    let (fleet, tenant) = fleet().await;
    let (mut ana, invitation) = TestUser::invited(&fleet, &tenant, UserRole::Operator, "ana").await;
    assert_eq!(code(&ana.try_login(PASSWORD, None).await), "login_failed", "there is no password yet");
    let weak = ana.accept(&invitation, "senha1234567").await;
    assert_eq!((code(&weak), &weak.body["errors"][0]["field"]), ("validation_failed", &json!("password")));
    assert_eq!(code(&ana.accept("convite-de-outra-pessoa", PASSWORD).await), "token_invalid");
    assert_eq!(ana.accept(&invitation, PASSWORD).await.status, StatusCode::NO_CONTENT);
    assert_eq!(code(&ana.accept(&invitation, PASSWORD).await), "token_invalid", "the invitation is used up");

    ana.log_in().await;
    let me = ana.get("/api/v1/auth/me").await;
    assert_eq!(
        (&me.body["email"], &me.body["role"]),
        (&json!("ana@acme.example"), &json!("operator")),
        "{:#}",
        me.body
    );
    assert_eq!(code(&ana.without_credentials().get("/api/v1/auth/me").await), "not_authenticated");
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn invitation_expires_after_a_week() {
    let (fleet, tenant) = fleet().await;
    let (ana, invitation) = TestUser::invited(&fleet, &tenant, UserRole::Viewer, "ana").await;
    fleet.manual_clock.set(fleet.clock.now() + TimeDelta::days(7));
    assert_eq!(code(&ana.accept(&invitation, PASSWORD).await), "token_invalid");
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_logins_get_the_same_answer_for_every_cause() {
    let (mut fleet, tenant) = fleet().await;
    let ana = TestUser::logged_in(&fleet, &tenant, UserRole::Viewer, "ana").await.without_credentials();
    let unknown = TestUser { email: "ninguem@acme.example".to_owned(), ..ana.clone() };
    let nowhere = TestUser { tenant: "nowhere".to_owned(), ..ana.clone() };
    let (invited, _) = TestUser::invited(&fleet, &tenant, UserRole::Viewer, "rui").await;
    let other = fleet.start_another_api(ApiMetrics::new(&Registry::default()).unwrap()).await;
    for attempt in 1..=7 {
        // The processes count together.
        let base = if attempt % 2 == 0 { &other } else { &fleet.api };
        let at = |person: &TestUser| TestUser { base: base.clone(), ..person.clone() };
        let wrong = at(&ana).try_login("outra senha qualquer", None).await;
        assert_eq!(wrong.status.as_u16(), if attempt <= 5 { 401 } else { 429 }, "attempt {attempt}");
        for person in [&unknown, &nowhere, &invited] {
            let answer = at(person).try_login(PASSWORD, None).await;
            assert_eq!(comparable(&answer), comparable(&wrong), "attempt {attempt} of {}", person.email);
            let seconds =
                answer.headers.get("retry-after").map(|value| value.to_str().unwrap().parse::<u16>().unwrap());
            assert_eq!(seconds.is_some(), attempt > 5, "attempt {attempt}");
            assert!(seconds.is_none_or(|seconds| (780..=901).contains(&seconds)), "{seconds:?}");
        }
    }
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_passwords_lock_out_their_own_address_only() {
    let (fleet, tenant) = fleet().await;
    let ana = TestUser::logged_in(&fleet, &tenant, UserRole::Viewer, "ana").await.without_credentials();
    let attacker = ana.from_address("127.0.0.66");
    for _ in 0..5 {
        assert_eq!(code(&attacker.try_login("outra senha qualquer", None).await), "login_failed");
    }
    let refused = attacker.try_login(PASSWORD, None).await;
    assert_eq!(code(&refused), "rate_limited", "the sixth attempt, also with the right password");
    let wait: i64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=901).contains(&wait), "{wait}");
    assert_eq!(ana.try_login(PASSWORD, None).await.status, StatusCode::OK, "the user logs in from another address");

    fleet.manual_clock.set(fleet.clock.now() + TimeDelta::seconds(wait));
    assert_eq!(
        attacker.try_login(PASSWORD, None).await.status,
        StatusCode::OK,
        "the same address may log in after `retry-after`"
    );
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_passwords_from_many_addresses_do_not_lock_out_known_network() {
    let (fleet, tenant) = fleet_with(|api| api.limits.password_checks = 1000).await;
    let ana = TestUser::logged_in(&fleet, &tenant, UserRole::Viewer, "ana").await.without_credentials();
    let mut guesses = tokio::task::JoinSet::new();
    for n in 0..26 {
        let attacker = ana.from_address(&format!("127.0.7.{}", n + 1));
        guesses.spawn(async move {
            for _ in 0..4 {
                attacker.try_login("outra senha qualquer", None).await;
            }
        });
    }
    guesses.join_all().await;
    assert_eq!(code(&ana.from_address("127.0.8.1").try_login(PASSWORD, None).await), "rate_limited");
    assert_eq!(ana.try_login(PASSWORD, None).await.status, StatusCode::OK, "from the network of an earlier login");
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deactivated_user_is_logged_out_and_last_owner_is_protected() {
    let (fleet, tenant) = fleet().await;
    let ana = TestUser::logged_in(&fleet, &tenant, UserRole::Owner, "ana").await;
    let rui = TestUser::logged_in(&fleet, &tenant, UserRole::Operator, "rui").await;
    let path = |person: &TestUser| format!("/api/v1/admin/users/{}", person.id);
    let deactivated = ana.put(&path(&rui), &json!({"name": "Rui", "role": "operator", "active": false})).await;
    assert_eq!(
        (deactivated.status, &deactivated.body["active"]),
        (StatusCode::OK, &json!(false)),
        "{:#}",
        deactivated.body
    );
    assert_eq!(code(&rui.get("/api/v1/auth/me").await), "not_authenticated");
    assert_eq!(code(&rui.try_login(PASSWORD, None).await), "login_failed");

    for change in [json!({"name": "Ana", "role": "viewer"}), json!({"name": "Ana", "role": "owner", "active": false})] {
        assert_eq!(code(&ana.put(&path(&ana), &change).await), "state_conflict", "{change}");
    }
    let promoted = ana.put(&path(&ana), &json!({"name": "Ana", "role": "platform"})).await;
    assert_eq!(code(&promoted), "forbidden", "an owner cannot grant the platform role");
    let actions: Vec<_> = ana.get("/api/v1/admin/audit").await.body["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["action"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(actions[0], "user.updated", "{actions:?}");
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn second_invitation_ends_password_and_sessions() {
    let (fleet, tenant) = fleet().await;
    let ana = TestUser::logged_in(&fleet, &tenant, UserRole::Owner, "ana").await;
    let rui = TestUser::logged_in(&fleet, &tenant, UserRole::Operator, "rui").await;
    let again = ana.post(&format!("/api/v1/admin/users/{}/invitation", rui.id), &json!({})).await;
    assert_eq!(again.status, StatusCode::CREATED, "{:#}", again.body);
    assert_eq!(code(&rui.get("/api/v1/auth/me").await), "not_authenticated");
    assert_eq!(code(&rui.try_login(PASSWORD, None).await), "login_failed");
    let invitation = again.body["invitation"].as_str().unwrap();
    regua_tests::logs::register_secret(invitation);
    assert_eq!(rui.accept(invitation, PASSWORD).await.status, StatusCode::NO_CONTENT);
    assert_eq!(rui.try_login(PASSWORD, None).await.status, StatusCode::OK);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn key_is_created_rotated_and_revoked_and_every_change_is_audited() {
    let (fleet, tenant) = fleet().await;
    let ana = TestUser::logged_in(&fleet, &tenant, UserRole::Owner, "ana").await;
    let erp = regua_tests::Client::new(&fleet.api, "");
    let works = async |key: &str| erp.with_key(key).call(Method::GET, "/api/v1/billing/queues", None).await.status;
    let created = ana
        .post("/api/v1/admin/keys", &json!({"name": "ERP", "types": ["overdue"], "allowed_networks": ["127.0.0.0/8"]}))
        .await;
    assert_eq!(created.status, StatusCode::CREATED, "{:#}", created.body);
    assert_eq!(created.body["allowed_networks"], json!(["127.0.0.0/8"]));
    let text = |answer: &Answer| {
        let text = answer.body["api_key"].as_str().unwrap().to_owned();
        regua_tests::logs::register_secret(&text);
        text
    };
    let (old, path) = (text(&created), format!("/api/v1/admin/keys/{}", created.body["key_id"].as_str().unwrap()));
    assert_eq!(works(&old).await, StatusCode::OK);

    let replaced = ana.post(&format!("{path}/rotate"), &json!({"overlap_seconds": 3600})).await;
    assert_eq!(replaced.status, StatusCode::CREATED, "{:#}", replaced.body);
    assert_eq!((&replaced.body["types"], &replaced.body["name"]), (&json!(["overdue"]), &json!("ERP")));
    let new = text(&replaced);
    assert_eq!((works(&old).await, works(&new).await), (StatusCode::OK, StatusCode::OK), "both keys work for an hour");
    fleet.manual_clock.set(fleet.clock.now() + TimeDelta::hours(1));
    regua_tests::eventually("the old key is refused", async || works(&old).await == StatusCode::UNAUTHORIZED).await;
    assert_eq!(works(&new).await, StatusCode::OK);

    let new_path = format!("/api/v1/admin/keys/{}", replaced.body["key_id"].as_str().unwrap());
    let mut ana = ana;
    ana.log_in().await;
    assert_eq!(ana.delete(&new_path).await.status, StatusCode::NO_CONTENT);
    regua_tests::eventually("the key is refused", async || works(&new).await == StatusCode::UNAUTHORIZED).await;

    let log = ana.get("/api/v1/admin/audit").await.body;
    let actions: Vec<_> =
        log["items"].as_array().unwrap().iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    assert_eq!(actions[..2], ["key.revoked", "session.opened"], "newest first");
    assert!(actions.contains(&"key.rotated") && actions.contains(&"key.created"), "{actions:?}");
    let revoked = &log["items"][0];
    assert_eq!((&revoked["before"]["active"], &revoked["after"]["active"]), (&json!(true), &json!(false)));
    assert_eq!((&revoked["actor_name"], &revoked["client"]), (&json!("ana@acme.example"), &json!("127.0.0.1")));
    for key in [&old, &new] {
        assert!(!log.to_string().contains(key.splitn(3, '_').nth(2).unwrap()), "the audit log contains a key's secret");
    }
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn audit_log_is_append_only() {
    let (fleet, tenant) = fleet().await;
    TestUser::logged_in(&fleet, &tenant, UserRole::Owner, "ana").await;
    for statement in ["update audit_log set actor_name = 'x'", "delete from audit_log", "truncate audit_log"] {
        let error = sqlx::Executor::execute(&fleet.database.pool, statement).await.unwrap_err();
        assert!(error.to_string().contains("only grows"), "{statement}: {error}");
    }
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_platform_users_act_for_another_tenant() {
    let (fleet, acme) = fleet().await;
    let options = TenantOptions { slug: "other", instances: vec!["filial".to_owned()], ..TenantOptions::default() };
    let other = fleet.create_tenant(&options).await;
    let owner = TestUser::logged_in(&fleet, &acme, UserRole::Owner, "ana").await;
    let platform = TestUser::logged_in(&fleet, &acme, UserRole::Platform, "pia").await;
    assert_eq!(code(&owner.acting_for(&other).get("/api/v1/admin/users").await), "forbidden");
    assert_eq!(owner.acting_for(&acme).get("/api/v1/admin/users").await.status, StatusCode::OK, "her own tenant");

    let theirs = platform.acting_for(&other);
    assert_eq!(theirs.get("/api/v1/admin/users").await.body["items"], json!([]));
    let invited = theirs
        .post("/api/v1/admin/users", &json!({"email": "Bia@Other.Example", "name": "Bia", "role": "owner"}))
        .await;
    assert_eq!((invited.status, &invited.body["user"]["email"]), (StatusCode::CREATED, &json!("bia@other.example")));
    regua_tests::logs::register_secret(invited.body["invitation"].as_str().unwrap());
    let log = theirs.get("/api/v1/admin/audit").await.body;
    assert_eq!(
        (&log["items"][0]["action"], &log["items"][0]["actor_name"]),
        (&json!("user.invited"), &json!("pia@acme.example"))
    );
    let nowhere = TestUser { acts_for: Some(regua_domain::TenantId::new(fleet.clock.now())), ..platform };
    assert_eq!(code(&nowhere.get("/api/v1/admin/users").await), "not_found");
    fleet.end().await;
}
