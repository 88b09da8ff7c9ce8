//! Pause, resume and cancel of a queue take effect before its next send.

use std::time::{Duration, Instant};

use regua_sandbox::{Effect, Fault};
use regua_tests::{Fleet, FleetOptions, TenantOptions, batch, number};
use reqwest::StatusCode;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn pause_stops_sending_at_once_and_resume_continues_it() {
    let (fleet, _, erp) = Fleet::with_tenant(TenantOptions { rate: 3000, ..TenantOptions::default() }).await;
    let queue = erp.send_accepted("overdue", &batch("lote-a", 150)).await;
    erp.wait_until(&queue, "under way", |queue| queue["sent"].as_i64() > Some(20)).await;
    let answer = erp.control(&queue, "pause").await;
    assert_eq!((answer.status, &answer.body["status"]), (StatusCode::OK, &json!("paused")));
    let paused_at = machine_milliseconds();
    let again = erp.control(&queue, "pause").await;
    assert_eq!(again.status, StatusCode::OK, "a repeated call is harmless");

    // Another batch of the same lane completes, so the lane has skipped the paused queue.
    let other = erp.send_accepted("overdue", &batch("lote-b", 30)).await;
    erp.wait_for_status(&other, "completed").await;
    let status = erp.status(&queue).await;
    assert_eq!(status["status"], "paused");
    assert!(status["pending"].as_i64() > Some(0) && status["eta"].is_null(), "{status:#}");
    let prefix = &number("lote-a", 0)[..7];
    let late = fleet
        .sandbox
        .ledger()
        .iter()
        .filter(|entry| entry.number.starts_with(prefix))
        .map(|entry| entry.received_at)
        .max();
    assert!(late < Some(paused_at + 1000), "the last message left at {late:?}, the pause was answered at {paused_at}");

    let answer = erp.control(&queue, "resume").await;
    assert_eq!(answer.status, StatusCode::OK, "{:#}", answer.body);
    erp.wait_for_status(&queue, "completed").await;
    fleet.assert_each_left_once(180);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cancel_ends_unsent_contacts_and_is_final() {
    let (fleet, _, erp) = Fleet::with_tenant(TenantOptions { rate: 3000, ..TenantOptions::default() }).await;
    let queue = erp.send_accepted("overdue", &batch("lote-a", 150)).await;
    erp.wait_until(&queue, "under way", |queue| queue["sent"].as_i64() > Some(20)).await;
    let answer = erp.control(&queue, "cancel").await;
    assert_eq!((answer.status, &answer.body["status"]), (StatusCode::OK, &json!("cancelled")));
    assert_eq!(answer.body["pending"], 0);
    let ended = erp.wait_until(&queue, "no longer sending", |queue| queue["sending"] == 0).await;
    assert_eq!(ended["sent"].as_i64().unwrap() + ended["cancelled"].as_i64().unwrap(), 150, "{ended:#}");
    assert!(ended["cancelled"].as_i64() > Some(0));
    for action in ["resume", "pause"] {
        let refused = erp.control(&queue, action).await;
        assert_eq!((refused.status, refused.body["code"].as_str()), (StatusCode::CONFLICT, Some("state_conflict")));
    }
    assert_eq!(erp.control(&queue, "cancel").await.status, StatusCode::OK, "a repeated call is harmless");
    let other = erp.send_accepted("overdue", &batch("lote-b", 5)).await;
    erp.wait_for_status(&other, "completed").await;
    let sent = usize::try_from(ended["sent"].as_i64().unwrap()).unwrap();
    fleet.assert_each_left_once(sent + 5);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attempt_that_fails_after_cancel_is_not_retried() {
    let (fleet, _, erp) = Fleet::with_tenant(TenantOptions::default()).await;
    let slow = Fault { latency_ms: 700, ..Fault::every_send(Effect::Envelope500) };
    fleet.sandbox.set_faults(vec![slow]).unwrap();
    let queue = erp.send_accepted("overdue", &batch("lote-a", 1)).await;
    erp.wait_until(&queue, "sending", |queue| queue["sending"] == 1).await;
    assert_eq!(erp.control(&queue, "cancel").await.status, StatusCode::OK);
    let done = erp.wait_until(&queue, "no longer sending", |queue| queue["sending"] == 0).await;
    assert_eq!((&done["cancelled"], &done["pending"]), (&json!(1), &json!(0)), "{done:#}");
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_worker_finishes_its_send_and_releases_its_lane() {
    let (mut fleet, _, erp) =
        Fleet::with(FleetOptions { workers: 0, ..FleetOptions::default() }, TenantOptions::default()).await;
    fleet.sandbox.set_faults(vec![Fault { latency_ms: 400, ..Fault::every_send(Effect::None) }]).unwrap();
    let first = fleet.start_worker();
    let queue = erp.send_accepted("overdue", &batch("lote-a", 4)).await;
    erp.wait_until(&queue, "sending", |queue| queue["sending"] == 1).await;
    let started = Instant::now();
    fleet.stop_worker(first).await;
    assert!(started.elapsed() < Duration::from_secs(3), "the worker stopped after {:?}", started.elapsed());
    assert_eq!(fleet.count("select count(*) from lanes where leased_by is not null").await, 0);
    let status = erp.status(&queue).await;
    assert_eq!((&status["sending"], &status["unconfirmed"]), (&json!(0), &json!(0)), "{status:#}");
    fleet.sandbox.set_faults(Vec::new()).unwrap();
    fleet.start_worker();
    erp.wait_for_status(&queue, "completed").await;
    fleet.assert_each_left_once(4);
    fleet.end().await;
}

/// Milliseconds of the system clock, as in the sandbox's ledger.
fn machine_milliseconds() -> i64 {
    regua_boot::Clock::system().now().timestamp_millis()
}
