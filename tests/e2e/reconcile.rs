//! Attempts of which nobody can say whether they left: looked for, proven, sent once more, or decided by a person.

mod webhooks;

use std::time::Duration;

use chrono::TimeDelta;
use regua_domain::MessageType;
use regua_sandbox::{Effect, Fault, FaultOn, InstanceState};
use regua_tests::{Client, Fleet, FleetOptions, Tenant, TenantOptions, batch, eventually, number};
use reqwest::StatusCode;
use serde_json::json;

/// The looks of a plain periodic, in seconds after the attempt was closed.
const LOOKS: [i64; 5] = [15, 60, 300, 1800, 7200];

async fn fleet() -> (Fleet, Tenant, Client) {
    let options = FleetOptions { send_timeout: Duration::from_secs(1), ..FleetOptions::default() };
    Fleet::with(options, TenantOptions::default()).await
}

/// What a send that meets this fault comes to nobody knows.
fn unknown(n: usize, left: bool) -> Fault {
    let fault = Fault::every_send(Effect::TimedOut400);
    Fault { number: Some(number("lote-a", n)), times: Some(1), left: Some(left), ..fault }
}

/// The gateway's record shows nothing.
fn blind() -> Fault {
    Fault { on: FaultOn::Find, effect: Effect::FindSeesNothing, ..Fault::default() }
}

/// Moves the clock past one look after the other, each when the one before is done, until nobody looks any more for the
/// attempts that were looked for at the beginning. What they are sent once more with is not among them: it may be lost
/// again before this returns.
async fn look_to_the_end(fleet: &Fleet) {
    let number = fleet.count("select max(number)::bigint from attempts where next_look_at is not null").await;
    let looked_for = format!("from attempts where next_look_at is not null and number <= {number}");
    let mut before = 0;
    for (looks, seconds) in (1..).zip(LOOKS) {
        // Each look comes at its distance from the one before.
        fleet.hands.set(fleet.clock.now() + TimeDelta::seconds(seconds - before + 1));
        before = seconds;
        eventually("a look", async || {
            fleet.count(&format!("select coalesce(min(looks), 99)::bigint {looked_for}")).await >= looks
        })
        .await;
    }
    assert_eq!(fleet.count(&format!("select count(*) {looked_for}")).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_left_is_found_in_the_gateways_record_and_is_sent() {
    let (fleet, _, erp) = fleet().await;
    let effects = [Effect::ReplyLost, Effect::Empty201, Effect::TimedOut400, Effect::Hang, Effect::Html502];
    let faults = effects.iter().enumerate().map(|(n, effect)| Fault {
        number: Some(number("lote-a", n)),
        left: Some(true),
        ..Fault::every_send(*effect)
    });
    fleet.sandbox.set_faults(faults.collect()).unwrap();
    let queue = erp.accepted("overdue", &batch("lote-a", effects.len() + 1)).await;
    let done = erp.until(&queue, "completed").await;
    assert_eq!((&done["unconfirmed"], &done["sent"]), (&json!(effects.len()), &json!(1)), "{done:#}");

    fleet.hands.set(fleet.clock.now() + TimeDelta::seconds(16));
    let found = erp.until_that(&queue, "all sent", |queue| queue["sent"] == effects.len() + 1).await;
    assert_eq!((&found["unconfirmed"], &found["status"]), (&json!(0), &json!("completed")), "{found:#}");
    for contact in erp.contacts(&queue).await {
        assert!(contact["message_id"].is_string() && contact["reason"].is_null(), "{contact:#}");
    }
    fleet.assert_each_left_once(effects.len() + 1);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overdue_contact_that_is_nowhere_to_be_found_waits_for_a_person() {
    let (fleet, _, erp) = fleet().await;
    fleet.sandbox.set_faults(vec![unknown(0, false)]).unwrap();
    let queue = erp.accepted("overdue", &batch("lote-a", 2)).await;
    erp.until_that(&queue, "unconfirmed", |queue| queue["unconfirmed"] == 1 && queue["sent"] == 1).await;
    look_to_the_end(&fleet).await;
    let contact = &erp.contacts(&queue).await[0];
    assert_eq!((&contact["status"], &contact["attempts"]), (&json!("unconfirmed"), &json!(1)), "{contact:#}");
    assert_eq!((&contact["reason"], &contact["resends"]), (&json!("write_timed_out"), &json!(0)));
    let attempt = &erp.contact(contact["reference"].as_str().unwrap()).await["history"][0];
    assert_eq!((&attempt["outcome"], &attempt["settled_by"]), (&json!("unknown"), &json!("gave_up")), "{attempt:#}");
    fleet.assert_each_left_once(1);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upcoming_contact_that_is_nowhere_to_be_found_is_sent_once_more_and_only_once() {
    let (fleet, _, erp) = fleet().await;
    // The first of them is lost again when it is sent once more.
    let twice = Fault { times: Some(2), ..unknown(0, false) };
    fleet.sandbox.set_faults(vec![twice, unknown(1, false)]).unwrap();
    let queue = erp.accepted("upcoming", &batch("lote-a", 3)).await;
    erp.until_that(&queue, "unconfirmed", |queue| queue["unconfirmed"] == 2 && queue["sent"] == 1).await;
    look_to_the_end(&fleet).await;
    erp.until_that(&queue, "done again", |queue| {
        queue["status"] == "completed" && queue["sent"] == 2 && queue["unconfirmed"] == 1
    })
    .await;
    look_to_the_end(&fleet).await;
    let contacts = erp.contacts(&queue).await;
    let of =
        |n: usize| (contacts[n]["status"].clone(), contacts[n]["attempts"].clone(), contacts[n]["resends"].clone());
    assert_eq!(of(0), (json!("unconfirmed"), json!(2), json!(1)), "never a third time");
    assert_eq!(of(1), (json!("sent"), json!(2), json!(1)));
    let history = erp.contact(contacts[0]["contact_id"].as_str().unwrap()).await["history"].clone();
    assert_eq!((&history[0]["settled_by"], &history[1]["settled_by"]), (&json!("resent"), &json!("gave_up")));
    fleet.assert_each_left_once(2);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_probably_left_is_not_sent_again_whatever_the_tenant_allows() {
    let (fleet, _, erp) = fleet().await;
    let database = Fault { number: Some(number("lote-a", 0)), ..Fault::every_send(Effect::Database400) };
    fleet.sandbox.set_faults(vec![database]).unwrap();
    let queue = erp.accepted("notification", &batch("lote-a", 2)).await;
    erp.until_that(&queue, "unconfirmed", |queue| queue["unconfirmed"] == 1 && queue["sent"] == 1).await;
    look_to_the_end(&fleet).await;
    let contact = &erp.contacts(&queue).await[0];
    assert_eq!((&contact["status"], &contact["reason"]), (&json!("unconfirmed"), &json!("gateway_database")));
    assert_eq!((&contact["attempts"], &contact["resends"]), (&json!(1), &json!(0)), "{contact:#}");
    fleet.assert_each_left_once(2);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_that_could_not_see_is_not_counted() {
    let (fleet, _, erp) = fleet().await;
    let away = Fault { on: FaultOn::Find, ..Fault::every_send(Effect::Html502) };
    fleet.sandbox.set_faults(vec![unknown(0, true), away]).unwrap();
    let queue = erp.accepted("notification", &batch("lote-a", 1)).await;
    erp.until_that(&queue, "unconfirmed", |queue| queue["unconfirmed"] == 1).await;
    for _ in 0..10 {
        let asked = calls(&fleet, "findMessages");
        fleet.hands.set(fleet.clock.now() + TimeDelta::hours(1));
        eventually("a look", async || calls(&fleet, "findMessages") > asked).await;
    }
    eventually("it is put off", async || {
        fleet.count("select count(*) from attempts where looks = 0 and next_look_at is not null").await == 1
    })
    .await;
    fleet.sandbox.set_faults(Vec::new()).unwrap();
    fleet.hands.set(fleet.clock.now() + TimeDelta::hours(1));
    erp.until_that(&queue, "found", |queue| queue["sent"] == 1).await;
    fleet.assert_each_left_once(1);
    fleet.end().await;
}

fn calls(fleet: &Fleet, route: &str) -> u64 {
    fleet.sandbox.calls().iter().filter(|(name, _)| name.contains(route)).map(|(_, count)| count).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_tenants_own_policy_and_a_blind_gateway_together_make_a_second_message() {
    let options = TenantOptions { resend_unconfirmed: vec![MessageType::Notification], ..TenantOptions::default() };
    let (fleet, _, erp) = Fleet::with(FleetOptions::default(), options).await;
    fleet.sandbox.set_faults(vec![unknown(0, true), unknown(1, true), blind()]).unwrap();
    let mut notice = batch("lote-a", 2);
    let mut bill = notice.clone();
    bill["external_id"] = json!("lote-b");
    bill["contacts"].as_array_mut().unwrap().remove(0);
    notice["contacts"].as_array_mut().unwrap().remove(1);
    let (notice, bill) = (erp.accepted("notification", &notice).await, erp.accepted("upcoming", &bill).await);
    for queue in [&notice, &bill] {
        erp.until_that(queue, "unconfirmed", |queue| queue["unconfirmed"] == 1).await;
    }
    look_to_the_end(&fleet).await;
    erp.until_that(&notice, "sent once more", |queue| queue["sent"] == 1).await;
    assert_eq!(erp.status(&bill).await["unconfirmed"], 1, "its type is not the tenant's to resend");
    let sent = fleet.sent_by_number();
    assert_eq!((sent[&number("lote-a", 0)], sent[&number("lote-a", 1)]), (2, 1));
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_decides_what_nobody_can_prove() {
    let (fleet, _, erp) = fleet().await;
    fleet.sandbox.set_faults((0..3).map(|n| unknown(n, n == 0)).chain([blind()]).collect()).unwrap();
    let queue = erp.accepted("overdue", &batch("lote-a", 4)).await;
    erp.until_that(&queue, "unconfirmed", |queue| queue["unconfirmed"] == 3 && queue["sent"] == 1).await;
    let contacts = erp.contacts(&queue).await;
    let id = |n: usize| contacts[n]["contact_id"].as_str().unwrap().to_owned();
    let reference = |n: usize| contacts[n]["reference"].as_str().unwrap().to_owned();

    let answer = erp.verdict(&id(0), "confirm").await;
    assert_eq!((answer.status, &answer.body["status"]), (StatusCode::OK, &json!("sent")), "{:#}", answer.body);
    let answer = erp.verdict(&reference(1).to_lowercase(), "resend").await;
    assert_eq!((answer.status, &answer.body["resends"]), (StatusCode::OK, &json!(1)), "{:#}", answer.body);
    let answer = erp.verdict(&id(2), "give_up").await;
    assert_eq!((answer.status, &answer.body["status"]), (StatusCode::OK, &json!("failed")), "{:#}", answer.body);
    assert_eq!(
        (&answer.body["reason"], &answer.body["history"][0]["settled_by"]),
        (&json!("given_up"), &json!("operator"))
    );

    erp.until_that(&queue, "decided", |queue| queue["sent"] == 3 && queue["status"] == "completed").await;
    let status = erp.status(&queue).await;
    assert_eq!((&status["failed"], &status["unconfirmed"]), (&json!(1), &json!(0)), "{status:#}");

    let refused = erp.verdict(&id(2), "confirm").await;
    assert_eq!((refused.status, &refused.body["code"]), (StatusCode::CONFLICT, &json!("state_conflict")));
    assert_eq!(erp.verdict(&id(0), "perhaps").await.status, StatusCode::UNPROCESSABLE_ENTITY);
    for unknown in ["ZZZZZZ", "nonsense", "019a9f3c-0000-7000-8000-000000000000"] {
        assert_eq!(erp.verdict(unknown, "confirm").await.status, StatusCode::NOT_FOUND, "{unknown}");
    }
    let other =
        fleet.tenant(&TenantOptions { slug: "outra", instances: vec!["b".into()], ..TenantOptions::default() }).await;
    let stranger = erp.with_key(&other.key);
    for name in [id(0), reference(0)] {
        assert_eq!(stranger.verdict(&name, "confirm").await.status, StatusCode::NOT_FOUND);
    }

    // A proof that comes after all of it is believed, and kept.
    fleet.sandbox.set_faults(Vec::new()).unwrap();
    assert_eq!(fleet.count("select count(*) from evidence where source = 'operator' and said_by = 'Ana'").await, 2);
    fleet.assert_each_left_once(3);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_again_through_a_cancelled_queue() {
    let (fleet, _, erp) = fleet().await;
    fleet.sandbox.set_faults(vec![unknown(0, false)]).unwrap();
    let queue = erp.accepted("notification", &batch("lote-a", 1)).await;
    let mut paused = batch("lote-b", 1);
    paused["scheduled_for"] = json!("2026-11-24T13:00:00Z");
    erp.until_that(&queue, "unconfirmed", |queue| queue["unconfirmed"] == 1).await;
    // A completed queue cannot be cancelled; one that goes on because of a resend can.
    let contact = erp.contacts(&queue).await[0]["contact_id"].as_str().unwrap().to_owned();
    fleet.sandbox.set_faults(vec![Fault { latency_ms: 300, ..unknown(0, false) }]).unwrap();
    assert_eq!(erp.verdict(&contact, "resend").await.status, StatusCode::OK);
    erp.until_that(&queue, "on its way again", |queue| queue["sending"] == 1).await;
    assert_eq!(erp.control(&queue, "cancel").await.status, StatusCode::OK);
    erp.until_that(&queue, "unconfirmed again", |queue| queue["unconfirmed"] == 1).await;
    let refused = erp.verdict(&contact, "resend").await;
    assert_eq!(refused.status, StatusCode::CONFLICT, "{:#}", refused.body);
    look_to_the_end(&fleet).await;
    assert_eq!(erp.contact(&contact).await["status"], "unconfirmed");
    assert!(fleet.sandbox.ledger().is_empty());
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_whose_second_try_is_cancelled_is_unconfirmed_and_not_cancelled() {
    let (fleet, _, erp) = fleet().await;
    fleet.sandbox.set_faults(vec![unknown(0, true), blind()]).unwrap();
    let queue = erp.accepted("overdue", &batch("lote-a", 1)).await;
    erp.until_that(&queue, "unconfirmed", |queue| queue["unconfirmed"] == 1).await;
    assert!(fleet.sandbox.set_state("matriz", InstanceState::Close));
    let contact = erp.contacts(&queue).await[0]["contact_id"].as_str().unwrap().to_owned();
    assert_eq!(erp.verdict(&contact, "resend").await.status, StatusCode::OK);
    erp.until(&queue, "instance_down").await;
    assert_eq!(erp.control(&queue, "cancel").await.status, StatusCode::OK);
    let status = erp.status(&queue).await;
    assert_eq!((&status["cancelled"], &status["unconfirmed"]), (&json!(0), &json!(1)), "it did leave: {status:#}");
    // It is looked for again, and the gateway's record can be seen now.
    fleet.sandbox.set_faults(Vec::new()).unwrap();
    fleet.hands.set(fleet.clock.now() + TimeDelta::seconds(16));
    erp.until_that(&queue, "found", |queue| queue["sent"] == 1).await;
    fleet.assert_each_left_once(1);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn looks_that_come_late_keep_their_distance() {
    let (fleet, _, erp) = fleet().await;
    fleet.sandbox.set_faults(vec![unknown(0, false)]).unwrap();
    let queue = erp.accepted("notification", &batch("lote-a", 1)).await;
    erp.until_that(&queue, "unconfirmed", |queue| queue["unconfirmed"] == 1).await;
    // Nobody could look for three hours; the gateway may still be at it.
    fleet.hands.set(fleet.clock.now() + TimeDelta::hours(3));
    eventually("the first look", async || fleet.count("select count(*) from attempts where looks = 1").await == 1)
        .await;
    let next =
        erp.contact(erp.contacts(&queue).await[0]["contact_id"].as_str().unwrap()).await["history"][0]["next_look_at"]
            .clone();
    let next: chrono::DateTime<chrono::Utc> = next.as_str().unwrap().parse().unwrap();
    let distance = next - fleet.clock.now();
    assert!(
        (TimeDelta::seconds(30)..TimeDelta::seconds(46)).contains(&distance),
        "45 s after the first, not {distance}"
    );
    fleet.end_unfinished().await;
}

/// The text of every message carries its contact's reference, also where the template does not print it.
#[tokio::test(flavor = "multi_thread")]
async fn every_message_carries_a_reference_of_its_own() {
    let variations = vec!["Olá {{primeiro_nome}}", "{{referencia}}: {{nome}}"];
    let (fleet, _, erp) = Fleet::with_tenant(TenantOptions { variations, ..TenantOptions::default() }).await;
    let queue = erp.accepted("overdue", &batch("lote-a", 20)).await;
    erp.until(&queue, "completed").await;
    let again = erp.accepted("overdue", &batch("lote-b", 20)).await;
    erp.until(&again, "completed").await;
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
