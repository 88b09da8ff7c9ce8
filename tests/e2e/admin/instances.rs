//! Instances in the admin API: tokens are written and never returned, and changes reach a running worker.

use std::time::Instant;

use chrono::TimeDelta;
use futures_util::future::join_all;
use regua_domain::{InstanceId, UserRole};
use regua_sandbox::{InstanceSettings, InstanceState};
use regua_tests::{Fleet, TenantOptions, TestUser, batch, eventually, logs};
use reqwest::StatusCode;
use serde_json::{Value, json};
use sqlx::Executor;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{body_of, code_of, faults, fleet_with_user, newest_audit_entry, path};

#[tokio::test(flavor = "multi_thread")]
async fn instance_is_created_updated_and_deleted_unless_in_use() {
    let (fleet, tenant, operator) = fleet_with_user(UserRole::Operator).await;
    let owner = TestUser::logged_in(&fleet, &tenant, UserRole::Owner, "dona").await;
    let token = "token-do-numero-novo";
    logs::register_secret(token);
    let new = json!({"name": "novo", "base_url": format!("{}/", fleet.gateway), "token": token, "daily_cap": 100});
    let created = body_of(201, operator.post(&path("/instances"), &new).await);
    assert_eq!((&created["base_url"], &created["token_set"]), (&json!(fleet.gateway), &json!(true)));
    assert_eq!(created["default_for"], json!([]), "every message type has a default instance already");
    assert_eq!(
        (&created["messages_per_minute"], &created["effective_messages_per_minute"]),
        (&Value::Null, &json!(60_000))
    );
    assert_eq!(code_of(409, operator.post(&path("/instances"), &new).await), "name_taken");
    let one = path(&format!("/instances/{}", created["instance_id"].as_str().unwrap()));
    assert_eq!(body_of(200, operator.get(&one).await), created);
    let listed = body_of(200, operator.get(&path("/instances")).await);
    assert_eq!(listed["items"].as_array().unwrap().len(), 2);
    assert!(!listed.to_string().contains(token) && !listed.to_string().contains("v1:"), "{listed:#}");

    let body = json!({"base_url": fleet.gateway, "messages_per_minute": 7, "lane_concurrency": 2});
    let changed = body_of(200, operator.put(&one, &body).await);
    let pace = (&changed["messages_per_minute"], &changed["lane_concurrency"], &changed["daily_cap"]);
    assert_eq!(pace, (&json!(7), &json!(2), &Value::Null), "an omitted field falls back to the tenant's setting");
    let (action, object, before, after) = newest_audit_entry(&owner).await;
    assert_eq!((action.as_str(), &object), ("instance.updated", &created["instance_id"]));
    assert_eq!((&before["daily_cap"], &after["daily_cap"]), (&json!(100), &Value::Null));
    assert_eq!(after["token_replaced"], json!(false), "an omitted token is not replaced");

    assert_eq!(operator.delete(&one).await.status, StatusCode::NO_CONTENT);
    assert_eq!(code_of(404, operator.get(&one).await), "not_found");
    assert_eq!(newest_audit_entry(&owner).await.0, "instance.deleted");
    let default = path(&format!("/instances/{}", tenant.instances[0]));
    assert_eq!(code_of(409, operator.delete(&default).await), "in_use");
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_instance_is_refused_with_every_fault() {
    let (fleet, _, operator) = fleet_with_user(UserRole::Operator).await;
    let add = async |body: Value| operator.post(&path("/instances"), &body).await;
    let code = |faults: Vec<(String, String)>| {
        faults.into_iter().map(|(field, code)| format!("{field} {code}")).collect::<Vec<_>>()
    };
    let instance = |base_url: &str| json!({"name": "novo", "base_url": base_url, "token": "token-do-numero"});
    for inside in ["http://10.0.0.1", "http://169.254.169.254/latest", "http://[fd00::1]:8080"] {
        assert_eq!(code(faults(add(instance(inside)).await)), ["base_url address_not_allowed"], "{inside}");
    }
    for invalid in
        ["ftp://gateway.example", "https://user:password@gateway.example", "gateway", "https://g.example/?x=1"]
    {
        assert_eq!(code(faults(add(instance(invalid)).await)), ["base_url invalid_url"], "{invalid}");
    }
    let invalid = json!({"name": "São Paulo", "base_url": fleet.gateway, "lane_concurrency": 0, "daily_cap": -1});
    let expected =
        ["daily_cap invalid_number", "lane_concurrency invalid_number", "name invalid_name", "token required"];
    assert_eq!(code(faults(add(invalid).await)), expected);

    let other = TenantOptions { slug: "other", instances: vec!["filial".to_owned()], ..TenantOptions::default() };
    fleet.create_tenant(&other).await;
    fleet.database.pool.execute("update instances set verified_at = now() where name = 'filial'").await.unwrap();
    let host = fleet.gateway.strip_prefix("http://127.0.0.1").unwrap();
    for base_url in [
        fleet.gateway.to_uppercase(),
        format!("https://127.0.0.1{host}/"),
        format!("http://127.0.0.1.{host}"),
        format!("http://[::ffff:127.0.0.1]{host}"),
        format!("http://[::ffff:7f00:1]{host}//"),
    ] {
        let theirs = json!({"name": "filial", "base_url": base_url, "token": "token-of-theirs"});
        assert_eq!(code_of(409, add(theirs).await), "name_taken", "an instance belongs to one tenant: {base_url}");
    }
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn instance_is_checked_and_its_webhook_is_set() {
    let (fleet, tenant, operator) = fleet_with_user(UserRole::Operator).await;
    let owner = TestUser::logged_in(&fleet, &tenant, UserRole::Owner, "dona").await;
    let one = path(&format!("/instances/{}", tenant.instances[0]));
    let checked = body_of(200, operator.post(&format!("{one}/check"), &json!({})).await);
    assert_eq!(checked, json!({"state": "open", "reason": null}));

    let fields = faults(operator.post(&format!("{one}/webhook"), &json!({})).await);
    assert_eq!(fields, [("public_url".to_owned(), "required".to_owned())], "REGUA_PUBLIC_URL is not set");
    let set = operator.post(&format!("{one}/webhook"), &json!({"public_url": format!("{}/", fleet.api)})).await;
    assert_eq!(body_of(200, set), json!({"webhook_url": fleet.webhook_url(&tenant)}));
    assert_eq!(body_of(200, operator.get(&one).await)["webhook_set"], json!(true));
    let (action, _, _, after) = newest_audit_entry(&owner).await;
    let expected = json!({"webhook_url": fleet.webhook_url(&tenant), "secret_replaced": true});
    assert_eq!((action.as_str(), after), ("instance.webhook_set", expected));

    let elsewhere = json!({"base_url": "http://127.0.0.1:9"});
    let fields = faults(operator.put(&one, &elsewhere).await);
    assert_eq!(fields, [("token".to_owned(), "required".to_owned())], "a new server needs its token again");
    let elsewhere = json!({"base_url": "http://127.0.0.1:9", "token": tenant.tokens[0]});
    body_of(200, operator.put(&one, &elsewhere).await);
    let checked = body_of(200, operator.post(&format!("{one}/check"), &json!({})).await);
    assert_eq!(checked, json!({"state": "unreachable", "reason": "gateway_unreachable"}));
    let set = operator.post(&format!("{one}/webhook"), &json!({"public_url": fleet.api})).await;
    let problem = body_of(409, set);
    assert!(problem["detail"].as_str().unwrap().contains("gateway_unreachable"), "{problem:#}");
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn check_answers_alike_for_forbidden_unknown_and_unreachable_hosts_and_other_services() {
    let names = ["um", "dois", "tres", "quatro", "cinco"].map(str::to_owned).to_vec();
    let (fleet, tenant, _) = Fleet::with_tenant(TenantOptions { instances: names, ..TenantOptions::default() }).await;
    let operator = TestUser::logged_in(&fleet, &tenant, UserRole::Operator, "quem-opera").await;
    let service = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let other_service = format!("http://{}", service.local_addr().unwrap());
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent_service = format!("http://{}", silent.local_addr().unwrap());
    let hosts = ["http://10.0.0.1", "http://gateway.invalid", "http://127.0.0.1:9", &other_service, &silent_service];
    for (instance, host) in tenant.instances.iter().zip(hosts) {
        set_server(&fleet, *instance, host).await;
    }
    let serving = tokio::spawn(refuse_all(service));
    let checks = tenant.instances.iter().map(async |instance| {
        let begin = Instant::now();
        let checked = operator.post(&path(&format!("/instances/{instance}/check")), &json!({})).await;
        (body_of(200, checked), begin.elapsed())
    });
    for (host, (checked, time)) in hosts.iter().zip(join_all(checks).await) {
        assert_eq!(checked, json!({"state": "unreachable", "reason": "gateway_unreachable"}), "{host}");
        assert!((3.0..8.0).contains(&time.as_secs_f64()), "{host}: {time:?}");
    }
    serving.abort();
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replaced_token_reopens_instance_at_once() {
    let (fleet, tenant, erp) = Fleet::with_tenant(TenantOptions::default()).await;
    let operator = TestUser::logged_in(&fleet, &tenant, UserRole::Operator, "quem-opera").await;
    let one = path(&format!("/instances/{}", tenant.instances[0]));
    let wrong = "token-de-ninguem";
    logs::register_secret(wrong);
    body_of(200, operator.put(&one, &json!({"base_url": fleet.gateway, "token": wrong})).await);
    let queue = erp.send_accepted("overdue", &batch("lote-a", 3)).await;
    erp.wait_for_status(&queue, "instance_down").await;

    // The clock does not move, so the instance's next check is not due: the new token alone reopens it.
    let body = json!({"base_url": fleet.gateway, "token": tenant.tokens[0]});
    body_of(200, operator.put(&one, &body).await);
    erp.wait_for_status(&queue, "completed").await;
    fleet.assert_each_left_once(3);
    assert_eq!(code_of(409, operator.delete(&one).await), "in_use");
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn result_for_replaced_token_is_discarded() {
    let (fleet, tenant, erp) = Fleet::with_tenant(TenantOptions::default()).await;
    let operator = TestUser::logged_in(&fleet, &tenant, UserRole::Operator, "quem-opera").await;
    let one = path(&format!("/instances/{}", tenant.instances[0]));
    let body = json!({"base_url": fleet.gateway, "token": tenant.tokens[0]});
    // The gateway refuses the old token 1.5 s later, after the token was replaced.
    let slow_refusal = || {
        let fault = json!([{"on": "state", "times": 1, "latency_ms": 1500, "effect": "401"}]);
        fleet.sandbox.set_faults(serde_json::from_value(fault).unwrap()).unwrap();
    };
    let checks = || {
        let calls = fleet.sandbox.calls();
        calls.iter().filter(|(route, _)| route.contains("connectionState")).map(|(_, count)| count).sum::<u64>()
    };
    let replace_token_during_check = async |before: u64| {
        eventually("the gateway to get the check", async || checks() > before).await;
        body_of(200, operator.put(&one, &body).await);
    };

    // The lane checks the instance before it sends. The clock does not move, so there is no second check.
    slow_refusal();
    let queue = erp.send_accepted("overdue", &batch("lote-a", 3)).await;
    replace_token_during_check(0).await;
    erp.wait_for_status(&queue, "completed").await;

    // The reconciler checks an instance that is down.
    fleet.wait_for_free_lanes().await;
    assert!(fleet.sandbox.set_state("matriz", InstanceState::Close));
    let queue = erp.send_accepted("overdue", &batch("lote-b", 3)).await;
    erp.wait_for_status(&queue, "instance_down").await;
    assert!(fleet.sandbox.set_state("matriz", InstanceState::Open));
    fleet.wait_for_free_lanes().await;
    slow_refusal();
    let before = checks();
    fleet.manual_clock.set(fleet.clock.now() + TimeDelta::seconds(61));
    replace_token_during_check(before).await;
    erp.wait_for_status(&queue, "completed").await;
    fleet.assert_each_left_once(6);
    fleet.end().await;
}

/// Changes the server of an instance without the checks of the API.
async fn set_server(fleet: &Fleet, instance: InstanceId, base_url: &str) {
    let statement = format!("update instances set base_url = '{base_url}' where instance_id = '{instance}'");
    fleet.database.pool.execute(sqlx::AssertSqlSafe(statement)).await.unwrap();
}

/// A service that is no gateway and answers each request with 401.
async fn refuse_all(listener: tokio::net::TcpListener) {
    loop {
        let (mut connection, _) = listener.accept().await.unwrap();
        let mut request = [0; 4096];
        let _read = connection.read(&mut request).await;
        let _closed_by_client = connection.write_all(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn number_with_an_invented_token_does_not_keep_its_tenant_from_adding_it() {
    let (fleet, _, squatter) = fleet_with_user(UserRole::Operator).await;
    let theirs = TenantOptions { slug: "theirs", instances: vec!["matriz-2".to_owned()], ..TenantOptions::default() };
    let theirs = fleet.create_tenant(&theirs).await;
    let operator = TestUser::logged_in(&fleet, &theirs, UserRole::Operator, "ana").await;
    let third = TenantOptions { slug: "third", instances: vec!["matriz-3".to_owned()], ..TenantOptions::default() };
    let third = TestUser::logged_in(&fleet, &fleet.create_tenant(&third).await, UserRole::Operator, "bia").await;
    let number = |token: &str| {
        logs::register_secret(token);
        json!({"name": "filial", "base_url": fleet.gateway, "token": token})
    };
    fleet.sandbox.create_instance(InstanceSettings::connected("filial", "token-of-the-number"));
    let (invented, real) = (number("an-invented-token"), number("token-of-the-number"));
    let squatted = body_of(201, squatter.post(&path("/instances"), &invented).await);
    let check_squatted = path(&format!("/instances/{}/check", squatted["instance_id"].as_str().unwrap()));
    assert_eq!(body_of(200, squatter.post(&check_squatted, &json!({})).await)["state"], "unreachable");

    let added = body_of(201, operator.post(&path("/instances"), &real).await);
    let one = path(&format!("/instances/{}", added["instance_id"].as_str().unwrap()));
    assert_eq!(body_of(200, operator.post(&format!("{one}/check"), &json!({})).await)["state"], "open");
    assert_eq!(code_of(409, third.post(&path("/instances"), &invented).await), "name_taken", "it is verified");
    let squatted = path(&format!("/instances/{}", squatted["instance_id"].as_str().unwrap()));
    let replaced = json!({"base_url": fleet.gateway, "token": "another-token"});
    assert_eq!(code_of(409, squatter.put(&squatted, &replaced).await), "name_taken");

    // A replaced token is not verified.
    body_of(200, operator.put(&one, &json!({"base_url": fleet.gateway, "token": "a-wrong-token"})).await);
    body_of(201, third.post(&path("/instances"), &real).await);
    fleet.end().await;
}
