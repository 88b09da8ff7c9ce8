//! What is sent and how fast, over the admin API: templates, defaults, and rates that act.

use chrono::TimeDelta;
use regua_domain::UserRole;
use regua_tests::{Fleet, Person, TenantOptions, batch};
use reqwest::StatusCode;
use serde_json::json;

use super::{answered, faults, latest, path, quiet, refused};

#[tokio::test(flavor = "multi_thread")]
async fn a_template_is_written_replaced_and_deleted_where_nobody_needs_it() {
    let (fleet, tenant, operator) = quiet(UserRole::Operator).await;
    let owner = Person::logged_in(&fleet, &tenant, UserRole::Owner, "dona").await;
    let new = json!({"name": "cobranca-2", "type": "overdue", "variations": ["Olá {{primeiro_nome}}"]});
    let made = answered(201, operator.post(&path("/templates"), &new).await);
    assert_eq!((&made["default"], &made["variations"]), (&json!(false), &new["variations"]));
    assert_eq!(refused(409, operator.post(&path("/templates"), &new).await), "name_taken");
    let one = path(&format!("/templates/{}", made["template_id"].as_str().unwrap()));
    assert_eq!(answered(200, operator.get(&one).await), made, "and the refusal changed nothing");

    let odd = json!({"name": "x", "type": "overdue", "variations": ["Olá", "Olá\n{{#if nome}} sem fim", "{{nada}}"],
                     "variables_schema": []});
    let answer = operator.post(&path("/templates"), &odd).await;
    let second = answer.body["errors"].as_array().unwrap().iter().find(|error| error["field"] == "variations[1]");
    let message = second.expect("its place")["message"].as_str().unwrap().to_owned();
    assert!(message.contains("inha 2") && message.contains("coluna 1"), "{message}");
    let fields: Vec<_> = faults(answer).into_iter().map(|(field, _)| field).collect();
    assert!(
        fields.contains(&"variables_schema".to_owned()) && !fields.contains(&"variations[0]".to_owned()),
        "{fields:?}"
    );
    let none = json!({"name": "x", "type": "overdue", "variations": []});
    assert_eq!(faults(operator.post(&path("/templates"), &none).await)[0].1, "template_variation_count");

    let contents = json!({"variations": ["Oi {{primeiro_nome}}", "Olá {{primeiro_nome}}"]});
    let replaced = answered(200, operator.put(&one, &contents).await);
    assert_eq!(replaced["variations"], contents["variations"]);
    let (action, _, before, after) = latest(&owner).await;
    assert_eq!(
        (action.as_str(), &before["variations"], &after["variations"]),
        ("template.updated", &new["variations"], &contents["variations"])
    );

    let id = &made["template_id"];
    let instance = tenant.instances[0].to_string();
    let default = json!({"type": "overdue", "template_id": id, "instance_id": instance});
    let defaults = path("/defaults/overdue");
    let body = json!({"template_id": id, "instance_id": instance});
    assert_eq!(answered(200, operator.put(&defaults, &body).await), default);
    assert_eq!(answered(200, operator.get(&path("/defaults")).await)["items"][0], default);
    assert_eq!(latest(&owner).await.0, "default.updated");
    assert_eq!(refused(409, operator.delete(&one).await), "in_use");
    let wrong = operator.put(&path("/defaults/upcoming"), &json!({"template_id": id, "instance_id": id})).await;
    let codes: Vec<_> = faults(wrong).into_iter().map(|(_, code)| code).collect();
    assert_eq!(codes, ["instance_not_found", "template_not_found"], "a template of another type is none");
    assert_eq!(refused(404, operator.put(&path("/defaults/sms"), &json!({})).await), "not_found");

    answered(200, operator.put(&defaults, &json!({"instance_id": instance})).await);
    assert_eq!(operator.delete(&one).await.status, StatusCode::NO_CONTENT);
    assert_eq!(refused(404, operator.get(&one).await), "not_found");
    assert_eq!(latest(&owner).await.0, "template.deleted");
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_rate_acts() {
    let (fleet, tenant, erp) = Fleet::with_tenant(TenantOptions { rate: 1, ..TenantOptions::default() }).await;
    let owner = Person::logged_in(&fleet, &tenant, UserRole::Owner, "dona").await;
    let queue = erp.accepted("overdue", &batch("lote-a", 1)).await;
    erp.until(&queue, "completed").await;
    fleet.until_lanes_are_free().await;
    let fast = json!({"keeps_hours": false, "messages_per_minute": 60_000, "jitter_percent": 0,
        "requests_per_minute": 6_000_000});
    answered(200, owner.put(&path("/config"), &fast).await);
    // The slot after the first message was given at the old rate.
    fleet.hands.set(fleet.clock.now() + TimeDelta::seconds(61));
    let queue = erp.accepted("overdue", &batch("lote-b", 20)).await;
    erp.until(&queue, "completed").await;
    fleet.assert_each_left_once(21);
    fleet.end().await;
}
