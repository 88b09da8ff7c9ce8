//! Templates, defaults and rates in the admin API.

use chrono::TimeDelta;
use regua_domain::UserRole;
use regua_tests::{Fleet, TenantOptions, TestUser, batch};
use reqwest::StatusCode;
use serde_json::json;

use super::{body_of, code_of, faults, fleet_with_user, newest_audit_entry, path};

#[tokio::test(flavor = "multi_thread")]
async fn template_is_created_replaced_and_deleted_unless_in_use() {
    let (fleet, tenant, operator) = fleet_with_user(UserRole::Operator).await;
    let owner = TestUser::logged_in(&fleet, &tenant, UserRole::Owner, "dona").await;
    let new = json!({"name": "cobranca-2", "type": "overdue", "variations": ["Olá {{primeiro_nome}}"]});
    let created = body_of(201, operator.post(&path("/templates"), &new).await);
    assert_eq!((&created["default"], &created["variations"]), (&json!(false), &new["variations"]));
    assert_eq!(code_of(409, operator.post(&path("/templates"), &new).await), "name_taken");
    let one = path(&format!("/templates/{}", created["template_id"].as_str().unwrap()));
    assert_eq!(body_of(200, operator.get(&one).await), created, "the refused request changed nothing");

    let invalid = json!({"name": "x", "type": "overdue", "variations": ["Olá", "Olá\n{{#if nome}} sem fim", "{{nada}}"],
                     "variables_schema": []});
    let answer = operator.post(&path("/templates"), &invalid).await;
    let second = answer.body["errors"].as_array().unwrap().iter().find(|error| error["field"] == "variations[1]");
    let message = second.expect("a fault of variations[1]")["message"].as_str().unwrap().to_owned();
    assert!(message.contains("inha 2") && message.contains("coluna 1"), "{message}");
    let fields: Vec<_> = faults(answer).into_iter().map(|(field, _)| field).collect();
    assert!(
        fields.contains(&"variables_schema".to_owned()) && !fields.contains(&"variations[0]".to_owned()),
        "{fields:?}"
    );
    let none = json!({"name": "x", "type": "overdue", "variations": []});
    assert_eq!(faults(operator.post(&path("/templates"), &none).await)[0].1, "template_variation_count");

    let contents = json!({"variations": ["Oi {{primeiro_nome}}", "Olá {{primeiro_nome}}"]});
    let replaced = body_of(200, operator.put(&one, &contents).await);
    assert_eq!(replaced["variations"], contents["variations"]);
    let (action, _, before, after) = newest_audit_entry(&owner).await;
    assert_eq!(
        (action.as_str(), &before["variations"], &after["variations"]),
        ("template.updated", &new["variations"], &contents["variations"])
    );

    let id = &created["template_id"];
    let instance = tenant.instances[0].to_string();
    let default = json!({"type": "overdue", "template_id": id, "instance_id": instance});
    let defaults = path("/defaults/overdue");
    let body = json!({"template_id": id, "instance_id": instance});
    assert_eq!(body_of(200, operator.put(&defaults, &body).await), default);
    assert_eq!(body_of(200, operator.get(&path("/defaults")).await)["items"][0], default);
    assert_eq!(newest_audit_entry(&owner).await.0, "default.updated");
    assert_eq!(code_of(409, operator.delete(&one).await), "in_use");
    let wrong = operator.put(&path("/defaults/upcoming"), &json!({"template_id": id, "instance_id": id})).await;
    let codes: Vec<_> = faults(wrong).into_iter().map(|(_, code)| code).collect();
    assert_eq!(codes, ["instance_not_found", "template_not_found"], "a template of another type is not found");
    assert_eq!(code_of(404, operator.put(&path("/defaults/sms"), &json!({})).await), "not_found");

    body_of(200, operator.put(&defaults, &json!({"instance_id": instance})).await);
    assert_eq!(operator.delete(&one).await.status, StatusCode::NO_CONTENT);
    assert_eq!(code_of(404, operator.get(&one).await), "not_found");
    assert_eq!(newest_audit_entry(&owner).await.0, "template.deleted");
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_rate_takes_effect() {
    let (fleet, tenant, erp) = Fleet::with_tenant(TenantOptions { rate: 1, ..TenantOptions::default() }).await;
    let owner = TestUser::logged_in(&fleet, &tenant, UserRole::Owner, "dona").await;
    let queue = erp.send_accepted("overdue", &batch("lote-a", 1)).await;
    erp.wait_for_status(&queue, "completed").await;
    fleet.wait_for_free_lanes().await;
    let fast = json!({"keeps_hours": false, "messages_per_minute": 60_000, "jitter_percent": 0,
        "requests_per_minute": 6_000_000});
    body_of(200, owner.put(&path("/config"), &fast).await);
    // The next slot was reserved at the old rate.
    fleet.manual_clock.set(fleet.clock.now() + TimeDelta::seconds(61));
    let queue = erp.send_accepted("overdue", &batch("lote-b", 20)).await;
    erp.wait_for_status(&queue, "completed").await;
    fleet.assert_each_left_once(21);
    fleet.end().await;
}
