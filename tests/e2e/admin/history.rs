//! What a change leaves behind: an entry of the audit log of a bounded size, and the earlier text of a template.

use chrono::TimeDelta;
use regua_domain::UserRole;
use regua_tests::{Fleet, TestUser};
use serde_json::{Value, json};

use super::{body_of, fleet_with_user, newest_audit_entry, path};

async fn put(owner: &TestUser, template: &str, text: &str) -> Value {
    body_of(200, owner.put(template, &json!({"variations": [text]})).await)
}

async fn versions(owner: &TestUser, template: &str) -> Vec<Value> {
    body_of(200, owner.get(&format!("{template}/versions")).await)["items"].as_array().unwrap().clone()
}

/// A template with a long text, and its path.
async fn fleet_with_template() -> (Fleet, TestUser, String, String) {
    let (fleet, _, owner) = fleet_with_user(UserRole::Owner).await;
    let text = format!("Olá {{{{nome}}}}, {}", "sua fatura venceu. ".repeat(100));
    let new = json!({"name": "cobranca", "type": "overdue", "variations": [text]});
    let created = body_of(201, owner.post(&path("/templates"), &new).await);
    let template = path(&format!("/templates/{}", created["template_id"].as_str().unwrap()));
    (fleet, owner, template, text)
}

#[tokio::test(flavor = "multi_thread")]
async fn audit_entry_has_differences_and_hashes_of_long_texts() {
    let (fleet, owner, template, text) = fleet_with_template().await;
    let (_, _, before, after) = newest_audit_entry(&owner).await;
    assert_eq!((before, &after["name"]), (Value::Null, &json!("cobranca")));
    assert_eq!(after["variations"][0]["bytes"], text.len());

    put(&owner, &template, "Curto.").await;
    let (action, _, before, after) = newest_audit_entry(&owner).await;
    assert_eq!(action, "template.updated");
    assert_eq!(before["variations"][0]["sha256"].as_str().map(str::len), Some(64), "{before:#}");
    assert_eq!(after["variations"], json!(["Curto."]));
    let changed: Vec<_> = after.as_object().unwrap().keys().collect();
    assert_eq!(changed, ["updated_at", "variations"], "members that did not change are not stored");

    let schema = json!({"type": "object", "description": "x".repeat(18_000)});
    body_of(200, owner.put(&template, &json!({"variations": ["Curto."], "variables_schema": schema})).await);
    let longest = fleet.count("select max(length(before::text) + length(after::text))::bigint from audit_log").await;
    assert!(longest <= 8192, "an entry of {longest} bytes");
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replaced_texts_of_a_template_are_stored_as_versions_within_bounds() {
    let (fleet, owner, template, text) = fleet_with_template().await;
    assert_eq!(versions(&owner, &template).await, [Value::Null; 0]);
    put(&owner, &template, "Dois.").await;
    put(&owner, &template, "Dois.").await;
    put(&owner, &template, "Três.").await;
    let stored = versions(&owner, &template).await;
    let texts: Vec<_> = stored.iter().map(|version| (&version["version"], &version["variations"][0])).collect();
    assert_eq!(texts, [(&json!(2), &json!("Dois.")), (&json!(1), &json!(text))], "an unchanged text is no version");

    for number in 0..50 {
        put(&owner, &template, &format!("Texto {number}.")).await;
    }
    let stored = versions(&owner, &template).await;
    assert_eq!((stored.len(), &stored[0]["version"], &stored[49]["version"]), (50, &json!(52), &json!(3)));

    let periodic = fleet.manual_periodic();
    fleet.manual_clock.set(fleet.clock.now() + TimeDelta::days(399));
    periodic.run_retention().await.unwrap();
    let count = "select count(*) from template_versions";
    assert_eq!(fleet.count(count).await, 50, "before 400 days");
    fleet.manual_clock.set(fleet.clock.now() + TimeDelta::days(2));
    periodic.run_retention().await.unwrap();
    assert_eq!(fleet.count(count).await, 0);
    fleet.end().await;
}
