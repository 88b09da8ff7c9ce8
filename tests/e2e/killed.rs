//! A worker is killed (`kill -9`) or frozen in mid-campaign. Another one completes the campaign, and no message is sent
//! twice.

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

/// The system clock, which the started processes use.
fn system_now() -> chrono::DateTime<chrono::Utc> {
    regua_boot::Clock::system().now()
}

fn start_worker(fleet: &Fleet) -> Process {
    Process::for_fleet(fleet, BINARY, "worker", &[])
}

#[tokio::test(flavor = "multi_thread")]
async fn second_worker_completes_campaign_of_killed_worker_without_duplicates() {
    let (fleet, _, erp) = fleet_without_workers().await;
    let worker = start_worker(&fleet);
    let queue = erp.send_accepted("notification", &batch("lote-a", 300)).await;
    let status = erp.wait_until(&queue, "under way", |queue| queue["sent"].as_i64() > Some(50)).await;
    assert!(status["processing_by"].is_string() && status["last_heartbeat"].is_string(), "{status:#}");
    worker.kill();
    assert!(erp.status(&queue).await["pending"].as_i64() > Some(0), "the worker was killed in mid-campaign");

    let second = start_worker(&fleet);
    let done = erp.wait_for_status(&queue, "completed").await;
    let (sent, unconfirmed) = (done["sent"].as_i64().unwrap(), done["unconfirmed"].as_i64().unwrap());
    assert_eq!((sent + unconfirmed, &done["failed"]), (300, &json!(0)), "{done:#}");
    assert!(unconfirmed <= 1, "one lane has one send under way: {done:#}");
    let counts = fleet.sent_by_number();
    assert!(counts.values().all(|count| *count == 1), "a number got two messages");
    assert!(counts.len() as i64 >= sent);
    assert!(second.terminate().success(), "SIGTERM ends a worker with 0");
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn send_under_way_in_killed_worker_is_unconfirmed_and_not_repeated() {
    let (fleet, _, erp) = fleet_without_workers().await;
    fleet
        .sandbox
        .set_faults(vec![Fault { latency_ms: 1500, times: Some(1), ..Fault::every_send(Effect::None) }])
        .unwrap();
    let worker = start_worker(&fleet);
    let queue = erp.send_accepted("notification", &batch("lote-a", 5)).await;
    erp.wait_until(&queue, "sending", |queue| queue["sending"] == 1).await;
    regua_tests::eventually("the request to arrive", async || {
        fleet.sandbox.calls().iter().any(|(route, count)| route.contains("sendText") && *count > 0)
    })
    .await;
    worker.kill();
    let second = start_worker(&fleet);
    let done = erp.wait_for_status(&queue, "completed").await;
    assert_eq!((&done["sent"], &done["unconfirmed"]), (&json!(4), &json!(1)), "{done:#}");
    let lost: Vec<_> =
        erp.contacts(&queue).await.into_iter().filter(|contact| contact["status"] == "unconfirmed").collect();
    assert_eq!((lost.len(), &lost[0]["reason"], &lost[0]["attempts"]), (1, &json!("worker_lost"), &json!(1)));
    // Evolution sends the message although the caller is dead.
    regua_tests::eventually("the first message to leave", async || fleet.sandbox.ledger().len() == 5).await;
    fleet.assert_each_left_once(5);
    fleet.wait_for_free_lanes().await;
    drop(second);
    fleet.end_unfinished().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn thawed_worker_sends_nothing_on_lane_that_was_taken_over() {
    let (fleet, _, erp) = fleet_without_workers().await;
    let frozen = start_worker(&fleet);
    let queue = erp.send_accepted("notification", &batch("lote-a", 300)).await;
    erp.wait_until(&queue, "under way", |queue| queue["sent"].as_i64() > Some(50)).await;
    frozen.freeze();
    let second = start_worker(&fleet);
    erp.wait_until(&queue, "sent further after the takeover", |queue| queue["sent"].as_i64() > Some(150)).await;
    frozen.thaw();
    let done = erp.wait_for_status(&queue, "completed").await;
    let (sent, unconfirmed) = (done["sent"].as_i64().unwrap(), done["unconfirmed"].as_i64().unwrap());
    assert!(sent + unconfirmed == 300 && unconfirmed <= 1, "{done:#}");
    assert!(fleet.sent_by_number().values().all(|count| *count == 1), "a number got two messages");
    assert_eq!(fleet.count("select count(distinct worker) from attempts").await, 2);
    // On a slow machine the second worker's lease may expire too, so there may be more than two epochs.
    let late = "select count(*) from attempts a join attempts b on a.lease_epoch < b.lease_epoch and a.started_at > b.started_at";
    assert_eq!(fleet.count(late).await, 0, "attempts of an ended lease began after attempts of the next one");
    fleet.wait_for_free_lanes().await;
    drop((frozen, second));
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn late_answer_of_thawed_worker_confirms_contact() {
    let (fleet, _, erp) = fleet_without_workers().await;
    let slow = Fault { latency_ms: 500, times: Some(1), ..Fault::every_send(Effect::None) };
    fleet.sandbox.set_faults(vec![slow]).unwrap();
    let frozen = start_worker(&fleet);
    let queue = erp.send_accepted("overdue", &batch("lote-a", 5)).await;
    regua_tests::eventually("the request to arrive", async || {
        fleet.sandbox.calls().iter().any(|(route, count)| route.contains("sendText") && *count > 0)
    })
    .await;
    frozen.freeze();
    let second = start_worker(&fleet);
    let done = erp.wait_for_status(&queue, "completed").await;
    assert_eq!((&done["sent"], &done["unconfirmed"]), (&json!(4), &json!(1)), "{done:#}");
    frozen.thaw();
    erp.wait_until(&queue, "all sent", |queue| queue["sent"] == 5).await;
    let query = "select count(*) from evidence e join attempts a using (tenant_id, contact_id, attempt_id)
                 where e.source = 'late_answer' and e.has_left and a.settled_by = 'late_answer' and a.outcome = 'sent'";
    assert_eq!(fleet.count(query).await, 1);
    fleet.assert_each_left_once(5);
    fleet.wait_for_free_lanes().await;
    drop((frozen, second));
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn late_answer_that_message_probably_left_prevents_resend() {
    let (fleet, _, erp) = fleet_without_workers().await;
    let slow = Fault { latency_ms: 500, times: Some(1), ..Fault::every_send(Effect::Database400) };
    fleet.sandbox.set_faults(vec![slow]).unwrap();
    let frozen = start_worker(&fleet);
    let queue = erp.send_accepted("notification", &batch("lote-a", 3)).await;
    regua_tests::eventually("the request to arrive", async || {
        fleet.sandbox.calls().iter().any(|(route, count)| route.contains("sendText") && *count > 0)
    })
    .await;
    frozen.freeze();
    let second = start_worker(&fleet);
    erp.wait_for_status(&queue, "completed").await;
    frozen.thaw();
    let with_reason = "select count(*) from contacts where status = 'unconfirmed' and reason = 'gateway_database'";
    regua_tests::eventually("the reason of the late answer", async || fleet.count(with_reason).await == 1).await;
    for _ in 0..5 {
        let looked = fleet.count("select coalesce(sum(looks), 0)::bigint from attempts").await;
        fleet.manual_clock.set(fleet.clock.now() + chrono::TimeDelta::hours(3));
        regua_tests::eventually("a look", async || {
            let waiting = fleet.count("select count(*) from attempts where next_look_at is not null").await;
            waiting == 0 || fleet.count("select coalesce(sum(looks), 0)::bigint from attempts").await > looked
        })
        .await;
    }
    assert_eq!(fleet.count("select count(*) from attempts where settled_by = 'gave_up'").await, 1);
    assert_eq!(fleet.count("select count(*) from contacts where resends > 0").await, 0);
    fleet.assert_each_left_once(3);
    fleet.wait_for_free_lanes().await;
    drop((frozen, second));
    fleet.end().await;
}
