//! Numbers over the admin API: their tokens go in and never come out, and what is changed reaches a running worker.

use chrono::TimeDelta;
use regua_domain::UserRole;
use regua_sandbox::InstanceState;
use regua_tests::{Fleet, Person, TenantOptions, batch, eventually, logs};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{answered, faults, latest, path, quiet, refused};

#[tokio::test(flavor = "multi_thread")]
async fn a_number_is_added_changed_and_deleted_where_nothing_needs_it() {
    let (fleet, tenant, operator) = quiet(UserRole::Operator).await;
    let owner = Person::logged_in(&fleet, &tenant, UserRole::Owner, "dona").await;
    let token = "token-do-numero-novo";
    logs::keep_secret(token);
    let new = json!({"name": "novo", "base_url": format!("{}/", fleet.gateway), "token": token, "daily_cap": 100});
    let made = answered(201, operator.post(&path("/instances"), &new).await);
    assert_eq!((&made["base_url"], &made["token_set"]), (&json!(fleet.gateway), &json!(true)));
    assert_eq!(made["default_for"], json!([]), "every type has one");
    assert_eq!((&made["messages_per_minute"], &made["effective_messages_per_minute"]), (&Value::Null, &json!(60_000)));
    assert_eq!(refused(409, operator.post(&path("/instances"), &new).await), "name_taken");
    let one = path(&format!("/instances/{}", made["instance_id"].as_str().unwrap()));
    assert_eq!(answered(200, operator.get(&one).await), made);
    let listed = answered(200, operator.get(&path("/instances")).await);
    assert_eq!(listed["items"].as_array().unwrap().len(), 2);
    assert!(!listed.to_string().contains(token) && !listed.to_string().contains("v1:"), "{listed:#}");

    let body = json!({"base_url": fleet.gateway, "messages_per_minute": 7, "lane_concurrency": 2});
    let changed = answered(200, operator.put(&one, &body).await);
    let pace = (&changed["messages_per_minute"], &changed["lane_concurrency"], &changed["daily_cap"]);
    assert_eq!(pace, (&json!(7), &json!(2), &Value::Null), "what is not given is the tenant's");
    let (action, object, before, after) = latest(&owner).await;
    assert_eq!((action.as_str(), &object), ("instance.updated", &made["instance_id"]));
    assert_eq!((&before["daily_cap"], &after["daily_cap"]), (&json!(100), &Value::Null));
    assert_eq!(after["token_replaced"], json!(false), "it stays unless it is given");

    assert_eq!(operator.delete(&one).await.status, StatusCode::NO_CONTENT);
    assert_eq!(refused(404, operator.get(&one).await), "not_found");
    assert_eq!(latest(&owner).await.0, "instance.deleted");
    let default = path(&format!("/instances/{}", tenant.instances[0]));
    assert_eq!(refused(409, operator.delete(&default).await), "in_use");
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_is_refused_for_what_is_wrong_with_it() {
    let (fleet, _, operator) = quiet(UserRole::Operator).await;
    let add = async |body: Value| operator.post(&path("/instances"), &body).await;
    let code = |faults: Vec<(String, String)>| {
        faults.into_iter().map(|(field, code)| format!("{field} {code}")).collect::<Vec<_>>()
    };
    let number = |base_url: &str| json!({"name": "novo", "base_url": base_url, "token": "token-do-numero"});
    for inside in ["http://10.0.0.1", "http://169.254.169.254/latest", "http://[fd00::1]:8080"] {
        assert_eq!(code(faults(add(number(inside)).await)), ["base_url address_not_allowed"], "{inside}");
    }
    for odd in ["ftp://gateway.example", "https://user:password@gateway.example", "gateway", "https://g.example/?x=1"] {
        assert_eq!(code(faults(add(number(odd)).await)), ["base_url invalid_url"], "{odd}");
    }
    let odd = json!({"name": "São Paulo", "base_url": fleet.gateway, "lane_concurrency": 0, "daily_cap": -1});
    let expected =
        ["daily_cap invalid_number", "lane_concurrency invalid_number", "name invalid_name", "token required"];
    assert_eq!(code(faults(add(odd).await)), expected);

    let other = TenantOptions { slug: "other", instances: vec!["filial".to_owned()], ..TenantOptions::default() };
    fleet.tenant(&other).await;
    let theirs = json!({"name": "filial", "base_url": fleet.gateway.to_uppercase().replace("HTTP", "http"), "token": "token-of-theirs"});
    assert_eq!(refused(409, add(theirs).await), "name_taken", "a number belongs to one tenant");
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_is_checked_and_given_webhooks() {
    let (fleet, tenant, operator) = quiet(UserRole::Operator).await;
    let owner = Person::logged_in(&fleet, &tenant, UserRole::Owner, "dona").await;
    let one = path(&format!("/instances/{}", tenant.instances[0]));
    let checked = answered(200, operator.post(&format!("{one}/check"), &json!({})).await);
    assert_eq!(checked, json!({"state": "open", "reason": null}));

    let fields = faults(operator.post(&format!("{one}/webhook"), &json!({})).await);
    assert_eq!(fields, [("public_url".to_owned(), "required".to_owned())], "there is no REGUA_PUBLIC_URL");
    let set = operator.post(&format!("{one}/webhook"), &json!({"public_url": format!("{}/", fleet.api)})).await;
    assert_eq!(answered(200, set), json!({"webhook_url": fleet.webhook_url(&tenant)}));
    assert_eq!(answered(200, operator.get(&one).await)["webhook_set"], json!(true));
    let (action, _, _, after) = latest(&owner).await;
    let expected = json!({"webhook_url": fleet.webhook_url(&tenant), "secret_replaced": true});
    assert_eq!((action.as_str(), after), ("instance.webhook_set", expected));

    let elsewhere = json!({"base_url": "http://127.0.0.1:9"});
    let fields = faults(operator.put(&one, &elsewhere).await);
    assert_eq!(fields, [("token".to_owned(), "required".to_owned())], "the token is not shown to another server");
    let elsewhere = json!({"base_url": "http://127.0.0.1:9", "token": tenant.tokens[0]});
    answered(200, operator.put(&one, &elsewhere).await);
    let checked = answered(200, operator.post(&format!("{one}/check"), &json!({})).await);
    assert_eq!(checked, json!({"state": "unreachable", "reason": "gateway_unreachable"}));
    let set = operator.post(&format!("{one}/webhook"), &json!({"public_url": fleet.api})).await;
    let told = answered(409, set);
    assert!(told["detail"].as_str().unwrap().contains("gateway_unreachable"), "{told:#}");
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_token_acts_at_once_where_the_old_one_held_the_number() {
    let (fleet, tenant, erp) = Fleet::with_tenant(TenantOptions::default()).await;
    let operator = Person::logged_in(&fleet, &tenant, UserRole::Operator, "quem-opera").await;
    let one = path(&format!("/instances/{}", tenant.instances[0]));
    let wrong = "token-de-ninguem";
    logs::keep_secret(wrong);
    answered(200, operator.put(&one, &json!({"base_url": fleet.gateway, "token": wrong})).await);
    let queue = erp.accepted("overdue", &batch("lote-a", 3)).await;
    erp.until(&queue, "instance_down").await;

    // The clock stands where it stood: nobody waits for the next look of its own.
    let body = json!({"base_url": fleet.gateway, "token": tenant.tokens[0]});
    answered(200, operator.put(&one, &body).await);
    erp.until(&queue, "completed").await;
    fleet.assert_each_left_once(3);
    let used = refused(409, operator.delete(&one).await);
    assert_eq!(used, "in_use");
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_heard_of_a_replaced_token_says_nothing_of_the_new_one() {
    let (fleet, tenant, erp) = Fleet::with_tenant(TenantOptions::default()).await;
    let operator = Person::logged_in(&fleet, &tenant, UserRole::Operator, "quem-opera").await;
    let one = path(&format!("/instances/{}", tenant.instances[0]));
    let body = json!({"base_url": fleet.gateway, "token": tenant.tokens[0]});
    // The gateway refuses the token, and says so when it has been replaced already.
    let slow_refusal = || {
        let fault = json!([{"on": "state", "times": 1, "latency_ms": 1500, "effect": "401"}]);
        fleet.sandbox.set_faults(serde_json::from_value(fault).unwrap()).unwrap();
    };
    let asked = || {
        let calls = fleet.sandbox.calls();
        calls.iter().filter(|(route, _)| route.contains("connectionState")).map(|(_, count)| count).sum::<u64>()
    };
    let replaced_while_asked = async |before: u64| {
        eventually("the gateway is asked", async || asked() > before).await;
        answered(200, operator.put(&one, &body).await);
    };

    // Asked by the lane, before it sends; the clock stands, so that nobody looks a second time.
    slow_refusal();
    let queue = erp.accepted("overdue", &batch("lote-a", 3)).await;
    replaced_while_asked(0).await;
    erp.until(&queue, "completed").await;

    // Asked because a number that was down is looked at again.
    fleet.until_lanes_are_free().await;
    assert!(fleet.sandbox.set_state("matriz", InstanceState::Close));
    let queue = erp.accepted("overdue", &batch("lote-b", 3)).await;
    erp.until(&queue, "instance_down").await;
    assert!(fleet.sandbox.set_state("matriz", InstanceState::Open));
    fleet.until_lanes_are_free().await;
    slow_refusal();
    let before = asked();
    fleet.hands.set(fleet.clock.now() + TimeDelta::seconds(61));
    replaced_while_asked(before).await;
    erp.until(&queue, "completed").await;
    fleet.assert_each_left_once(6);
    fleet.end().await;
}
