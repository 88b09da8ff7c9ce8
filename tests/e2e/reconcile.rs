//! Attempts of unknown outcome: looks in the gateway's history, and resends by the tenant's policy.

mod decisions;
mod webhook_passes;
mod webhook_reader;
mod webhooks;

use std::time::Duration;

use chrono::TimeDelta;
use regua_domain::MessageType;
use regua_sandbox::{Effect, Fault, FaultOn};
use regua_tests::{Client, Fleet, FleetOptions, Tenant, TenantOptions, batch, eventually, number};
use reqwest::StatusCode;
use serde_json::json;

/// The default look schedule of periodic, in seconds after the attempt ended.
const LOOKS: [i64; 5] = [15, 60, 300, 1800, 7200];

async fn fleet() -> (Fleet, Tenant, Client) {
    let options = FleetOptions { send_timeout: Duration::from_secs(1), ..FleetOptions::default() };
    Fleet::with(options, TenantOptions::default()).await
}

/// A send to the nth contact whose outcome is unknown, and whether its message leaves.
fn unknown(n: usize, left: bool) -> Fault {
    let fault = Fault::every_send(Effect::TimedOut400);
    Fault { number: Some(number("lote-a", n)), times: Some(1), left: Some(left), ..fault }
}

/// The gateway's history shows no message.
fn blind() -> Fault {
    Fault { on: FaultOn::Find, effect: Effect::FindSeesNothing, ..Fault::default() }
}

/// Moves the clock past every look of the attempts that are being looked for now, one look at a time. A resend's
/// attempt is not among them: its outcome may be unknown again before this returns.
async fn run_all_looks(fleet: &Fleet) {
    let number = fleet.count("select max(number)::bigint from attempts where next_look_at is not null").await;
    let looked_for = format!("from attempts where next_look_at is not null and number <= {number}");
    let mut before = 0;
    for (looks, seconds) in (1..).zip(LOOKS) {
        // A look is due at its interval after the previous one.
        fleet.manual_clock.set(fleet.clock.now() + TimeDelta::seconds(seconds - before + 1));
        before = seconds;
        eventually("a look", async || {
            fleet.count(&format!("select coalesce(min(looks), 99)::bigint {looked_for}")).await >= looks
        })
        .await;
    }
    assert_eq!(fleet.count(&format!("select count(*) {looked_for}")).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn message_found_in_gateway_history_makes_contact_sent() {
    let (fleet, _, erp) = fleet().await;
    let effects = [Effect::ReplyLost, Effect::Empty201, Effect::TimedOut400, Effect::Hang, Effect::Html502];
    let faults = effects.iter().enumerate().map(|(n, effect)| Fault {
        number: Some(number("lote-a", n)),
        left: Some(true),
        ..Fault::every_send(*effect)
    });
    fleet.sandbox.set_faults(faults.collect()).unwrap();
    let queue = erp.send_accepted("overdue", &batch("lote-a", effects.len() + 1)).await;
    let done = erp.wait_for_status(&queue, "completed").await;
    assert_eq!((&done["unconfirmed"], &done["sent"]), (&json!(effects.len()), &json!(1)), "{done:#}");

    fleet.manual_clock.set(fleet.clock.now() + TimeDelta::seconds(16));
    let found = erp.wait_until(&queue, "all sent", |queue| queue["sent"] == effects.len() + 1).await;
    assert_eq!((&found["unconfirmed"], &found["status"]), (&json!(0), &json!("completed")), "{found:#}");
    for contact in erp.contacts(&queue).await {
        assert!(contact["message_id"].is_string() && contact["reason"].is_null(), "{contact:#}");
    }
    fleet.assert_each_left_once(effects.len() + 1);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn overdue_contact_that_no_look_finds_waits_for_an_operator() {
    let (fleet, _, erp) = fleet().await;
    fleet.sandbox.set_faults(vec![unknown(0, false)]).unwrap();
    let queue = erp.send_accepted("overdue", &batch("lote-a", 2)).await;
    erp.wait_until(&queue, "unconfirmed", |queue| queue["unconfirmed"] == 1 && queue["sent"] == 1).await;
    run_all_looks(&fleet).await;
    let contact = &erp.contacts(&queue).await[0];
    assert_eq!((&contact["status"], &contact["attempts"]), (&json!("unconfirmed"), &json!(1)), "{contact:#}");
    assert_eq!((&contact["reason"], &contact["resends"]), (&json!("write_timed_out"), &json!(0)));
    let attempt = &erp.contact(contact["reference"].as_str().unwrap()).await["history"][0];
    assert_eq!((&attempt["outcome"], &attempt["settled_by"]), (&json!("unknown"), &json!("gave_up")), "{attempt:#}");
    fleet.assert_each_left_once(1);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn upcoming_contact_that_no_look_finds_is_resent_exactly_once() {
    let (fleet, _, erp) = fleet().await;
    // The first contact's resend has an unknown outcome again.
    let twice = Fault { times: Some(2), ..unknown(0, false) };
    fleet.sandbox.set_faults(vec![twice, unknown(1, false)]).unwrap();
    let queue = erp.send_accepted("upcoming", &batch("lote-a", 3)).await;
    erp.wait_until(&queue, "unconfirmed", |queue| queue["unconfirmed"] == 2 && queue["sent"] == 1).await;
    run_all_looks(&fleet).await;
    erp.wait_until(&queue, "completed again", |queue| {
        queue["status"] == "completed" && queue["sent"] == 2 && queue["unconfirmed"] == 1
    })
    .await;
    run_all_looks(&fleet).await;
    let contacts = erp.contacts(&queue).await;
    let of =
        |n: usize| (contacts[n]["status"].clone(), contacts[n]["attempts"].clone(), contacts[n]["resends"].clone());
    assert_eq!(of(0), (json!("unconfirmed"), json!(2), json!(1)), "there is no second resend");
    assert_eq!(of(1), (json!("sent"), json!(2), json!(1)));
    let history = erp.contact(contacts[0]["contact_id"].as_str().unwrap()).await["history"].clone();
    assert_eq!((&history[0]["settled_by"], &history[1]["settled_by"]), (&json!("resent"), &json!("gave_up")));
    fleet.assert_each_left_once(2);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn message_that_probably_left_is_not_resent_by_any_policy() {
    let (fleet, _, erp) = fleet().await;
    let database = Fault { number: Some(number("lote-a", 0)), ..Fault::every_send(Effect::Database400) };
    fleet.sandbox.set_faults(vec![database]).unwrap();
    let queue = erp.send_accepted("notification", &batch("lote-a", 2)).await;
    erp.wait_until(&queue, "unconfirmed", |queue| queue["unconfirmed"] == 1 && queue["sent"] == 1).await;
    run_all_looks(&fleet).await;
    let contact = &erp.contacts(&queue).await[0];
    assert_eq!((&contact["status"], &contact["reason"]), (&json!("unconfirmed"), &json!("gateway_database")));
    assert_eq!((&contact["attempts"], &contact["resends"]), (&json!(1), &json!(0)), "{contact:#}");
    fleet.assert_each_left_once(2);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_look_is_not_counted() {
    let (fleet, _, erp) = fleet().await;
    let unavailable = Fault { on: FaultOn::Find, ..Fault::every_send(Effect::Html502) };
    fleet.sandbox.set_faults(vec![unknown(0, true), unavailable]).unwrap();
    let queue = erp.send_accepted("notification", &batch("lote-a", 1)).await;
    erp.wait_until(&queue, "unconfirmed", |queue| queue["unconfirmed"] == 1).await;
    for _ in 0..10 {
        let before = calls(&fleet, "findMessages");
        fleet.manual_clock.set(fleet.clock.now() + TimeDelta::hours(1));
        eventually("a look", async || calls(&fleet, "findMessages") > before).await;
    }
    eventually("the look to be postponed", async || {
        fleet.count("select count(*) from attempts where looks = 0 and next_look_at is not null").await == 1
    })
    .await;
    fleet.sandbox.set_faults(Vec::new()).unwrap();
    fleet.manual_clock.set(fleet.clock.now() + TimeDelta::hours(1));
    erp.wait_until(&queue, "found", |queue| queue["sent"] == 1).await;
    fleet.assert_each_left_once(1);
    fleet.end().await;
}

fn calls(fleet: &Fleet, route: &str) -> u64 {
    fleet.sandbox.calls().iter().filter(|(name, _)| name.contains(route)).map(|(_, count)| count).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn duplicate_needs_both_a_resend_policy_and_a_blind_gateway() {
    let options = TenantOptions { resend_unconfirmed: vec![MessageType::Notification], ..TenantOptions::default() };
    let (fleet, _, erp) = Fleet::with(FleetOptions::default(), options).await;
    fleet.sandbox.set_faults(vec![unknown(0, true), unknown(1, true), blind()]).unwrap();
    let mut notice = batch("lote-a", 2);
    let mut bill = notice.clone();
    bill["external_id"] = json!("lote-b");
    bill["contacts"].as_array_mut().unwrap().remove(0);
    notice["contacts"].as_array_mut().unwrap().remove(1);
    let (notice, bill) = (erp.send_accepted("notification", &notice).await, erp.send_accepted("upcoming", &bill).await);
    for queue in [&notice, &bill] {
        erp.wait_until(queue, "unconfirmed", |queue| queue["unconfirmed"] == 1).await;
    }
    run_all_looks(&fleet).await;
    erp.wait_until(&notice, "sent once more", |queue| queue["sent"] == 1).await;
    assert_eq!(erp.status(&bill).await["unconfirmed"], 1, "the tenant's policy does not resend this type");
    let sent = fleet.sent_by_number();
    assert_eq!((sent[&number("lote-a", 0)], sent[&number("lote-a", 1)]), (2, 1));
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn late_looks_keep_their_intervals() {
    let (fleet, _, erp) = fleet().await;
    fleet.sandbox.set_faults(vec![unknown(0, false)]).unwrap();
    let queue = erp.send_accepted("notification", &batch("lote-a", 1)).await;
    erp.wait_until(&queue, "unconfirmed", |queue| queue["unconfirmed"] == 1).await;
    // No look ran for three hours. The gateway may still be sending the message.
    fleet.manual_clock.set(fleet.clock.now() + TimeDelta::hours(3));
    eventually("the first look", async || fleet.count("select count(*) from attempts where looks = 1").await == 1)
        .await;
    let next =
        erp.contact(erp.contacts(&queue).await[0]["contact_id"].as_str().unwrap()).await["history"][0]["next_look_at"]
            .clone();
    let next: chrono::DateTime<chrono::Utc> = next.as_str().unwrap().parse().unwrap();
    let distance = next - fleet.clock.now();
    assert!(
        (TimeDelta::seconds(30)..TimeDelta::seconds(46)).contains(&distance),
        "the second look is due 45 s after the first, not {distance}"
    );
    fleet.end_unfinished().await;
}

/// The text of every message contains its contact's reference, also if the template does not print it.
#[tokio::test(flavor = "multi_thread")]
async fn every_message_carries_a_unique_reference() {
    let variations = vec!["Olá {{primeiro_nome}}", "{{referencia}}: {{nome}}"];
    let (fleet, _, erp) = Fleet::with_tenant(TenantOptions { variations, ..TenantOptions::default() }).await;
    let queue = erp.send_accepted("overdue", &batch("lote-a", 20)).await;
    erp.wait_for_status(&queue, "completed").await;
    let again = erp.send_accepted("overdue", &batch("lote-b", 20)).await;
    erp.wait_for_status(&again, "completed").await;
    let mut contacts = erp.contacts(&queue).await;
    contacts.extend(erp.contacts(&again).await);
    let references: std::collections::HashSet<_> =
        contacts.iter().map(|contact| contact["reference"].as_str()).collect();
    assert_eq!(references.len(), 40);
    for contact in &contacts {
        let number = contact["phone"].as_str().unwrap().trim_start_matches('+');
        let reference = contact["reference"].as_str().unwrap();
        let text = fleet.sandbox.ledger().iter().find(|entry| entry.number == number).unwrap().text.clone();
        let is_last_line = text.ends_with(&format!("\n\nRef. {reference}"));
        assert!(text.starts_with(&format!("{reference}: ")) || is_last_line, "{text}");
    }
    fleet.end().await;
}
