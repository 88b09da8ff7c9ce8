//! Every window in which a program can die: between any two steps of a send, of a batch's intake, of a doorbell's way, and
//! of a look for what may have left. The program dies there by itself (`abort`, which is as sudden as `kill -9`), another
//! takes its place, and every contact ends in a state that is true.

use std::time::Duration;

use regua_sandbox::{Effect, Fault};
use regua_tests::{Client, Fleet, FleetOptions, Process, Tenant, TenantOptions, batch, eventually};
use serde_json::{Value, json};

const BINARY: &str = env!("CARGO_BIN_EXE_regua-test-process");
const CONTACTS: usize = 12;

/// A process has the machine's clock; the rest of the fleet must agree with it.
async fn fleet() -> (Fleet, Tenant, Client) {
    let options = FleetOptions {
        workers: 0,
        lease: Duration::from_secs(2),
        now: regua_boot::Clock::system().now(),
        looks: "1,2".parse().unwrap(),
        ..FleetOptions::default()
    };
    Fleet::with(options, TenantOptions { rate: 6000, ..TenantOptions::default() }).await
}

/// A program that dies, or fails, at a place.
fn doomed(fleet: &Fleet, program: &str, doom: (&str, &str), more: &[(&str, &str)]) -> Process {
    Process::of(fleet, BINARY, program, &[&[doom], more].concat())
}

/// What must hold whatever died: the gateway's record could be seen, so what left is sent, and nothing left twice. At most
/// `lost` were written down and never posted; they wait for a person.
async fn assert_true_in_the_end(fleet: Fleet, erp: &Client, queue: &str, lost: u64) {
    erp.until(queue, "completed").await;
    fleet.until_lanes_are_free().await;
    eventually("nobody looks any more", async || {
        fleet.count("select count(*) from attempts where next_look_at is not null").await == 0
    })
    .await;
    let done = erp.status(queue).await;
    let unconfirmed = done["unconfirmed"].as_u64().unwrap();
    assert_eq!(done["sent"].as_u64().unwrap() + unconfirmed, CONTACTS as u64, "{done:#}");
    assert!(unconfirmed <= lost, "{done:#}");
    let left = fleet.sent_by_number();
    assert!(left.values().all(|count| *count == 1), "somebody got it twice: {left:?}");
    for contact in erp.contacts(queue).await {
        let has_left = left.contains_key(contact["phone"].as_str().unwrap().trim_start_matches('+'));
        assert_eq!(contact["status"] == "sent", has_left, "{contact:#}");
    }
    fleet.end().await;
}

async fn a_worker_dies_at(place: &str, lost: u64) {
    let (mut fleet, _, erp) = fleet().await;
    let worker = doomed(&fleet, "worker", ("REGUA_DIE_AT", place), &[]);
    let queue = erp.accepted("overdue", &batch("lote-a", CONTACTS)).await;
    worker.died().await;
    fleet.start_worker();
    assert_true_in_the_end(fleet, &erp, &queue, lost).await;
}

macro_rules! a_worker_dies {
    ($($name:ident: $place:literal, $lost:literal lost;)+) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            a_worker_dies_at($place, $lost).await;
        }
    )+};
}

a_worker_dies! {
    a_worker_dies_before_it_has_taken_the_lane: "take::before_commit:1", 0 lost;
    a_worker_dies_when_it_has_taken_the_lane: "take::committed:1", 0 lost;
    a_worker_dies_before_it_has_acknowledged_the_doorbell: "ack::before:1", 1 lost;
    a_worker_dies_before_its_claim_stands: "claim::before_commit:1", 0 lost;
    a_worker_dies_when_its_claim_stands: "claim::committed:1", 0 lost;
    a_worker_dies_before_its_mark_stands: "mark::before_commit:3", 0 lost;
    a_worker_dies_between_mark_and_post: "post::before:3", 1 lost;
    a_worker_dies_between_post_and_outcome: "post::after:3", 0 lost;
    a_worker_dies_before_its_outcome_stands: "finish::before_commit:3", 0 lost;
    // The next contact's mark may stand in the same commit, and its post is never made.
    a_worker_dies_when_its_outcome_stands: "finish::committed:3", 1 lost;
    a_worker_dies_before_its_lane_is_free: "release::before_commit:1", 0 lost;
    a_worker_dies_when_its_lane_is_free: "release::committed:1", 0 lost;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_whose_commit_is_not_answered_loses_nothing() {
    let (fleet, _, erp) = fleet().await;
    let worker = doomed(&fleet, "worker", ("REGUA_FAIL_AT", "claim::committed=1*return"), &[]);
    let queue = erp.accepted("overdue", &batch("lote-a", CONTACTS)).await;
    // What it holds and does not know of keeps the queue from its end until the lane is let go.
    let status =
        erp.until_that(&queue, "idle", |queue| queue["processing_by"].is_null() && queue["started_at"].is_string());
    status.await;
    assert!(worker.terminate().success());
    let mut fleet = fleet;
    fleet.start_worker();
    assert_true_in_the_end(fleet, &erp, &queue, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn marks_and_outcomes_whose_commit_is_not_answered_are_repeated_and_nothing_leaves_twice() {
    let (fleet, _, erp) = fleet().await;
    // The 3rd, 6th, … commit of the ledger is done, and its answer lost.
    let worker = doomed(
        &fleet,
        "worker",
        ("REGUA_FAIL_AT", "flush::unanswered=2*off->1*return->2*off->1*return->2*off->1*return->2*off->1*return"),
        &[],
    );
    let queue = erp.accepted("overdue", &batch("lote-a", CONTACTS)).await;
    erp.until(&queue, "completed").await;
    assert!(worker.terminate().success());
    assert_eq!(erp.status(&queue).await["sent"], CONTACTS);
    assert_true_in_the_end(fleet, &erp, &queue, 0).await;
}

async fn the_api_dies_at(place: &str) {
    let (mut fleet, tenant, erp) = fleet().await;
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let api = doomed(&fleet, "api", ("REGUA_DIE_AT", place), &[("PORT", &port), ("BIND_ADDRESS", "127.0.0.1")]);
    let doomed = Client::new(&format!("http://127.0.0.1:{port}"), &tenant.key);
    let body = batch("lote-a", CONTACTS);
    eventually("the API to take the batch and die", async || {
        let request = doomed.request(reqwest::Method::POST, "/api/v1/billing/send/overdue").json(&body);
        request.send().await.is_err_and(|error| !error.is_connect())
    })
    .await;
    api.died().await;
    fleet.start_worker();
    // What an ERP does that got no answer.
    let again = erp.send("overdue", &body).await;
    assert!(again.status.is_success(), "{:#}", again.body);
    assert_eq!(again.body["accepted"], CONTACTS);
    let queue = again.body["queue_id"].as_str().unwrap().to_owned();
    assert_true_in_the_end(fleet, &erp, &queue, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_dies_before_a_batch_stands() {
    the_api_dies_at("intake::before_commit:1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_dies_when_a_batch_stands_and_nobody_was_told() {
    the_api_dies_at("intake::committed:1").await;
}

async fn the_relay_dies_at(place: &str) {
    if std::env::var("AMQP_URL").is_err() {
        return; // the embedded broker needs no relay
    }
    let options = FleetOptions {
        workers: 0,
        periodic: false,
        amqp_url: Some("amqp://127.0.0.1:1".to_owned()),
        now: regua_boot::Clock::system().now(),
        ..FleetOptions::default()
    };
    // This fleet's own API cannot publish, so the doorbell waits for the relay that dies.
    let (mut fleet, _, erp) = Fleet::with(options, TenantOptions::default()).await;
    let queue = erp.accepted("overdue", &batch("lote-a", CONTACTS)).await;
    doomed(&fleet, "periodic", ("REGUA_DIE_AT", place), &[]).died().await;
    let (_periodic, _worker) =
        (doomed(&fleet, "periodic", ("RUST_LOG", "error"), &[]), doomed(&fleet, "worker", ("RUST_LOG", "error"), &[]));
    let done = erp.until(&queue, "completed").await;
    assert_eq!(done["sent"], CONTACTS, "{done:#}");
    eventually("the doorbell is gone", async || fleet.count("select count(*) from outbox").await == 0).await;
    fleet.until_lanes_are_free().await;
    fleet.assert_each_left_once(CONTACTS);
    fleet.start_periodic();
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_relay_dies_before_a_doorbell_is_published() {
    the_relay_dies_at("relay::taken:1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_relay_dies_when_a_doorbell_is_published_and_still_waits() {
    the_relay_dies_at("relay::published:1").await;
}

/// One attempt is unconfirmed, and periodic dies while it looks for it.
async fn periodic_dies_at(place: &str, message_type: &str, left: bool, expected: Value) {
    let options = FleetOptions {
        periodic: false,
        workers: 1,
        now: regua_boot::Clock::system().now(),
        looks: "1,2".parse().unwrap(),
        ..FleetOptions::default()
    };
    let (mut fleet, _, erp) = Fleet::with(options, TenantOptions::default()).await;
    let lost = Fault { times: Some(1), left: Some(left), ..Fault::every_send(Effect::TimedOut400) };
    fleet.sandbox.set_faults(vec![lost]).unwrap();
    let queue = erp.accepted(message_type, &batch("lote-a", 1)).await;
    erp.until_that(&queue, "unconfirmed", |queue| queue["unconfirmed"] == 1).await;
    doomed(&fleet, "periodic", ("REGUA_DIE_AT", place), &[]).died().await;
    fleet.start_periodic();
    // What it had in its hands is free again after a while.
    fleet.hands.set(fleet.clock.now() + chrono::TimeDelta::minutes(2));
    let done = erp.until_that(&queue, "settled", |queue| {
        queue["status"] == "completed" && ["sent", "unconfirmed"].iter().all(|count| queue[count] == expected[count])
    });
    done.await;
    eventually("nobody looks any more", async || {
        fleet.count("select count(*) from attempts where next_look_at is not null").await == 0
    })
    .await;
    assert_eq!(fleet.sandbox.ledger().len() as u64, expected["sent"].as_u64().unwrap(), "once, or not at all");
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn periodic_dies_with_a_look_in_its_hands() {
    periodic_dies_at("look::taken:1", "overdue", true, json!({"sent": 1, "unconfirmed": 0})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn periodic_dies_before_what_it_found_stands() {
    periodic_dies_at("learn::before_commit:1", "overdue", true, json!({"sent": 1, "unconfirmed": 0})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn periodic_dies_when_what_it_found_stands() {
    periodic_dies_at("learn::committed:1", "overdue", true, json!({"sent": 1, "unconfirmed": 0})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn periodic_dies_before_its_decision_stands() {
    periodic_dies_at("decide::before_commit:1", "notification", false, json!({"sent": 1, "unconfirmed": 0})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn periodic_dies_when_its_decision_stands() {
    periodic_dies_at("decide::committed:1", "notification", false, json!({"sent": 1, "unconfirmed": 0})).await;
}
