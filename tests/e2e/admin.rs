//! The admin API: the bodies that it accepts and refuses, its audit entries, and that changes take effect.

mod ceilings;
mod history;
mod instances;
mod key_scopes;
mod sending;

use regua_domain::UserRole;
use regua_tests::{Answer, Client, Fleet, FleetOptions, Tenant, TenantOptions, TestUser, eventually, logs};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// A fleet without workers and periodic, and a logged-in user of this role.
async fn fleet_with_user(role: UserRole) -> (Fleet, Tenant, TestUser) {
    let options = FleetOptions { workers: 0, periodic: false, ..FleetOptions::default() };
    let (fleet, tenant, _) = Fleet::with(options, TenantOptions::default()).await;
    let person = TestUser::logged_in(&fleet, &tenant, role, role.as_str()).await;
    (fleet, tenant, person)
}

fn path(rest: &str) -> String {
    format!("/api/v1/admin{rest}")
}

/// The body of an answer that must have this status.
#[track_caller]
fn body_of(status: u16, answer: Answer) -> Value {
    assert_eq!(answer.status.as_u16(), status, "{:#}", answer.body);
    answer.body
}

/// The problem code of an answer that must have this status.
#[track_caller]
fn code_of(status: u16, answer: Answer) -> String {
    body_of(status, answer)["code"].as_str().expect("a problem").to_owned()
}

/// The fields and codes of a 422 answer, sorted.
#[track_caller]
fn faults(answer: Answer) -> Vec<(String, String)> {
    let problem = body_of(422, answer);
    let text = |error: &Value, name: &str| error[name].as_str().unwrap().to_owned();
    let errors = problem["errors"].as_array().expect("errors").iter();
    let mut faults: Vec<_> = errors.map(|error| (text(error, "field"), text(error, "code"))).collect();
    faults.sort();
    faults
}

/// The entries of the audit log, newest first.
async fn audit(owner: &TestUser) -> Vec<Value> {
    let page = body_of(200, owner.get(&path("/audit?limit=1000")).await);
    page["items"].as_array().unwrap().clone()
}

/// Action, object, before and after of the newest audit entry.
async fn newest_audit_entry(owner: &TestUser) -> (String, Value, Value, Value) {
    let entry = audit(owner).await.swap_remove(0);
    let action = entry["action"].as_str().unwrap().to_owned();
    (action, entry["object_id"].clone(), entry["before"].clone(), entry["after"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn platform_creates_lists_and_renames_tenant() {
    let (fleet, _, platform) = fleet_with_user(UserRole::Platform).await;
    let new = json!({"slug": "nova", "name": "Nova Ltda", "time_zone": "America/Manaus", "messages_per_minute": 30});
    let created = body_of(201, platform.post(&path("/tenants"), &new).await);
    assert_eq!((&created["slug"], &created["status"]), (&json!("nova"), &json!("active")));
    assert_eq!(code_of(409, platform.post(&path("/tenants"), &new).await), "name_taken");
    let invalid = json!({"slug": "Nova!", "time_zone": "Mars/Olympus", "messages_per_minute": 0, "keeps_hours": 1,
                     "resend_unconfirmed": ["sms"], "plan": "gold"});
    let wrong = [
        ("keeps_hours", "wrong_type"),
        ("messages_per_minute", "invalid_number"),
        ("name", "required"),
        ("plan", "unknown_field"),
        ("resend_unconfirmed[0]", "invalid_value"),
        ("slug", "invalid_slug"),
        ("time_zone", "invalid_time_zone"),
    ];
    let wrong: Vec<_> = wrong.iter().map(|(field, code)| ((*field).to_owned(), (*code).to_owned())).collect();
    assert_eq!(faults(platform.post(&path("/tenants"), &invalid).await), wrong);

    let first = body_of(200, platform.get(&path("/tenants?limit=1")).await);
    let (slug, next) = (&first["items"][0]["slug"], first["next_cursor"].as_str().unwrap());
    assert_eq!((slug, next), (&json!("acme"), "acme"));
    let second = body_of(200, platform.get(&path(&format!("/tenants?limit=1&cursor={next}"))).await);
    assert_eq!((&second["items"][0], &second["next_cursor"]), (&created, &Value::Null));
    let one = body_of(200, platform.get(&path("/tenants?slug=nova")).await);
    assert_eq!(one["items"], json!([created]));

    let nova = tenant_with_id(&created["tenant_id"]);
    let at_nova = platform.acting_for(&nova);
    let config = body_of(200, at_nova.get(&path("/config")).await);
    let rate = (&config["messages_per_minute"], &config["time_zone"], &config["keeps_hours"]);
    assert_eq!(rate, (&json!(30), &json!("America/Manaus"), &json!(true)));
    let hours = body_of(200, at_nova.get(&path("/hours")).await);
    assert_eq!(hours["items"].as_array().unwrap().len(), 5, "Monday to Friday");
    assert_eq!(hours["items"][0], json!({"weekday": 1, "opens": "08:00", "closes": "18:00"}));

    let one = path(&format!("/tenants/{}", nova.id));
    let renamed = body_of(200, platform.put(&one, &json!({"name": "Nova S.A."})).await);
    assert_eq!(body_of(200, platform.get(&one).await), renamed);
    let (action, object, before, after) = newest_audit_entry(&at_nova).await;
    assert_eq!((action.as_str(), &object), ("tenant.updated", &json!(nova.id)));
    assert_eq!((&before["name"], &after["name"]), (&json!("Nova Ltda"), &json!("Nova S.A.")));
    let actions: Vec<_> = audit(&at_nova).await.iter().map(|entry| entry["action"].clone()).collect();
    assert_eq!(actions, ["tenant.updated", "tenant.created"], "in the new tenant's own log");
    let status = json!({"name": "Nova S.A.", "status": "closed"});
    assert_eq!(faults(platform.put(&one, &status).await), [("status".to_owned(), "invalid_value".to_owned())]);
    fleet.end().await;
}

/// A tenant for `acting_for`, which reads only its id.
fn tenant_with_id(id: &Value) -> Tenant {
    Tenant {
        id: id.as_str().unwrap().parse().unwrap(),
        slug: "nova",
        key: String::new(),
        instances: Vec::new(),
        tokens: Vec::new(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn suspended_tenant_is_refused_until_it_is_active_again() {
    let (fleet, _, platform) = fleet_with_user(UserRole::Platform).await;
    let other = TenantOptions { slug: "other", instances: vec!["filial".to_owned()], ..TenantOptions::default() };
    let other = fleet.create_tenant(&other).await;
    let owner = TestUser::logged_in(&fleet, &other, UserRole::Owner, "dona").await;
    let erp = Client::new(&fleet.api, &other.key);
    let queues = async || erp.call(Method::GET, "/api/v1/billing/queues", None).await.status;
    let one = path(&format!("/tenants/{}", other.id));
    assert_eq!(queues().await, StatusCode::OK);

    body_of(200, platform.put(&one, &json!({"name": "Other", "status": "suspended"})).await);
    eventually("its key is refused", async || queues().await == StatusCode::UNAUTHORIZED).await;
    assert_eq!(code_of(401, owner.get(&path("/keys")).await), "not_authenticated");
    let (action, _, before, after) = newest_audit_entry(&platform.acting_for(&other)).await;
    assert_eq!(action, "tenant.updated");
    assert_eq!((&before["status"], &after["status"]), (&json!("active"), &json!("suspended")));

    body_of(200, platform.put(&one, &json!({"name": "Other"})).await);
    eventually("its key is accepted again", async || queues().await == StatusCode::OK).await;
    body_of(200, owner.get(&path("/keys")).await);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn configuration_is_replaced_as_a_whole() {
    let (fleet, tenant, owner) = fleet_with_user(UserRole::Owner).await;
    let viewer = TestUser::logged_in(&fleet, &tenant, UserRole::Viewer, "quem-olha").await;
    let before = body_of(200, viewer.get(&path("/config")).await);
    let all = json!({
        "time_zone": "America/Bahia", "keeps_hours": false, "national_holidays": false, "messages_per_minute": 40,
        "jitter_percent": 10, "daily_cap": 500, "max_attempts": 3, "resend_unconfirmed": ["notification"],
        "requests_per_minute": 600,
    });
    assert_eq!(body_of(200, owner.put(&path("/config"), &all).await), all);
    assert_eq!(body_of(200, viewer.get(&path("/config")).await), all);
    let changed = |mut config: Value| {
        assert_eq!(config.as_object_mut().unwrap().remove("keeps_hours"), Some(json!(false)), "it did not change");
        config
    };
    let expected = ("config.updated".to_owned(), Value::Null, changed(before), changed(all.clone()));
    assert_eq!(newest_audit_entry(&owner).await, expected);

    let defaults = json!({
        "time_zone": "America/Sao_Paulo", "keeps_hours": true, "national_holidays": true, "messages_per_minute": 20,
        "jitter_percent": 20, "daily_cap": null, "max_attempts": 5, "resend_unconfirmed": ["upcoming", "notification"],
        "requests_per_minute": 1200,
    });
    assert_eq!(body_of(200, owner.put(&path("/config"), &json!({})).await), defaults);
    let invalid = json!({
        "jitter_percent": 51, "daily_cap": 0, "max_attempts": 21, "requests_per_minute": 6_000_001,
        "messages_per_minute": "20", "national_holidays": "yes",
    });
    let fields: Vec<_> =
        faults(owner.put(&path("/config"), &invalid).await).into_iter().map(|(field, _)| field).collect();
    let expected = [
        "daily_cap",
        "jitter_percent",
        "max_attempts",
        "messages_per_minute",
        "national_holidays",
        "requests_per_minute",
    ];
    assert_eq!(fields, expected);
    assert_eq!(body_of(200, viewer.get(&path("/config")).await), defaults, "the refused body changed nothing");
    assert_eq!(code_of(403, viewer.put(&path("/config"), &all).await), "forbidden");
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hours_and_holidays_are_stored_and_audited() {
    let (fleet, _, owner) = fleet_with_user(UserRole::Owner).await;
    let hours = json!({"items": [
        {"weekday": 1, "opens": "08:00", "closes": "12:00"}, {"weekday": 1, "opens": "13:30", "closes": "24:00"},
    ]});
    assert_eq!(body_of(200, owner.put(&path("/hours"), &hours).await), hours);
    assert_eq!(body_of(200, owner.get(&path("/hours")).await), hours);
    let (action, _, before, after) = newest_audit_entry(&owner).await;
    assert_eq!(
        (action.as_str(), before["items"].as_array().unwrap().len(), after),
        ("hours.updated", 5, hours.clone())
    );
    let twice = json!({"items": [hours["items"][0], hours["items"][0]]});
    assert_eq!(faults(owner.put(&path("/hours"), &twice).await)[0].1, "hours_overlap");

    let day = path("/holidays/2026-12-24");
    let closed = json!({"day": "2026-12-24", "name": "Véspera", "national": false, "own": true});
    assert_eq!(body_of(200, owner.put(&day, &json!({"name": "Véspera"})).await), closed);
    let renamed = body_of(200, owner.put(&day, &json!({"name": "Véspera de Natal"})).await);
    let listed = body_of(200, owner.get(&path("/holidays?year=2026")).await);
    let items = listed["items"].as_array().unwrap();
    assert_eq!(items.len(), 11, "ten national holidays and one of the tenant");
    assert_eq!(items[9], renamed);
    assert_eq!(items[10], json!({"day": "2026-12-25", "name": null, "national": true, "own": false}));
    assert_eq!(owner.delete(&day).await.status, StatusCode::NO_CONTENT);
    assert_eq!(code_of(404, owner.delete(&day).await), "not_found");
    let entries: Vec<_> = audit(&owner)
        .await
        .into_iter()
        .take(3)
        .map(|mut entry| (entry["action"].take(), entry["before"].take(), entry["after"].take()))
        .collect();
    let name = |name: &str| json!({"name": name});
    let expected = [
        (json!("holiday.removed"), name("Véspera de Natal"), Value::Null),
        (json!("holiday.set"), name("Véspera"), name("Véspera de Natal")),
        (json!("holiday.set"), Value::Null, name("Véspera")),
    ];
    assert_eq!(entries, expected);
    for invalid in ["2026-13-01", "natal", "1999-12-25"] {
        assert_eq!(code_of(404, owner.put(&path(&format!("/holidays/{invalid}")), &name("x")).await), "not_found");
    }
    assert_eq!(faults(owner.get(&path("/holidays?year=26")).await)[0].0, "year");
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn audit_log_contains_no_secret() {
    let (fleet, _, owner) = fleet_with_user(UserRole::Owner).await;
    let created = body_of(201, owner.post(&path("/keys"), &json!({"name": "ERP"})).await);
    let key = created["api_key"].as_str().unwrap();
    logs::register_secret(key);
    let token = "token-do-segundo-numero";
    logs::register_secret(token);
    let new = json!({"name": "segundo", "base_url": fleet.gateway, "token": token});
    let instance = body_of(201, owner.post(&path("/instances"), &new).await);
    let one = path(&format!("/instances/{}", instance["instance_id"].as_str().unwrap()));
    body_of(200, owner.put(&one, &json!({"base_url": fleet.gateway, "token": token})).await);
    let invited = json!({"email": "ana@acme.example", "name": "Ana", "role": "viewer"});
    let invited = body_of(201, owner.post(&path("/users"), &invited).await);
    let invitation = invited["invitation"].as_str().unwrap();
    logs::register_secret(invitation);
    let entries = audit(&owner).await;
    let text = serde_json::to_string(&entries).unwrap();
    for action in ["key.created", "instance.created", "instance.updated", "user.invited"] {
        assert!(text.contains(action), "{text}");
    }
    let secret = key.splitn(3, '_').nth(2).unwrap();
    for secret in [key, secret, token, invitation, "v1:"] {
        assert!(!text.contains(secret), "the audit log contains {secret:?}: {text}");
    }
    fleet.end().await;
}
