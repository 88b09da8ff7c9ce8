//! A worker dies by `kill -9` in mid-campaign, or stands still; another finishes, and nobody gets the message twice.

use std::time::Duration;

use regua_sandbox::{Effect, Fault};
use regua_tests::{Client, Fleet, FleetOptions, Process, Tenant, TenantOptions, batch};
use serde_json::json;

const BINARY: &str = env!("CARGO_BIN_EXE_regua-test-process");

async fn fleet_without_workers() -> (Fleet, Tenant, Client) {
    let options =
        FleetOptions { workers: 0, lease: Duration::from_secs(2), now: system_now(), ..FleetOptions::default() };
    Fleet::with(options, TenantOptions { rate: 3000, ..TenantOptions::default() }).await
}

/// A process of its own has the machine's clock; the rest of the fleet must agree with it.
fn system_now() -> chrono::DateTime<chrono::Utc> {
    regua_boot::Clock::system().now()
}

fn start_worker(fleet: &Fleet) -> Process {
    Process::of(fleet, BINARY, "worker", &[])
}

#[tokio::test(flavor = "multi_thread")]
async fn another_worker_finishes_and_nobody_gets_it_twice() {
    let (fleet, _, erp) = fleet_without_workers().await;
    let worker = start_worker(&fleet);
    let queue = erp.accepted("notification", &batch("lote-a", 300)).await;
    let status = erp.until_that(&queue, "under way", |queue| queue["sent"].as_i64() > Some(50)).await;
    assert!(status["processing_by"].is_string() && status["last_heartbeat"].is_string(), "{status:#}");
    worker.kill();
    assert!(erp.status(&queue).await["pending"].as_i64() > Some(0), "it was killed in the middle");

    let second = start_worker(&fleet);
    let done = erp.until(&queue, "completed").await;
    let (sent, unconfirmed) = (done["sent"].as_i64().unwrap(), done["unconfirmed"].as_i64().unwrap());
    assert_eq!((sent + unconfirmed, &done["failed"]), (300, &json!(0)), "{done:#}");
    assert!(unconfirmed <= 1, "one lane has one send on its way: {done:#}");
    let counts = fleet.sent_by_number();
    assert!(counts.values().all(|count| *count == 1), "somebody got it twice");
    assert!(counts.len() as i64 >= sent);
    assert!(second.terminate().success(), "SIGTERM ends a worker with 0");
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_send_that_the_dead_worker_had_on_its_way_is_unconfirmed_and_not_repeated() {
    let (fleet, _, erp) = fleet_without_workers().await;
    fleet
        .sandbox
        .set_faults(vec![Fault { latency_ms: 1500, times: Some(1), ..Fault::every_send(Effect::None) }])
        .unwrap();
    let worker = start_worker(&fleet);
    let queue = erp.accepted("notification", &batch("lote-a", 5)).await;
    erp.until_that(&queue, "sending", |queue| queue["sending"] == 1).await;
    regua_tests::eventually("the request to arrive", async || {
        fleet.sandbox.calls().iter().any(|(route, count)| route.contains("sendText") && *count > 0)
    })
    .await;
    worker.kill();
    let second = start_worker(&fleet);
    let done = erp.until(&queue, "completed").await;
    assert_eq!((&done["sent"], &done["unconfirmed"]), (&json!(4), &json!(1)), "{done:#}");
    let lost: Vec<_> =
        erp.contacts(&queue).await.into_iter().filter(|contact| contact["status"] == "unconfirmed").collect();
    assert_eq!((lost.len(), &lost[0]["reason"], &lost[0]["attempts"]), (1, &json!("worker_lost"), &json!(1)));
    // Evolution sends what it was asked to, whether the caller lives or not.
    regua_tests::eventually("the first message to leave", async || fleet.sandbox.ledger().len() == 5).await;
    fleet.assert_each_left_once(5);
    fleet.until_lanes_are_free().await;
    drop(second);
    fleet.end_unfinished().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_was_frozen_sends_nothing_more_of_a_lane_that_was_taken_over() {
    let (fleet, _, erp) = fleet_without_workers().await;
    let frozen = start_worker(&fleet);
    let queue = erp.accepted("notification", &batch("lote-a", 300)).await;
    erp.until_that(&queue, "under way", |queue| queue["sent"].as_i64() > Some(50)).await;
    frozen.freeze();
    let second = start_worker(&fleet);
    erp.until_that(&queue, "taken over and moving", |queue| queue["sent"].as_i64() > Some(150)).await;
    let owner = erp.status(&queue).await["processing_by"].clone();
    frozen.thaw();
    let done = erp.until(&queue, "completed").await;
    let (sent, unconfirmed) = (done["sent"].as_i64().unwrap(), done["unconfirmed"].as_i64().unwrap());
    assert!(sent + unconfirmed == 300 && unconfirmed <= 1, "{done:#}");
    assert!(fleet.sent_by_number().values().all(|count| *count == 1), "somebody got it twice");
    assert_eq!(fleet.count("select count(distinct worker) from attempts").await, 2);
    assert_eq!(fleet.count("select count(distinct lease_epoch) from attempts").await, 2, "owner was {owner}");
    fleet.until_lanes_are_free().await;
    drop((frozen, second));
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_late_answer_of_a_frozen_worker_settles_what_its_successor_could_not_know() {
    let (fleet, _, erp) = fleet_without_workers().await;
    let slow = Fault { latency_ms: 500, times: Some(1), ..Fault::every_send(Effect::None) };
    fleet.sandbox.set_faults(vec![slow]).unwrap();
    let frozen = start_worker(&fleet);
    let queue = erp.accepted("overdue", &batch("lote-a", 5)).await;
    regua_tests::eventually("the request to arrive", async || {
        fleet.sandbox.calls().iter().any(|(route, count)| route.contains("sendText") && *count > 0)
    })
    .await;
    frozen.freeze();
    let second = start_worker(&fleet);
    let done = erp.until(&queue, "completed").await;
    assert_eq!((&done["sent"], &done["unconfirmed"]), (&json!(4), &json!(1)), "{done:#}");
    frozen.thaw();
    erp.until_that(&queue, "all sent", |queue| queue["sent"] == 5).await;
    let query = "select count(*) from evidence e join attempts a using (tenant_id, contact_id, attempt_id)
                 where e.source = 'late_answer' and e.has_left and a.settled_by = 'late_answer' and a.outcome = 'sent'";
    assert_eq!(fleet.count(query).await, 1);
    fleet.assert_each_left_once(5);
    fleet.until_lanes_are_free().await;
    drop((frozen, second));
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_answer_that_says_it_probably_left_keeps_it_from_being_sent_again() {
    let (fleet, _, erp) = fleet_without_workers().await;
    let slow = Fault { latency_ms: 500, times: Some(1), ..Fault::every_send(Effect::Database400) };
    fleet.sandbox.set_faults(vec![slow]).unwrap();
    let frozen = start_worker(&fleet);
    let queue = erp.accepted("notification", &batch("lote-a", 3)).await;
    regua_tests::eventually("the request to arrive", async || {
        fleet.sandbox.calls().iter().any(|(route, count)| route.contains("sendText") && *count > 0)
    })
    .await;
    frozen.freeze();
    let second = start_worker(&fleet);
    erp.until(&queue, "completed").await;
    frozen.thaw();
    let noted = "select count(*) from contacts where status = 'unconfirmed' and reason = 'gateway_database'";
    regua_tests::eventually("its reason to be noted", async || fleet.count(noted).await == 1).await;
    for _ in 0..5 {
        fleet.hands.set(fleet.clock.now() + chrono::TimeDelta::hours(3));
        let looked = fleet.count("select coalesce(sum(looks), 0)::bigint from attempts").await;
        regua_tests::eventually("a look", async || {
            let waiting = fleet.count("select count(*) from attempts where next_look_at is not null").await;
            waiting == 0 || fleet.count("select coalesce(sum(looks), 0)::bigint from attempts").await > looked
        })
        .await;
    }
    assert_eq!(fleet.count("select count(*) from attempts where settled_by = 'gave_up'").await, 1);
    assert_eq!(fleet.count("select count(*) from contacts where resends > 0").await, 0);
    fleet.assert_each_left_once(3);
    fleet.until_lanes_are_free().await;
    drop((frozen, second));
    fleet.end().await;
}
