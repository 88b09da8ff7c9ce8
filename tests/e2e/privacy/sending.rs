//! What waits to be sent, is being sent, or may have been, when its debtor is erased.

use regua_sandbox::{Effect, Fault};

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_to_be_written_to_is_never_written_to_after_an_erasure() {
    // One a minute: the worker has the others in its hand and waits.
    let (fleet, acme, erp) = Fleet::with_tenant(TenantOptions { rate: 1, ..TenantOptions::default() }).await;
    let mut slow = batch("lote-a", 4);
    let mut her = with_her("lote-a", 1, PHONE)["contacts"][0].clone();
    her["external_id"] = json!("outro-id-dela");
    slow["contacts"][3] = her;
    let mut later = with_her("lote-b", 1, PHONE);
    later["scheduled_for"] = json!("2026-11-24T13:00:00Z");
    let (slow, later) = (erp.accepted("overdue", &slow).await, erp.accepted("overdue", &later).await);
    erp.until_that(&slow, "the first has left", |queue| queue["sent"] == 1).await;
    let owner = Owner::of(&fleet, &acme, "acme", "owner").await;
    let done = owner.erase(&json!({"phone": PHONE})).await;
    assert_eq!(
        (&done["erased"], &done["cancelled"], &done["being_sent"]),
        (&json!(2), &json!(2), &json!(0)),
        "{done:#}"
    );
    let status = erp.status(&later).await;
    assert_eq!((&status["status"], &status["cancelled"]), (&json!("completed"), &json!(1)), "{status:#}");
    for sent in 2..=3 {
        fleet.hands.set(fleet.clock.now() + chrono::TimeDelta::seconds(90));
        erp.until_that(&slow, "one more has left", |queue| queue["sent"] == sent).await;
    }
    let status = erp.until(&slow, "completed").await;
    assert_eq!(
        (&status["sent"], &status["cancelled"], &status["pending"]),
        (&json!(3), &json!(1), &json!(0)),
        "{status:#}"
    );
    fleet.hands.set(fleet.clock.now() + chrono::TimeDelta::days(2));
    fleet.until_lanes_are_free().await;
    assert!(!fleet.sent_by_number().contains_key(&PHONE[1..]), "she was written to");
    assert_no_trace(&fleet, &acme).await;
    fleet.end().await;
}

/// One message that is on its way for long when its erasure is asked for, and what it comes to.
async fn erased_while_sent(effect: Effect, message_type: &str, expected: (&str, usize)) {
    let options = FleetOptions { send_timeout: std::time::Duration::from_secs(20), ..FleetOptions::default() };
    let (fleet, acme, erp) = Fleet::with(options, TenantOptions::default()).await;
    let owner = Owner::of(&fleet, &acme, "acme", "owner").await;
    fleet.sandbox.set_faults(vec![Fault { latency_ms: 3000, ..Fault::every_send(effect) }]).unwrap();
    let queue = erp.accepted(message_type, &with_her("lote-a", 1, PHONE)).await;
    erp.until_that(&queue, "on its way", |queue| queue["sending"] == 1).await;
    let done = owner.erase(&json!({"external_id": CUSTOMER})).await;
    assert_eq!((&done["erased"], &done["being_sent"]), (&json!(0), &json!(1)), "{done:#}");
    let asked = owner.erase(&json!({"external_id": CUSTOMER})).await;
    assert_eq!((&asked["being_sent"], &asked["erased_before"]), (&json!(1), &json!(0)), "asked twice: {asked:#}");
    eventually("the rest of the erasure", async || {
        fleet.count("select count(*) from contacts where erased_at is not null").await == 1
    })
    .await;
    fleet.sandbox.set_faults(Vec::new()).unwrap();
    // Long enough for every look and every new try.
    for _ in 0..5 {
        fleet.hands.set(fleet.clock.now() + chrono::TimeDelta::hours(3));
        fleet.until_lanes_are_free().await;
    }
    let contact = erp.contacts(&queue).await[0].clone();
    assert_eq!((contact["status"].as_str().unwrap(), &contact["attempts"]), (expected.0, &json!(1)), "{contact:#}");
    assert_eq!(fleet.sandbox.ledger().len(), expected.1);
    assert_eq!(fleet.count("select count(*) from attempts where next_look_at is not null").await, 0);
    assert_no_trace(&fleet, &acme).await;
    let owner = Owner { token: owner.login_again("acme").await, ..owner };
    let again = owner.erase(&json!({"phone": PHONE})).await;
    assert_eq!((&again["erased_before"], &again["being_sent"]), (&json!(1), &json!(0)), "{again:#}");
    fleet.end_without_the_ledger().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_on_its_way_is_erased_when_it_has_left() {
    erased_while_sent(Effect::None, "overdue", ("sent", 1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_on_its_way_that_did_not_leave_is_not_tried_again() {
    erased_while_sent(Effect::Envelope500, "overdue", ("cancelled", 0)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_on_its_way_of_which_nobody_can_say_whether_it_left_is_not_looked_for() {
    erased_while_sent(Effect::TimedOut400, "notification", ("unconfirmed", 0)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unconfirmed_contact_that_was_erased_is_neither_looked_for_nor_sent_again() {
    let (fleet, acme, erp) = Fleet::with_tenant(TenantOptions::default()).await;
    let lost = Fault { times: Some(1), left: Some(false), ..Fault::every_send(Effect::TimedOut400) };
    fleet.sandbox.set_faults(vec![lost]).unwrap();
    let queue = erp.accepted("notification", &with_her("lote-a", 1, PHONE)).await;
    erp.until_that(&queue, "unconfirmed", |queue| queue["unconfirmed"] == 1).await;
    let owner = Owner::of(&fleet, &acme, "acme", "owner").await;
    assert_eq!(owner.erase(&json!({"phone": PHONE})).await["erased"], 1);
    let contact = erp.contacts(&queue).await[0].clone();
    let id = contact["contact_id"].as_str().unwrap();
    let refused = erp.verdict(id, "resend").await;
    assert_eq!(
        (refused.status, &refused.body["code"]),
        (StatusCode::CONFLICT, &json!("state_conflict")),
        "{refused:?}"
    );
    for _ in 0..5 {
        fleet.hands.set(fleet.clock.now() + chrono::TimeDelta::hours(3));
        fleet.until_lanes_are_free().await;
    }
    let settled = erp.contact(id).await;
    assert_eq!((&settled["status"], &settled["history"][0]["settled_by"]), (&json!("unconfirmed"), &json!("gave_up")));
    assert_eq!(erp.verdict(id, "give_up").await.status, StatusCode::OK, "a person may still close it");
    assert!(fleet.sandbox.ledger().is_empty());
    assert_no_trace(&fleet, &acme).await;
    fleet.end_without_the_ledger().await;
}
