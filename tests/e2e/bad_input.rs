//! Invalid input gets a problem that names the field, and nothing is stored.

mod field_cases;
mod forms_of_bodies;

use chrono::TimeDelta;
use regua_domain::MessageType;
use regua_tests::{Answer, Client, Fleet, FleetOptions, Tenant, TenantOptions, batch, contact};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

const SEND: &str = "/api/v1/billing/send/overdue";

async fn idle_fleet() -> (Fleet, Tenant, Client) {
    let options = FleetOptions { workers: 0, periodic: false, ..FleetOptions::default() };
    Fleet::with(options, TenantOptions::default()).await
}

/// Ends the fleet and asserts that nothing was stored.
async fn end_with_empty_tables(fleet: Fleet) {
    for table in ["campaigns", "queues", "contacts", "doorbells"] {
        let query: &'static str = match table {
            "campaigns" => "select count(*) from campaigns",
            "queues" => "select count(*) from queues",
            "contacts" => "select count(*) from contacts",
            _ => "select count(*) from doorbells",
        };
        assert_eq!(fleet.count(query).await, 0, "{table} is not empty");
    }
    fleet.end().await;
}

fn assert_problem(answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.status.as_u16(), status, "{:#}", answer.body);
    assert_eq!(answer.content_type, "application/problem+json");
    assert_eq!(answer.body["code"], code, "{:#}", answer.body);
    assert_eq!(answer.body["status"], status);
    for field in ["type", "title", "detail", "request_id"] {
        assert!(answer.body[field].as_str().is_some_and(|text| !text.is_empty()), "no {field}: {:#}", answer.body);
    }
}

/// The fields that the problem names.
fn fault_fields(answer: &Answer) -> Vec<&str> {
    let errors = answer.body["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
    errors.iter().filter_map(|error| error["field"].as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_json_gets_400_with_its_line() {
    let (fleet, _, erp) = idle_fleet().await;
    for body in ["", "{", "{\"external_id\": \"x\",\n \"contacts\": [}", "\u{feff}", "nul"] {
        let answer = erp.post_raw(SEND, "application/json", body.as_bytes().to_vec()).await;
        assert_problem(&answer, 400, "malformed_json");
    }
    let answer = erp.post_raw(SEND, "application/json", b"{\"external_id\": \"x\",\n \"contacts\": [}".to_vec()).await;
    let detail = answer.body["detail"].as_str().unwrap();
    assert!(detail.contains("linha 2"), "{detail}");
    let answer = erp.post_raw(SEND, "application/json", vec![b'"', 0xFF, 0xFE, b'"']).await;
    assert_problem(&answer, 400, "malformed_json");
    let answer = erp.post_raw(SEND, "text/csv", b"a;b".to_vec()).await;
    assert_problem(&answer, 415, "unsupported_media_type");
    end_with_empty_tables(fleet).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_of_wrong_type_are_reported_together() {
    let (fleet, _, erp) = idle_fleet().await;
    let body = json!({"external_id": 7, "name": [], "scheduled_for": "amanhã", "metadata": "x", "contacts": {}});
    let answer = erp.send("overdue", &body).await;
    assert_problem(&answer, 422, "validation_failed");
    let mut named = fault_fields(&answer);
    named.sort_unstable();
    assert_eq!(named, ["contacts", "external_id", "metadata", "name", "scheduled_for"], "{:#}", answer.body);
    for body in [json!([]), json!("x"), json!(null), json!({})] {
        assert_problem(&erp.send("overdue", &body).await, 422, "validation_failed");
    }
    let mut misspelt = batch("lote-a", 1);
    misspelt["schedule_for"] = json!("2026-11-24T09:00:00-03:00");
    let answer = erp.send("overdue", &misspelt).await;
    assert_problem(&answer, 422, "validation_failed");
    assert_eq!(
        fault_fields(&answer),
        ["schedule_for"],
        "a misspelt schedule is refused, or the batch would be sent at once"
    );
    end_with_empty_tables(fleet).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn batch_is_limited_to_ten_thousand_contacts_and_thirty_two_megabytes() {
    let (fleet, _, erp) = idle_fleet().await;
    for contacts in [0, 10_001] {
        let answer = erp.send("overdue", &batch("lote-a", contacts)).await;
        assert_problem(&answer, 422, "validation_failed");
        assert_eq!(fault_fields(&answer), ["contacts"]);
    }
    let mut huge = b"{\"external_id\": \"".to_vec();
    huge.resize(60 << 20, b'x');
    let answer = erp.post_raw(SEND, "application/json", huge).await;
    assert_problem(&answer, 413, "body_too_large");
    end_with_empty_tables(fleet).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_contacts_are_rejected_by_field_and_valid_contacts_are_accepted() {
    let (fleet, _, erp) = idle_fleet().await;
    let invalid: [(&str, Value, &str); 14] = [
        ("due_date", json!("31/02/2026"), "due_date"),
        ("due_date", json!("2026-02-31"), "due_date"),
        ("due_date", json!(null), "due_date"),
        ("amount", json!("1.234"), "amount"),
        ("amount", json!(true), "amount"),
        ("amount", json!("-1"), "amount"),
        ("name", json!("Ma\u{0}ria"), "name"),
        ("name", json!(""), "name"),
        ("phone", json!("(00) 98888-7777"), "phone"),
        ("phone", json!("1188"), "phone"),
        ("phone", json!({"a": 1}), "phone"),
        ("variables", json!({"nome": "outra"}), "variables.nome"),
        ("variables", json!({"lista": [1]}), "variables.lista"),
        ("metadata", json!([1]), "metadata"),
    ];
    let mut body = batch("lote-a", invalid.len() + 3);
    for (n, (field, value, _)) in invalid.iter().enumerate() {
        body["contacts"][n][field] = value.clone();
    }
    body["contacts"][invalid.len()] = json!("no object");
    body["contacts"][invalid.len() + 1]["external_id"] = body["contacts"][invalid.len() + 2]["external_id"].clone();
    body["dry_run"] = json!(true);
    let answer = erp.send("overdue", &body).await;
    assert_eq!(answer.status, StatusCode::OK, "{:#}", answer.body);
    let rejected = answer.body["rejected"].as_array().unwrap();
    assert_eq!(rejected.len(), invalid.len() + 2, "{rejected:#?}");
    for (n, (field, value, named)) in invalid.iter().enumerate() {
        let rejection = &rejected[n];
        assert_eq!(rejection["index"], n);
        assert_eq!(rejection["field"], *named, "{field} = {value}: {rejection:#}");
        assert_eq!(rejection["external_id"], format!("lote-a-{n}"));
        assert!(rejection["code"].is_string() && rejection["message"].is_string());
    }
    let amount = rejected[3]["message"].as_str().unwrap();
    assert!(amount.contains("\"1234.00\""), "the message shows the amount that may be meant: {amount}");
    assert_eq!(rejected[invalid.len() + 1]["code"], "duplicate_external_id");
    assert_eq!(answer.body["contacts"].as_array().unwrap().len(), 1);
    end_with_empty_tables(fleet).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn batch_without_valid_contact_gets_422() {
    let (fleet, _, erp) = idle_fleet().await;
    let mut body = batch("lote-a", 2);
    body["contacts"][0]["phone"] = json!("x");
    body["contacts"][1]["amount"] = json!("-50,00");
    let answer = erp.send("overdue", &body).await;
    assert_problem(&answer, 422, "no_valid_contact");
    assert_eq!(fault_fields(&answer), ["contacts[0].phone", "contacts[1].amount"]);
    end_with_empty_tables(fleet).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_template_or_instance_gets_422() {
    let (fleet, _, erp) = idle_fleet().await;
    let mut body = batch("lote-a", 1);
    body["template"] = json!("nenhum");
    assert_problem(&erp.send("overdue", &body).await, 422, "template_not_found");
    let mut body = batch("lote-a", 1);
    body["instance"] = json!("nenhuma");
    assert_problem(&erp.send("overdue", &body).await, 422, "instance_not_found");
    let mut body = batch("lote-a", 1);
    body["template"] = json!("upcoming-padrao");
    assert_problem(&erp.send("overdue", &body).await, 422, "template_not_found");
    end_with_empty_tables(fleet).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_wrong_expired_and_disallowed_keys_are_refused() {
    let (fleet, tenant, erp) = idle_fleet().await;
    let now = fleet.clock.now();
    let body = batch("lote-a", 1);
    assert_problem(&erp.with_key("").send("overdue", &body).await, 401, "api_key_missing");
    let mut wrong = tenant.key.clone();
    let last = if wrong.ends_with('A') { 'B' } else { 'A' };
    wrong.pop();
    wrong.push(last);
    for key in ["x", "regua_abcdefgh_short", wrong.as_str()] {
        assert_problem(&erp.with_key(key).send("overdue", &body).await, 401, "api_key_invalid");
    }
    let pool = &fleet.database.pool;
    let expired =
        Tenant::add_key(pool, tenant.id, &[MessageType::Overdue], Some(now - TimeDelta::seconds(1)), now).await;
    assert_problem(&erp.with_key(&expired).send("overdue", &body).await, 401, "api_key_expired");
    let limited = Tenant::add_key(pool, tenant.id, &[MessageType::Upcoming], None, now).await;
    assert_problem(&erp.with_key(&limited).send("overdue", &body).await, 403, "template_type_not_allowed");
    end_with_empty_tables(fleet).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn queue_of_another_tenant_is_answered_as_unknown() {
    let (fleet, _, erp) = idle_fleet().await;
    let options = TenantOptions { slug: "outra", instances: vec!["outra".to_owned()], ..TenantOptions::default() };
    let other = Client::new(&fleet.api, &fleet.create_tenant(&options).await.key);
    let queue = other.send_accepted("overdue", &batch("lote-a", 1)).await;
    let unknown = "01928c8e-0000-7000-8000-000000000000";
    for id in [queue.as_str(), unknown, "no-uuid"] {
        for path in [format!("queue/{id}/status"), format!("queue/{id}/contacts")] {
            assert_problem(&erp.call(Method::GET, &format!("/api/v1/billing/{path}"), None).await, 404, "not_found");
        }
        assert_problem(&erp.control(id, "cancel").await, 404, "not_found");
    }
    let own = erp.call(Method::GET, "/api/v1/billing/queues", None).await;
    assert_eq!(own.body["items"], json!([]));
    assert_eq!(other.status(&queue).await["status"], "pending");
    assert_eq!(other.control(&queue, "cancel").await.status, StatusCode::OK);
    assert_problem(&other.control(&queue, "resume").await, 409, "state_conflict");
    assert_problem(&other.control(&queue, "explode").await, 422, "validation_failed");
    assert_problem(&other.call(Method::GET, "/api/v1/billing/queues?status=x", None).await, 422, "validation_failed");
    assert_problem(&other.call(Method::GET, "/nowhere", None).await, 404, "not_found");
    fleet.end_unfinished().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn accept_language_header_selects_language() {
    let (fleet, tenant, erp) = idle_fleet().await;
    let body = json!({"external_id": "x", "contacts": [contact("lote-a", 0)], "template": "nenhum"});
    let mut details = Vec::new();
    for language in ["pt-BR", "en"] {
        let request = erp.request(Method::POST, SEND).header("Accept-Language", language).json(&body);
        details.push(Client::answer(request).await.body["detail"].as_str().unwrap().to_owned());
    }
    assert_ne!(details[0], details[1]);
    assert_eq!(erp.send("overdue", &body).await.body["detail"], details[0], "pt-BR is the default");
    assert!(!details.iter().any(|detail| detail.contains(&tenant.key)));
    end_with_empty_tables(fleet).await;
}
