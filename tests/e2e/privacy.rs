//! One debtor's data: exported completely, erased without a trace, and retained no longer than the tenant sets. The
//! proof that messages were sent outlives it.

mod debtor;
mod events;
mod inventory;
mod retention;
mod sending;

use regua_tests::{Fleet, FleetOptions, Tenant, TenantOptions, batch, eventually};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Executor};

use self::debtor::*;

#[tokio::test(flavor = "multi_thread")]
async fn export_contains_all_data_of_one_debtor_and_nothing_else() {
    let (fleet, acme, erp) = fleet_without_periodic().await;
    let (other, their) = other_tenant(&fleet).await;
    for (erp, name) in [(&erp, "lote-a"), (&erp, "lote-b"), (&their, "lote-a")] {
        // With and without the ninth digit, the number is the same debtor's.
        let phone = if name == "lote-a" { "(85) 98765-4321" } else { "85 8765-4321" };
        let queue = erp.send_accepted("overdue", &batch_with_debtor(name, 3, phone)).await;
        erp.wait_for_status(&queue, "completed").await;
    }
    erp.send_accepted("notification", &batch_rejecting_debtor("lote-c")).await;
    store_webhook(&fleet, &acme, "558587654321").await;
    store_webhook(&fleet, &acme, "5585987654322").await;
    let owner = User::logged_in(&fleet, &acme, "acme", "owner").await;
    for debtor in
        [json!({"phone": "85 98765-4321"}), json!({"phone": "+558587654321"}), json!({"external_id": CUSTOMER})]
    {
        let found = owner.export(&debtor).await;
        let contacts = found["contacts"].as_array().unwrap();
        assert_eq!((contacts.len(), &found["next_cursor"]), (2, &Value::Null), "{found:#}");
        for contact in contacts {
            assert_eq!((&contact["name"], &contact["phone"]), (&json!(NAME), &json!(PHONE)), "{contact:#}");
            assert_eq!(contact["amount_cents"], 765_432);
            assert!(contact["text"].as_str().unwrap().contains("Quirina"), "{contact:#}");
            assert_eq!(contact["variables"]["link"], "https://acme.example/boleto-da-quirina");
            assert_eq!((&contact["history"][0]["outcome"], &contact["status"]), (&json!("sent"), &json!("sent")));
            assert!(contact["campaign"]["external_id"].as_str().unwrap().starts_with("lote-"), "{contact:#}");
        }
        assert_eq!(found["remarks"].as_array().unwrap().len(), 1, "{found:#}");
        assert_eq!(found["remarks"][0]["remark"]["code"], "phone_too_short");
        assert_eq!(found["webhooks"].as_array().unwrap().len(), 1, "{found:#}");
        assert!(!found.to_string().contains("Maria da Silva"), "the export contains no other debtor");
    }
    let theirs = User::logged_in(&fleet, &other, "outra", "owner").await.export(&json!({"phone": PHONE})).await;
    assert_eq!(theirs["contacts"].as_array().unwrap().len(), 1);
    let unknown = owner.export(&json!({"phone": "85 98765-4320"})).await;
    assert_eq!((&unknown["contacts"], &unknown["webhooks"]), (&json!([]), &json!([])));

    let audit = owner.call(Method::GET, "/audit?action=debtor.exported", &json!({})).await.body;
    assert_eq!(audit["items"][3]["after"]["contacts"], 2, "{audit:#}");
    assert!(TRACES.iter().all(|trace| !audit.to_string().contains(trace)), "{audit:#}");
    fleet.end_unfinished().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn erasure_removes_all_personal_data_and_keeps_all_proof() {
    let (fleet, acme, erp) = fleet_without_periodic().await;
    let (other, their) = other_tenant(&fleet).await;
    let body = batch_with_debtor("lote-a", 3, PHONE);
    let queue = erp.send_accepted("overdue", &body).await;
    let before = erp.wait_for_status(&queue, "completed").await;
    let refused = erp.send_accepted("notification", &batch_rejecting_debtor("lote-c")).await;
    erp.wait_for_status(&refused, "completed").await;
    let theirs = their.send_accepted("overdue", &batch_with_debtor("lote-a", 2, PHONE)).await;
    their.wait_for_status(&theirs, "completed").await;
    fleet.wait_for_free_lanes().await;
    store_webhook(&fleet, &acme, "558587654321").await;
    let proof = erp.contacts(&queue).await[0].clone();
    let owner = User::logged_in(&fleet, &acme, "acme", "owner").await;
    let other_before = dump(&fleet, &format!("tenant_id = '{}'", other.id)).await;
    let (others, neighbours) = (erp.contacts(&queue).await[1..].to_vec(), erp.contacts(&refused).await);

    let done = owner.erase(&json!({"phone": "(85) 8765-4321", "reason": "requested"})).await;
    let expected = json!({"erased": 1, "cancelled": 0, "being_sent": 0, "erased_before": 0, "next_cursor": null});
    assert_eq!(done, expected);
    assert_no_trace(&fleet, &acme).await;

    let contact = erp.contact(proof["contact_id"].as_str().unwrap()).await;
    for field in ["status", "message_id", "attempts", "sent_at", "reference", "variation", "delivered_at"] {
        assert_eq!(contact[field], proof[field], "{field}");
    }
    assert_eq!(
        (&contact["history"][0]["outcome"], &contact["status"]),
        (&json!("sent"), &json!("sent")),
        "{contact:#}"
    );
    assert!(contact["erased_at"].is_string() && contact["phone"] == "" && contact["external_id"].is_null());
    assert_eq!(erp.contacts(&queue).await[1..], others, "other contacts are unchanged");
    assert_eq!(erp.contacts(&refused).await, neighbours);
    let after = erp.status(&queue).await;
    for count in ["total", "sent", "status"] {
        assert_eq!(after[count], before[count], "{count}");
    }
    let metadata =
        fleet.count("select count(*) from campaigns where external_id = 'lote-a' and metadata->>'loja' = 'Centro'");
    assert_eq!(metadata.await, 2, "metadata without personal data remains");
    assert_eq!(
        dump(&fleet, &format!("tenant_id = '{}'", other.id)).await,
        other_before,
        "the other tenant's rows are unchanged"
    );

    // A repeated request is answered, the replay guard still knows the batch, and the phone number finds the proof.
    for debtor in [json!({"phone": PHONE}), json!({"external_id": CUSTOMER})] {
        let again = owner.erase(&debtor).await;
        assert_eq!((&again["erased"], &again["erased_before"]), (&json!(0), &json!(1)), "{again:#}");
        let found = owner.export(&debtor).await;
        assert_eq!(found["contacts"][0]["message_id"], proof["message_id"], "{found:#}");
        assert_eq!((&found["remarks"], &found["webhooks"]), (&json!([]), &json!([])));
    }
    let replayed = erp.send("overdue", &body).await;
    assert_eq!((replayed.status, &replayed.body["replayed"]), (StatusCode::OK, &json!(true)));
    let remarks = erp.send("notification", &batch_rejecting_debtor("lote-c")).await.body["rejected"].clone();
    let anonymous =
        json!([{"index": 1, "external_id": null, "field": "phone", "code": "phone_too_short", "message": ""}]);
    assert_eq!(remarks, anonymous);
    assert_eq!(fleet.sandbox.ledger().len(), 6);
    fleet.end_without_the_ledger().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn debtor_request_must_name_one_debtor_and_come_from_an_owner() {
    let (fleet, acme, _) = fleet_without_periodic().await;
    let owner = User::logged_in(&fleet, &acme, "acme", "owner").await;
    let operator = User::logged_in(&fleet, &acme, "acme", "operator").await;
    for path in ["/debtors/export", "/debtors/erase"] {
        for body in [
            json!({}),
            json!({"phone": "12"}),
            json!({"phone": PHONE, "external_id": "x"}),
            json!({"name": NAME}),
            json!({"phone": PHONE, "cursor": "x"}),
        ] {
            let answer = owner.call(Method::POST, path, &body).await;
            assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{path} {body}: {:#}", answer.body);
        }
        let answer = operator.call(Method::POST, path, &json!({"phone": PHONE})).await;
        assert_eq!((answer.status, &answer.body["code"]), (StatusCode::FORBIDDEN, &json!("forbidden")), "{path}");
    }
    let answer = owner.call(Method::POST, "/debtors/erase", &json!({"phone": PHONE, "reason": NAME})).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "a reason is one of a list, never a name");
    fleet.end().await;
}

/// The table's constraints define an erasure: they refuse one that leaves a column.
#[tokio::test(flavor = "multi_thread")]
async fn constraints_refuse_partial_erasure_and_sending_of_erased_contacts() {
    let (fleet, _, erp) = fleet_without_periodic().await;
    let queue = erp.send_accepted("overdue", &batch_with_debtor("lote-a", 1, PHONE)).await;
    erp.wait_for_status(&queue, "completed").await;
    let erased = "erasure_asked_at = now(), erased_at = now()";
    let all =
        "name = '', phone = '', text = '', external_id = null, due_date = null, amount_cents = null, variables = '{}',
               metadata = '{}'";
    let parts: Vec<_> = all.split(',').collect();
    let mut statements: Vec<_> = (0..parts.len())
        .map(|left| {
            let cleared: Vec<_> =
                parts.iter().enumerate().filter(|(part, _)| *part != left).map(|(_, part)| *part).collect();
            format!("update contacts set {erased}, {}", cleared.join(","))
        })
        .collect();
    statements.push(format!("update contacts set {erased}, {all}, status = 'pending'"));
    statements.push(format!("update contacts set {erased}, {all}, status = 'sending'"));
    statements.push("update contacts set erasure_asked_at = now(), status = 'pending'".to_owned());
    for statement in statements {
        let error = fleet.database.pool.execute(AssertSqlSafe(statement.clone())).await.expect_err(&statement);
        let constraint = error.as_database_error().and_then(|error| error.constraint()).unwrap_or_default().to_owned();
        assert!(constraint.starts_with("contacts_"), "{statement}: {error}");
    }
    fleet.database.pool.execute(AssertSqlSafe(format!("update contacts set {erased}, {all}"))).await.unwrap();
    fleet.end_without_the_ledger().await;
}
