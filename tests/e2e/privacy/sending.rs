//! Erasure of a contact that is pending, being sent, or unconfirmed.

use regua_sandbox::{Effect, Fault};

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn erased_pending_contact_is_never_sent() {
    // At one message a minute the worker holds the other contacts claimed and waits.
    let (fleet, acme, erp) = Fleet::with_tenant(TenantOptions { rate: 1, ..TenantOptions::default() }).await;
    let mut slow = batch("lote-a", 4);
    let mut debtor = batch_with_debtor("lote-a", 1, PHONE)["contacts"][0].clone();
    debtor["external_id"] = json!("outro-id-dela");
    slow["contacts"][3] = debtor;
    let mut later = batch_with_debtor("lote-b", 1, PHONE);
    later["scheduled_for"] = json!("2026-11-24T13:00:00Z");
    let (slow, later) = (erp.send_accepted("overdue", &slow).await, erp.send_accepted("overdue", &later).await);
    erp.wait_until(&slow, "at one sent contact", |queue| queue["sent"] == 1).await;
    let owner = User::logged_in(&fleet, &acme, "acme", "owner").await;
    let done = owner.erase(&json!({"phone": PHONE})).await;
    assert_eq!(
        (&done["erased"], &done["cancelled"], &done["being_sent"]),
        (&json!(2), &json!(2), &json!(0)),
        "{done:#}"
    );
    let status = erp.status(&later).await;
    assert_eq!((&status["status"], &status["cancelled"]), (&json!("completed"), &json!(1)), "{status:#}");
    for sent in 2..=3 {
        fleet.manual_clock.set(fleet.clock.now() + chrono::TimeDelta::seconds(90));
        erp.wait_until(&slow, "at one more sent contact", |queue| queue["sent"] == sent).await;
    }
    let status = erp.wait_for_status(&slow, "completed").await;
    assert_eq!(
        (&status["sent"], &status["cancelled"], &status["pending"]),
        (&json!(3), &json!(1), &json!(0)),
        "{status:#}"
    );
    fleet.manual_clock.set(fleet.clock.now() + chrono::TimeDelta::days(2));
    fleet.wait_for_free_lanes().await;
    assert!(!fleet.sent_by_number().contains_key(&PHONE[1..]), "a message to the erased debtor left");
    assert_no_trace(&fleet, &acme).await;
    fleet.end().await;
}

/// Erases a contact during its slow send, and asserts its final status and the number of messages that left.
async fn erased_while_sent(effect: Effect, message_type: &str, expected: (&str, usize)) {
    let options = FleetOptions { send_timeout: std::time::Duration::from_secs(20), ..FleetOptions::default() };
    let (fleet, acme, erp) = Fleet::with(options, TenantOptions::default()).await;
    let owner = User::logged_in(&fleet, &acme, "acme", "owner").await;
    fleet.sandbox.set_faults(vec![Fault { latency_ms: 3000, ..Fault::every_send(effect) }]).unwrap();
    let queue = erp.send_accepted(message_type, &batch_with_debtor("lote-a", 1, PHONE)).await;
    erp.wait_until(&queue, "sending", |queue| queue["sending"] == 1).await;
    let done = owner.erase(&json!({"external_id": CUSTOMER})).await;
    assert_eq!((&done["erased"], &done["being_sent"]), (&json!(0), &json!(1)), "{done:#}");
    let again = owner.erase(&json!({"external_id": CUSTOMER})).await;
    assert_eq!((&again["being_sent"], &again["erased_before"]), (&json!(1), &json!(0)), "a second request: {again:#}");
    eventually("the erasure to complete", async || {
        fleet.count("select count(*) from contacts where erased_at is not null").await == 1
    })
    .await;
    fleet.sandbox.set_faults(Vec::new()).unwrap();
    // Long enough for every look and every retry.
    for _ in 0..5 {
        fleet.manual_clock.set(fleet.clock.now() + chrono::TimeDelta::hours(3));
        fleet.wait_for_free_lanes().await;
    }
    let contact = erp.contacts(&queue).await[0].clone();
    assert_eq!((contact["status"].as_str().unwrap(), &contact["attempts"]), (expected.0, &json!(1)), "{contact:#}");
    assert_eq!(fleet.sandbox.ledger().len(), expected.1);
    assert_eq!(fleet.count("select count(*) from attempts where next_look_at is not null").await, 0);
    assert_no_trace(&fleet, &acme).await;
    let owner = User { token: owner.login_again("acme").await, ..owner };
    let again = owner.erase(&json!({"phone": PHONE})).await;
    assert_eq!((&again["erased_before"], &again["being_sent"]), (&json!(1), &json!(0)), "{again:#}");
    fleet.end_without_the_ledger().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn contact_being_sent_is_erased_after_its_message_leaves() {
    erased_while_sent(Effect::None, "overdue", ("sent", 1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn contact_erased_while_being_sent_is_not_retried() {
    erased_while_sent(Effect::Envelope500, "overdue", ("cancelled", 0)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn contact_erased_while_being_sent_is_not_looked_for_after_unknown_outcome() {
    erased_while_sent(Effect::TimedOut400, "notification", ("unconfirmed", 0)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn erased_unconfirmed_contact_is_neither_looked_for_nor_resent() {
    let (fleet, acme, erp) = Fleet::with_tenant(TenantOptions::default()).await;
    let lost = Fault { times: Some(1), left: Some(false), ..Fault::every_send(Effect::TimedOut400) };
    fleet.sandbox.set_faults(vec![lost]).unwrap();
    let queue = erp.send_accepted("notification", &batch_with_debtor("lote-a", 1, PHONE)).await;
    erp.wait_until(&queue, "unconfirmed", |queue| queue["unconfirmed"] == 1).await;
    let owner = User::logged_in(&fleet, &acme, "acme", "owner").await;
    assert_eq!(owner.erase(&json!({"phone": PHONE})).await["erased"], 1);
    let contact = erp.contacts(&queue).await[0].clone();
    let id = contact["contact_id"].as_str().unwrap();
    let refused = erp.decide(id, "resend").await;
    assert_eq!(
        (refused.status, &refused.body["code"]),
        (StatusCode::CONFLICT, &json!("state_conflict")),
        "{refused:?}"
    );
    for _ in 0..5 {
        fleet.manual_clock.set(fleet.clock.now() + chrono::TimeDelta::hours(3));
        fleet.wait_for_free_lanes().await;
    }
    let contact = erp.contact(id).await;
    assert_eq!((&contact["status"], &contact["history"][0]["settled_by"]), (&json!("unconfirmed"), &json!("gave_up")));
    assert_eq!(erp.decide(id, "give_up").await.status, StatusCode::OK, "an operator can still give it up");
    assert!(fleet.sandbox.ledger().is_empty());
    assert_no_trace(&fleet, &acme).await;
    fleet.end_without_the_ledger().await;
}
