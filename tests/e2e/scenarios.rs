//! The seven scenarios of seed 003, through the real parts. (The worker that is killed is in `killed`.)

use chrono::TimeDelta;
use regua_sandbox::{Effect, Fault, InstanceState};
use regua_store::business_hours;
use regua_tests::{Fleet, FleetOptions, TenantOptions, batch, eventually, number};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_falls_in_mid_campaign_holds_the_queue_and_lets_it_go_on_by_itself() {
    let options = TenantOptions { rate: 3000, ..TenantOptions::default() };
    let (fleet, _, erp) = Fleet::with_tenant(options).await;
    let queue = erp.accepted("overdue", &batch("lote-a", 150)).await;
    erp.until_that(&queue, "under way", |queue| queue["sent"].as_i64() > Some(20)).await;

    assert!(fleet.sandbox.set_state("matriz", InstanceState::Close));
    let down = erp.until(&queue, "instance_down").await;
    assert!(down["reason"].is_string() && down["processing_by"].is_null(), "{down:#}");
    assert!(down["pending"].as_i64() > Some(0), "what was not sent stays safe: {down:#}");
    let left = fleet.sandbox.ledger().len();

    // Its next look finds it still down; the one after finds it open.
    fleet.hands.set(fleet.clock.now() + TimeDelta::seconds(61));
    let looked = fleet.sandbox.calls().get("/instance/connectionState/{instance}").copied().unwrap_or(0);
    eventually("a second look", async || {
        fleet.sandbox.calls().iter().any(|(route, count)| route.contains("connectionState") && *count > looked)
    })
    .await;
    assert_eq!(fleet.sandbox.ledger().len(), left, "nothing leaves through a number that is down");
    assert!(fleet.sandbox.set_state("matriz", InstanceState::Open));
    fleet.hands.set(fleet.clock.now() + TimeDelta::seconds(61));
    let done = erp.until(&queue, "completed").await;
    assert_eq!(done["sent"], 150, "{done:#}");
    fleet.assert_each_left_once(150);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hours_that_end_in_mid_campaign_pause_it_until_the_next_valid_hour() {
    let options = TenantOptions { rate: 3000, keeps_hours: true, ..TenantOptions::default() };
    // Friday, 17:30 in São Paulo
    let fleet_options = FleetOptions { now: "2026-11-27T20:30:00Z".parse().unwrap(), ..FleetOptions::default() };
    let (fleet, _, erp) = Fleet::with(fleet_options, options).await;
    let queue = erp.accepted("overdue", &batch("lote-a", 150)).await;
    erp.until_that(&queue, "under way", |queue| queue["sent"].as_i64() > Some(20)).await;

    fleet.hands.set("2026-11-27T21:00:00Z".parse().unwrap());
    let paused = erp.until(&queue, "paused_hours").await;
    assert_eq!(paused["resume_at"], "2026-11-30T11:00:00Z", "Monday, 8:00: {paused:#}");
    assert_eq!(paused["reason"], "business_hours");
    let left = fleet.sandbox.ledger().len();
    assert!(left < 150, "the campaign was not over yet");

    // A notification keeps no hours, and shows that the lane lives.
    let notice = erp.accepted("notification", &batch("lote-b", 3)).await;
    erp.until(&notice, "completed").await;
    assert_eq!(fleet.sandbox.ledger().len(), left + 3, "no overdue message left after 18:00");

    fleet.hands.set("2026-11-30T10:59:00Z".parse().unwrap());
    let early = erp.accepted("notification", &batch("lote-c", 1)).await;
    erp.until(&early, "completed").await;
    assert_eq!(erp.status(&queue).await["status"], "paused_hours");
    fleet.hands.set("2026-11-30T11:00:01Z".parse().unwrap());
    erp.until(&queue, "completed").await;
    fleet.assert_each_left_once(154);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rate_of_a_number_is_never_exceeded() {
    // 240 a minute is one in 250 ms; the sandbox's ledger has the machine's own times.
    let options = TenantOptions { rate: 240, jitter: 20, ..TenantOptions::default() };
    let (fleet, _, erp) = Fleet::with_tenant(options).await;
    let queue = erp.accepted("overdue", &batch("lote-a", 16)).await;
    let status = erp.until_that(&queue, "under way", |queue| queue["sent"].as_i64() > Some(2)).await;
    assert_eq!(status["rate_per_minute"], 240);
    assert!(status["eta"].is_string(), "{status:#}");
    erp.until(&queue, "completed").await;
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
async fn nested_conditionals_say_to_each_debtor_what_concerns_them() {
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
        "no hole is ever sent"
    );
    assert_eq!(rejected["field"], "variables.parcela");
    erp.until(answer.body["queue_id"].as_str().unwrap(), "completed").await;
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
async fn a_temporary_failure_is_tried_again_later_and_a_lasting_one_fails() {
    let options = TenantOptions { max_attempts: 3, ..TenantOptions::default() };
    let (fleet, _, erp) = Fleet::with_tenant(options).await;
    fleet
        .sandbox
        .set_faults(vec![
            Fault { number: Some(number("lote-a", 0)), times: Some(2), ..Fault::every_send(Effect::Envelope500) },
            Fault { number: Some(number("lote-a", 1)), ..Fault::every_send(Effect::Envelope500) },
        ])
        .unwrap();
    let queue = erp.accepted("overdue", &batch("lote-a", 3)).await;
    erp.until_that(&queue, "one sent", |queue| queue["sent"] == 1).await;
    // The schedule waits 5 s and 10 s, give or take a fifth; the clock is moved past each.
    for attempts in 1..=2 {
        eventually("both tried", async || {
            let contacts = erp.contacts(&queue).await;
            contacts[..2].iter().all(|contact| contact["attempts"] == attempts && contact["status"] == "pending")
        })
        .await;
        assert!(fleet.sandbox.ledger().len() == 1, "nothing is tried again before its time");
        fleet.hands.set(fleet.clock.now() + TimeDelta::seconds(15));
    }
    let done = erp.until(&queue, "completed").await;
    assert_eq!((&done["sent"], &done["failed"]), (&json!(2), &json!(1)));
    let contacts = erp.contacts(&queue).await;
    assert_eq!((&contacts[0]["attempts"], &contacts[0]["status"]), (&json!(3), &json!("sent")));
    assert_eq!((&contacts[1]["attempts"], &contacts[1]["status"]), (&json!(3), &json!("failed")));
    assert_eq!(contacts[1]["reason"], "lookup_timed_out");
    fleet.assert_each_left_once(2);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn variations_are_spread_evenly_and_stably() {
    let variations = vec!["um {{referencia}}", "dois {{referencia}}", "três {{referencia}}"];
    let (fleet, _, erp) = Fleet::with_tenant(TenantOptions { variations, ..TenantOptions::default() }).await;
    let mut body = batch("lote-a", 300);
    body["dry_run"] = json!(true);
    let shown = erp.send("overdue", &body).await.body;
    body["dry_run"] = json!(false);
    let queue = erp.accepted("overdue", &body).await;
    erp.until(&queue, "completed").await;
    let contacts = erp.contacts(&queue).await;
    for variation in 1..=3 {
        let count = contacts.iter().filter(|contact| contact["variation"] == variation).count();
        assert!((70..=130).contains(&count), "about a hundred of variation {variation}, not {count}");
    }
    for (n, contact) in contacts.iter().enumerate() {
        assert_eq!(contact["variation"], shown["contacts"][n]["variation"], "a dry run tells the truth");
    }
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_daily_cap_holds_the_rest_until_tomorrow() {
    let options = TenantOptions { daily_cap: Some(7), ..TenantOptions::default() };
    let (fleet, _, erp) = Fleet::with_tenant(options).await;
    let queue = erp.accepted("notification", &batch("lote-a", 10)).await;
    let held = erp.until(&queue, "paused_hours").await;
    assert_eq!((&held["sent"], &held["reason"]), (&json!(7), &json!("daily_cap")), "{held:#}");
    assert_eq!(held["resume_at"], "2026-11-24T03:00:00Z", "midnight in São Paulo");
    fleet.hands.set("2026-11-24T03:00:01Z".parse().unwrap());
    erp.until(&queue, "completed").await;
    fleet.assert_each_left_once(10);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hours_that_never_open_are_looked_at_again_the_next_day() {
    let (fleet, tenant, erp) =
        Fleet::with_tenant(TenantOptions { keeps_hours: true, ..TenantOptions::default() }).await;
    let mut conn = fleet.database.pool.acquire().await.unwrap();
    let hours = business_hours::all(&mut conn, &[tenant.id]).await.unwrap();
    let hours: Vec<_> = hours.into_iter().map(|(_, open)| open).collect();
    business_hours::replace(&mut conn, tenant.id, &[]).await.unwrap();
    let queue = erp.accepted("overdue", &batch("lote-a", 2)).await;
    let held = erp.until(&queue, "paused_hours").await;
    assert!(held["resume_at"].as_str().unwrap().starts_with("2026-11-24T13:00"), "{held:#}");
    business_hours::replace(&mut conn, tenant.id, &hours).await.unwrap();
    drop(conn);
    fleet.hands.set(fleet.clock.now() + TimeDelta::hours(25));
    erp.until(&queue, "completed").await;
    fleet.assert_each_left_once(2);
    fleet.end().await;
}
