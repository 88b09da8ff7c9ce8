//! People: how they come in, stay in, and are kept out.

mod second_factor;

use chrono::TimeDelta;
use regua_domain::UserRole;
use regua_store::users;
use regua_tests::{Answer, Fleet, FleetOptions, PASSWORD, Person, Tenant, TenantOptions};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// A fleet that sends nothing, and a tenant.
async fn fleet() -> (Fleet, Tenant) {
    let options = FleetOptions { workers: 0, periodic: false, ..FleetOptions::default() };
    let (fleet, tenant, _) = Fleet::with(options, TenantOptions::default()).await;
    (fleet, tenant)
}

/// What a refused caller can tell from an answer.
fn told(answer: &Answer) -> (StatusCode, Value) {
    let mut body = answer.body.clone();
    body.as_object_mut().unwrap().remove("request_id");
    (answer.status, body)
}

fn code(answer: &Answer) -> &str {
    answer.body["code"].as_str().unwrap_or_else(|| panic!("no problem: {} {:#}", answer.status, answer.body))
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_who_was_invited_chooses_a_password_once_and_comes_in() {
    let (fleet, tenant) = fleet().await;
    let (mut ana, invitation) = Person::invited(&fleet, &tenant, UserRole::Operator, "ana").await;
    assert_eq!(code(&ana.try_login(PASSWORD, None).await), "login_failed", "there is no password yet");
    let weak = ana.accept(&invitation, "senha1234567").await;
    assert_eq!((code(&weak), &weak.body["errors"][0]["field"]), ("validation_failed", &json!("password")));
    assert_eq!(code(&ana.accept("convite-de-outra-pessoa", PASSWORD).await), "token_invalid");
    assert_eq!(ana.accept(&invitation, PASSWORD).await.status, StatusCode::NO_CONTENT);
    assert_eq!(code(&ana.accept(&invitation, PASSWORD).await), "token_invalid", "it is used up");

    ana.log_in().await;
    let me = ana.get("/api/v1/auth/me").await;
    assert_eq!(
        (&me.body["email"], &me.body["role"]),
        (&json!("ana@acme.example"), &json!("operator")),
        "{:#}",
        me.body
    );
    assert_eq!(code(&ana.outside().get("/api/v1/auth/me").await), "not_authenticated");
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_is_good_for_a_week() {
    let (fleet, tenant) = fleet().await;
    let (ana, invitation) = Person::invited(&fleet, &tenant, UserRole::Viewer, "ana").await;
    fleet.hands.set(fleet.clock.now() + TimeDelta::days(7));
    assert_eq!(code(&ana.accept(&invitation, PASSWORD).await), "token_invalid");
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_login_tells_nothing_of_what_was_wrong() {
    let (fleet, tenant) = fleet().await;
    let ana = Person::logged_in(&fleet, &tenant, UserRole::Viewer, "ana").await.outside();
    let wrong = told(&ana.try_login("outra senha qualquer", None).await);
    assert_eq!(wrong.0, StatusCode::UNAUTHORIZED);
    let nobody = Person { email: "ninguem@acme.example".to_owned(), ..ana.clone() };
    assert_eq!(told(&nobody.try_login(PASSWORD, None).await), wrong);
    let nowhere = Person { tenant: "nowhere".to_owned(), ..ana.clone() };
    assert_eq!(told(&nowhere.try_login(PASSWORD, None).await), wrong);
    let (invited, _) = Person::invited(&fleet, &tenant, UserRole::Viewer, "rui").await;
    assert_eq!(told(&invited.try_login(PASSWORD, None).await), wrong);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn guesses_are_slow_and_lock_nobody_else_out() {
    let (fleet, tenant) = fleet().await;
    let ana = Person::logged_in(&fleet, &tenant, UserRole::Viewer, "ana").await.outside();
    let attacker = ana.from_address("127.0.0.66");
    for _ in 0..5 {
        assert_eq!(code(&attacker.try_login("outra senha qualquer", None).await), "login_failed");
    }
    let held = attacker.try_login(PASSWORD, None).await;
    assert_eq!(code(&held), "rate_limited", "the sixth, right or wrong");
    let wait: i64 = held.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=901).contains(&wait), "{wait}");
    assert_eq!(ana.try_login(PASSWORD, None).await.status, StatusCode::OK, "its owner comes in from elsewhere");

    fleet.hands.set(fleet.clock.now() + TimeDelta::seconds(wait));
    assert_eq!(attacker.try_login(PASSWORD, None).await.status, StatusCode::OK, "and from there after a while");
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn guesses_from_everywhere_leave_the_owners_own_network_alone() {
    let (fleet, tenant) = fleet().await;
    let ana = Person::logged_in(&fleet, &tenant, UserRole::Viewer, "ana").await.outside();
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
    assert_eq!(ana.try_login(PASSWORD, None).await.status, StatusCode::OK, "from where she came in before");
    fleet.end().await;
}

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
async fn somebody_who_is_switched_off_is_out_and_the_last_owner_stays() {
    let (fleet, tenant) = fleet().await;
    let ana = Person::logged_in(&fleet, &tenant, UserRole::Owner, "ana").await;
    let rui = Person::logged_in(&fleet, &tenant, UserRole::Operator, "rui").await;
    let path = |person: &Person| format!("/api/v1/admin/users/{}", person.id);
    let off = ana.put(&path(&rui), &json!({"name": "Rui", "role": "operator", "active": false})).await;
    assert_eq!((off.status, &off.body["active"]), (StatusCode::OK, &json!(false)), "{:#}", off.body);
    assert_eq!(code(&rui.get("/api/v1/auth/me").await), "not_authenticated");
    assert_eq!(code(&rui.try_login(PASSWORD, None).await), "login_failed");

    for change in [json!({"name": "Ana", "role": "viewer"}), json!({"name": "Ana", "role": "owner", "active": false})] {
        assert_eq!(code(&ana.put(&path(&ana), &change).await), "state_conflict", "{change}");
    }
    let more = ana.put(&path(&ana), &json!({"name": "Ana", "role": "platform"})).await;
    assert_eq!(code(&more), "forbidden", "nobody gives more than they have");
    let named: Vec<_> = ana.get("/api/v1/admin/audit").await.body["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["action"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(named[0], "user.updated", "{named:?}");
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_who_is_invited_again_has_neither_password_nor_login() {
    let (fleet, tenant) = fleet().await;
    let ana = Person::logged_in(&fleet, &tenant, UserRole::Owner, "ana").await;
    let rui = Person::logged_in(&fleet, &tenant, UserRole::Operator, "rui").await;
    let again = ana.post(&format!("/api/v1/admin/users/{}/invitation", rui.id), &json!({})).await;
    assert_eq!(again.status, StatusCode::CREATED, "{:#}", again.body);
    assert_eq!(code(&rui.get("/api/v1/auth/me").await), "not_authenticated");
    assert_eq!(code(&rui.try_login(PASSWORD, None).await), "login_failed");
    let invitation = again.body["invitation"].as_str().unwrap();
    regua_tests::logs::keep_secret(invitation);
    assert_eq!(rui.accept(invitation, PASSWORD).await.status, StatusCode::NO_CONTENT);
    assert_eq!(rui.try_login(PASSWORD, None).await.status, StatusCode::OK);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_made_replaced_and_switched_off_and_all_is_written_down() {
    let (fleet, tenant) = fleet().await;
    let ana = Person::logged_in(&fleet, &tenant, UserRole::Owner, "ana").await;
    let erp = regua_tests::Client::new(&fleet.api, "");
    let works = async |key: &str| erp.with_key(key).call(Method::GET, "/api/v1/billing/queues", None).await.status;
    let made = ana
        .post("/api/v1/admin/keys", &json!({"name": "ERP", "types": ["overdue"], "allowed_networks": ["127.0.0.9/8"]}))
        .await;
    assert_eq!(made.status, StatusCode::CREATED, "{:#}", made.body);
    assert_eq!(made.body["allowed_networks"], json!(["127.0.0.0/8"]), "without the host's bits");
    let text = |answer: &Answer| {
        let text = answer.body["api_key"].as_str().unwrap().to_owned();
        regua_tests::logs::keep_secret(&text);
        text
    };
    let (old, path) = (text(&made), format!("/api/v1/admin/keys/{}", made.body["key_id"].as_str().unwrap()));
    assert_eq!(works(&old).await, StatusCode::OK);

    let replaced = ana.post(&format!("{path}/rotate"), &json!({"overlap_seconds": 3600})).await;
    assert_eq!(replaced.status, StatusCode::CREATED, "{:#}", replaced.body);
    assert_eq!((&replaced.body["types"], &replaced.body["name"]), (&json!(["overdue"]), &json!("ERP")));
    let new = text(&replaced);
    assert_eq!((works(&old).await, works(&new).await), (StatusCode::OK, StatusCode::OK), "both, for an hour");
    fleet.hands.set(fleet.clock.now() + TimeDelta::hours(1));
    regua_tests::eventually("the old key ends", async || works(&old).await == StatusCode::UNAUTHORIZED).await;
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
        assert!(!log.to_string().contains(key.splitn(3, '_').nth(2).unwrap()), "a key's secret is in the audit log");
    }
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_log_only_grows() {
    let (fleet, tenant) = fleet().await;
    Person::logged_in(&fleet, &tenant, UserRole::Owner, "ana").await;
    for statement in ["update audit_log set actor_name = 'x'", "delete from audit_log", "truncate audit_log"] {
        let error = sqlx::Executor::execute(&fleet.database.pool, statement).await.unwrap_err();
        assert!(error.to_string().contains("only grows"), "{statement}: {error}");
    }
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_platform_acts_for_another_tenant() {
    let (fleet, acme) = fleet().await;
    let options = TenantOptions { slug: "other", instances: vec!["filial".to_owned()], ..TenantOptions::default() };
    let other = fleet.tenant(&options).await;
    let owner = Person::logged_in(&fleet, &acme, UserRole::Owner, "ana").await;
    let platform = Person::logged_in(&fleet, &acme, UserRole::Platform, "pia").await;
    assert_eq!(code(&owner.acting_for(&other).get("/api/v1/admin/users").await), "forbidden");
    assert_eq!(owner.acting_for(&acme).get("/api/v1/admin/users").await.status, StatusCode::OK, "it is her own");

    let theirs = platform.acting_for(&other);
    assert_eq!(theirs.get("/api/v1/admin/users").await.body["items"], json!([]));
    let invited = theirs
        .post("/api/v1/admin/users", &json!({"email": "Bia@Other.Example", "name": "Bia", "role": "owner"}))
        .await;
    assert_eq!((invited.status, &invited.body["user"]["email"]), (StatusCode::CREATED, &json!("bia@other.example")));
    regua_tests::logs::keep_secret(invited.body["invitation"].as_str().unwrap());
    let log = theirs.get("/api/v1/admin/audit").await.body;
    assert_eq!(
        (&log["items"][0]["action"], &log["items"][0]["actor_name"]),
        (&json!("user.invited"), &json!("pia@acme.example"))
    );
    let nowhere = Person { acts_for: Some(regua_domain::TenantId::new(fleet.clock.now())), ..platform };
    assert_eq!(code(&nowhere.get("/api/v1/admin/users").await), "not_found");
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
