//! The scenarios of the product's requirements, end to end. The killed worker is in `killed`.

use chrono::TimeDelta;
use regua_domain::DEFAULT_HOURS;
use regua_sandbox::{Effect, Fault, InstanceState};
use regua_store::business_hours;
use regua_tests::{Fleet, FleetOptions, TenantOptions, batch, eventually, number};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn instance_that_fails_in_mid_campaign_holds_queue_until_it_recovers() {
    let options = TenantOptions { rate: 3000, ..TenantOptions::default() };
    let (fleet, _, erp) = Fleet::with_tenant(options).await;
    let queue = erp.send_accepted("overdue", &batch("lote-a", 150)).await;
    erp.wait_until(&queue, "under way", |queue| queue["sent"].as_i64() > Some(20)).await;

    assert!(fleet.sandbox.set_state("matriz", InstanceState::Close));
    let down = erp.wait_for_status(&queue, "instance_down").await;
    assert!(down["reason"].is_string() && down["processing_by"].is_null(), "{down:#}");
    assert!(down["pending"].as_i64() > Some(0), "unsent contacts stay pending: {down:#}");
    let left = fleet.sandbox.ledger().len();

    // The next check finds the instance still down, and the one after that finds it open.
    fleet.manual_clock.set(fleet.clock.now() + TimeDelta::seconds(61));
    let checks = fleet.sandbox.calls().get("/instance/connectionState/{instance}").copied().unwrap_or(0);
    eventually("a second check", async || {
        fleet.sandbox.calls().iter().any(|(route, count)| route.contains("connectionState") && *count > checks)
    })
    .await;
    assert_eq!(fleet.sandbox.ledger().len(), left, "no message leaves through an instance that is down");
    assert!(fleet.sandbox.set_state("matriz", InstanceState::Open));
    fleet.manual_clock.set(fleet.clock.now() + TimeDelta::seconds(61));
    let done = erp.wait_for_status(&queue, "completed").await;
    assert_eq!(done["sent"], 150, "{done:#}");
    fleet.assert_each_left_once(150);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn business_hours_that_end_in_mid_campaign_pause_it_until_they_open() {
    let options = TenantOptions { rate: 3000, keeps_hours: true, ..TenantOptions::default() };
    // Friday, 17:30 in São Paulo
    let fleet_options = FleetOptions { now: "2026-11-27T20:30:00Z".parse().unwrap(), ..FleetOptions::default() };
    let (fleet, _, erp) = Fleet::with(fleet_options, options).await;
    let queue = erp.send_accepted("overdue", &batch("lote-a", 150)).await;
    erp.wait_until(&queue, "under way", |queue| queue["sent"].as_i64() > Some(20)).await;

    fleet.manual_clock.set("2026-11-27T21:00:00Z".parse().unwrap());
    let paused = erp.wait_for_status(&queue, "paused_hours").await;
    assert_eq!(paused["resume_at"], "2026-11-30T11:00:00Z", "Monday, 8:00: {paused:#}");
    assert_eq!(paused["reason"], "business_hours");
    let left = fleet.sandbox.ledger().len();
    assert!(left < 150, "the campaign was not completed yet");

    // A notification ignores business hours, and shows that the lane still sends.
    let notice = erp.send_accepted("notification", &batch("lote-b", 3)).await;
    erp.wait_for_status(&notice, "completed").await;
    assert_eq!(fleet.sandbox.ledger().len(), left + 3, "no overdue message left after 18:00");

    fleet.manual_clock.set("2026-11-30T10:59:00Z".parse().unwrap());
    let early = erp.send_accepted("notification", &batch("lote-c", 1)).await;
    erp.wait_for_status(&early, "completed").await;
    assert_eq!(erp.status(&queue).await["status"], "paused_hours");
    fleet.manual_clock.set("2026-11-30T11:00:01Z".parse().unwrap());
    erp.wait_for_status(&queue, "completed").await;
    fleet.assert_each_left_once(154);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rate_of_an_instance_is_never_exceeded() {
    // 240 a minute is one in 250 ms. The sandbox's ledger uses the system clock.
    let options = TenantOptions { rate: 240, jitter: 20, ..TenantOptions::default() };
    let (fleet, _, erp) = Fleet::with_tenant(options).await;
    let queue = erp.send_accepted("overdue", &batch("lote-a", 16)).await;
    let status = erp.wait_until(&queue, "under way", |queue| queue["sent"].as_i64() > Some(2)).await;
    assert_eq!(status["rate_per_minute"], 240);
    assert!(status["eta"].is_string(), "{status:#}");
    erp.wait_for_status(&queue, "completed").await;
    let times: Vec<_> = fleet.sandbox.ledger().iter().map(|entry| entry.received_at).collect();
    let seconds = times.last().zip(times.first()).map(|(last, first)| (last - first) as f64 / 1000.0).unwrap();
    assert!((3.3..8.0).contains(&seconds), "15 intervals of 250 ms take 3.75 s, not {seconds} s");
    for window in times.windows(5) {
        assert!(window[4] - window[0] >= 700, "five messages in {} ms", window[4] - window[0]);
    }
    fleet.assert_each_left_once(16);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nested_conditionals_render_a_text_for_each_contact() {
    let source = "Olá {{primeiro_nome}}, {{#if link_boleto}}pague em {{link_boleto}}{{#if desconto}} com {{desconto}} de \
                  desconto{{else}} sem desconto{{/if}}{{else}}{{#unless parcelado}}procure-nos{{else}}parcela \
                  {{parcela}}{{/unless}}{{/if}}. {{valor}} desde {{vencimento}}, {{dias_atraso}} dias. {{referencia}}";
    let (fleet, _, erp) =
        Fleet::with_tenant(TenantOptions { variations: vec![source], ..TenantOptions::default() }).await;
    let mut body = batch("lote-a", 5);
    body["contacts"][0]["variables"] = json!({"link_boleto": "https://pagar.example/1", "desconto": "10%"});
    body["contacts"][1]["variables"] = json!({"link_boleto": "https://pagar.example/2"});
    body["contacts"][3]["variables"] = json!({"parcelado": true, "parcela": 2});
    body["contacts"][4]["variables"] = json!({"parcelado": true});
    let answer = erp.send("overdue", &body).await;
    assert_eq!(answer.body["accepted"], 4, "{:#}", answer.body);
    let rejected = &answer.body["rejected"][0];
    assert_eq!(
        (&rejected["index"], &rejected["code"]),
        (&json!(4), &json!("missing_variable")),
        "a text with a missing variable is never sent"
    );
    assert_eq!(rejected["field"], "variables.parcela");
    erp.wait_for_status(answer.body["queue_id"].as_str().unwrap(), "completed").await;
    let text_of = |n: usize| {
        let number = number("lote-a", n);
        fleet.sandbox.ledger().iter().find(|entry| entry.number == number).map(|entry| entry.text.clone()).unwrap()
    };
    let tail = "R$ 150,00 desde 10/11/2026, 13 dias.";
    assert!(
        text_of(0).starts_with(&format!("Olá Maria, pague em https://pagar.example/1 com 10% de desconto. {tail}"))
    );
    assert!(text_of(1).starts_with(&format!("Olá Maria, pague em https://pagar.example/2 sem desconto. {tail}")));
    assert!(text_of(2).starts_with(&format!("Olá Maria, procure-nos. {tail}")));
    assert!(text_of(3).starts_with(&format!("Olá Maria, parcela 2. {tail}")));
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn temporary_failure_is_retried_later_and_lasting_failure_is_final() {
    let options = TenantOptions { max_attempts: 3, ..TenantOptions::default() };
    let (fleet, _, erp) = Fleet::with_tenant(options).await;
    fleet
        .sandbox
        .set_faults(vec![
            Fault { number: Some(number("lote-a", 0)), times: Some(2), ..Fault::every_send(Effect::Envelope500) },
            Fault { number: Some(number("lote-a", 1)), ..Fault::every_send(Effect::Envelope500) },
        ])
        .unwrap();
    let queue = erp.send_accepted("overdue", &batch("lote-a", 3)).await;
    erp.wait_until(&queue, "one sent", |queue| queue["sent"] == 1).await;
    // The retry schedule is 5 s and 10 s, plus or minus a fifth. The clock moves past each delay.
    for attempts in 1..=2 {
        eventually("both contacts to be tried", async || {
            let contacts = erp.contacts(&queue).await;
            contacts[..2].iter().all(|contact| contact["attempts"] == attempts && contact["status"] == "pending")
        })
        .await;
        assert!(fleet.sandbox.ledger().len() == 1, "nothing is retried before its time");
        fleet.manual_clock.set(fleet.clock.now() + TimeDelta::seconds(15));
    }
    let done = erp.wait_for_status(&queue, "completed").await;
    assert_eq!((&done["sent"], &done["failed"]), (&json!(2), &json!(1)));
    let contacts = erp.contacts(&queue).await;
    assert_eq!((&contacts[0]["attempts"], &contacts[0]["status"]), (&json!(3), &json!("sent")));
    assert_eq!((&contacts[1]["attempts"], &contacts[1]["status"]), (&json!(3), &json!("failed")));
    assert_eq!(contacts[1]["reason"], "lookup_timed_out");
    fleet.assert_each_left_once(2);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn variations_are_distributed_evenly_and_deterministically() {
    let variations = vec!["um {{referencia}}", "dois {{referencia}}", "três {{referencia}}"];
    let (fleet, _, erp) = Fleet::with_tenant(TenantOptions { variations, ..TenantOptions::default() }).await;
    let mut body = batch("lote-a", 300);
    body["dry_run"] = json!(true);
    let shown = erp.send("overdue", &body).await.body;
    body["dry_run"] = json!(false);
    let queue = erp.send_accepted("overdue", &body).await;
    erp.wait_for_status(&queue, "completed").await;
    let contacts = erp.contacts(&queue).await;
    for variation in 1..=3 {
        let count = contacts.iter().filter(|contact| contact["variation"] == variation).count();
        assert!((70..=130).contains(&count), "about a hundred of variation {variation}, not {count}");
    }
    for (n, contact) in contacts.iter().enumerate() {
        assert_eq!(
            contact["variation"], shown["contacts"][n]["variation"],
            "the dry run shows the variation that is sent"
        );
    }
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn daily_cap_holds_remaining_contacts_until_tomorrow() {
    let options = TenantOptions { daily_cap: Some(7), ..TenantOptions::default() };
    let (fleet, _, erp) = Fleet::with_tenant(options).await;
    let queue = erp.send_accepted("notification", &batch("lote-a", 10)).await;
    let held = erp.wait_for_status(&queue, "paused_hours").await;
    assert_eq!((&held["sent"], &held["reason"]), (&json!(7), &json!("daily_cap")), "{held:#}");
    assert_eq!(held["resume_at"], "2026-11-24T03:00:00Z", "midnight in São Paulo");
    fleet.manual_clock.set("2026-11-24T03:00:01Z".parse().unwrap());
    erp.wait_for_status(&queue, "completed").await;
    fleet.assert_each_left_once(10);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn queue_without_business_hours_is_checked_again_the_next_day() {
    let (fleet, tenant, erp) =
        Fleet::with_tenant(TenantOptions { keeps_hours: true, ..TenantOptions::default() }).await;
    let mut conn = fleet.database.pool.acquire().await.unwrap();
    business_hours::replace(&mut conn, tenant.id, &[]).await.unwrap();
    let queue = erp.send_accepted("overdue", &batch("lote-a", 2)).await;
    let held = erp.wait_for_status(&queue, "paused_hours").await;
    assert!(held["resume_at"].as_str().unwrap().starts_with("2026-11-24T13:00"), "{held:#}");
    business_hours::replace(&mut conn, tenant.id, &DEFAULT_HOURS).await.unwrap();
    drop(conn);
    fleet.manual_clock.set(fleet.clock.now() + TimeDelta::hours(25));
    erp.wait_for_status(&queue, "completed").await;
    fleet.assert_each_left_once(2);
    fleet.end().await;
}
