//! Crashes between any two steps of a send, of intake, of relaying a doorbell, and of a look. The program aborts itself
//! at a failpoint (`abort`, as sudden as `kill -9`) and another one takes over. Every contact must end in a true state.

use std::time::Duration;

use regua_sandbox::{Effect, Fault};
use regua_tests::{Client, Fleet, FleetOptions, Process, Tenant, TenantOptions, batch, eventually};
use serde_json::{Value, json};

const BINARY: &str = env!("CARGO_BIN_EXE_regua-test-process");
const CONTACTS: usize = 12;

/// A fleet on the system clock, which the started processes use.
async fn fleet_on_system_clock() -> (Fleet, Tenant, Client) {
    let options = FleetOptions {
        workers: 0,
        lease: Duration::from_secs(2),
        now: regua_boot::Clock::system().now(),
        looks: "1,2".parse().unwrap(),
        ..FleetOptions::default()
    };
    Fleet::with(options, TenantOptions { rate: 6000, ..TenantOptions::default() }).await
}

/// Starts a program; `REGUA_DIE_AT` and `REGUA_FAIL_AT` name a failpoint.
fn start(fleet: &Fleet, program: &str, variables: &[(&str, &str)]) -> Process {
    Process::for_fleet(fleet, BINARY, program, variables)
}

/// Asserts that every contact is sent if and only if its message left, and that no message left twice: the gateway's
/// history was visible to the looks. At most `lost` contacts were marked and never posted; they wait for an operator.
async fn assert_consistent_end(fleet: Fleet, erp: &Client, queue: &str, lost: u64) {
    erp.wait_for_status(queue, "completed").await;
    fleet.wait_for_free_lanes().await;
    eventually("the last look to end", async || {
        fleet.count("select count(*) from attempts where next_look_at is not null").await == 0
    })
    .await;
    let done = erp.status(queue).await;
    let unconfirmed = done["unconfirmed"].as_u64().unwrap();
    assert_eq!(done["sent"].as_u64().unwrap() + unconfirmed, CONTACTS as u64, "{done:#}");
    assert!(unconfirmed <= lost, "{done:#}");
    let left = fleet.sent_by_number();
    assert!(left.values().all(|count| *count == 1), "a number got two messages: {left:?}");
    for contact in erp.contacts(queue).await {
        let has_left = left.contains_key(contact["phone"].as_str().unwrap().trim_start_matches('+'));
        assert_eq!(contact["status"] == "sent", has_left, "{contact:#}");
    }
    fleet.end().await;
}

async fn worker_dies_at(failpoint: &str, lost: u64) {
    let (mut fleet, _, erp) = fleet_on_system_clock().await;
    let worker = start(&fleet, "worker", &[("REGUA_DIE_AT", failpoint)]);
    let queue = erp.send_accepted("overdue", &batch("lote-a", CONTACTS)).await;
    worker.wait_for_exit().await;
    fleet.start_worker();
    assert_consistent_end(fleet, &erp, &queue, lost).await;
}

macro_rules! worker_dies_tests {
    ($($name:ident: $failpoint:literal, $lost:literal lost;)+) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            worker_dies_at($failpoint, $lost).await;
        }
    )+};
}

worker_dies_tests! {
    worker_dies_before_lease_is_committed: "take::before_commit:1", 0 lost;
    worker_dies_after_lease_is_committed: "take::committed:1", 0 lost;
    worker_dies_before_doorbell_is_acknowledged: "ack::before:1", 1 lost;
    worker_dies_before_claim_is_committed: "claim::before_commit:1", 0 lost;
    worker_dies_after_claim_is_committed: "claim::committed:1", 0 lost;
    worker_dies_before_mark_is_committed: "mark::before_commit:3", 0 lost;
    worker_dies_between_mark_and_post: "post::before:3", 1 lost;
    worker_dies_between_post_and_outcome: "post::after:3", 0 lost;
    worker_dies_before_outcome_is_committed: "finish::before_commit:3", 0 lost;
    // The same commit may hold the next contact's mark, whose post is then never made.
    worker_dies_after_outcome_is_committed: "finish::committed:3", 1 lost;
    worker_dies_before_release_is_committed: "release::before_commit:1", 0 lost;
    worker_dies_after_release_is_committed: "release::committed:1", 0 lost;
}

#[tokio::test(flavor = "multi_thread")]
async fn claim_whose_commit_answer_is_lost_loses_no_contact() {
    let (fleet, _, erp) = fleet_on_system_clock().await;
    let worker = start(&fleet, "worker", &[("REGUA_FAIL_AT", "claim::committed=1*return")]);
    let queue = erp.send_accepted("overdue", &batch("lote-a", CONTACTS)).await;
    // The contacts of the lost claim keep the queue unfinished until the worker releases the lane.
    let released =
        erp.wait_until(&queue, "idle", |queue| queue["processing_by"].is_null() && queue["started_at"].is_string());
    released.await;
    assert!(worker.terminate().success());
    let mut fleet = fleet;
    fleet.start_worker();
    assert_consistent_end(fleet, &erp, &queue, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn marks_and_outcomes_whose_commit_answer_is_lost_are_repeated_without_duplicates() {
    let (fleet, _, erp) = fleet_on_system_clock().await;
    // The answer of the 3rd, 6th, … commit of the attempt writer is lost.
    let worker = start(
        &fleet,
        "worker",
        &[("REGUA_FAIL_AT", "commit::unanswered=2*off->1*return->2*off->1*return->2*off->1*return->2*off->1*return")],
    );
    let queue = erp.send_accepted("overdue", &batch("lote-a", CONTACTS)).await;
    erp.wait_for_status(&queue, "completed").await;
    assert!(worker.terminate().success());
    assert_eq!(erp.status(&queue).await["sent"], CONTACTS);
    assert_consistent_end(fleet, &erp, &queue, 0).await;
}

async fn api_dies_at(failpoint: &str) {
    let (mut fleet, tenant, erp) = fleet_on_system_clock().await;
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let api = start(&fleet, "api", &[("REGUA_DIE_AT", failpoint), ("PORT", &port), ("BIND_ADDRESS", "127.0.0.1")]);
    let dying = Client::new(&format!("http://127.0.0.1:{port}"), &tenant.key);
    let body = batch("lote-a", CONTACTS);
    eventually("the API to store the batch and die", async || {
        let request = dying.request(reqwest::Method::POST, "/api/v1/billing/send/overdue").json(&body);
        request.send().await.is_err_and(|error| !error.is_connect())
    })
    .await;
    api.wait_for_exit().await;
    fleet.start_worker();
    // An ERP that gets no answer posts again.
    let again = erp.send("overdue", &body).await;
    assert!(again.status.is_success(), "{:#}", again.body);
    assert_eq!(again.body["accepted"], CONTACTS);
    let queue = again.body["queue_id"].as_str().unwrap().to_owned();
    assert_consistent_end(fleet, &erp, &queue, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn api_dies_before_batch_is_committed() {
    api_dies_at("intake::before_commit:1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn api_dies_after_batch_is_committed() {
    api_dies_at("intake::committed:1").await;
}

async fn relay_dies_at(failpoint: &str) {
    if std::env::var("AMQP_URL").is_err() {
        return; // The embedded broker needs no relay.
    }
    let options = FleetOptions {
        workers: 0,
        periodic: false,
        amqp_url: Some("amqp://127.0.0.1:1".to_owned()),
        now: regua_boot::Clock::system().now(),
        ..FleetOptions::default()
    };
    // The fleet's own API cannot publish, so the doorbell is left to the relay that dies.
    let (mut fleet, _, erp) = Fleet::with(options, TenantOptions::default()).await;
    let queue = erp.send_accepted("overdue", &batch("lote-a", CONTACTS)).await;
    start(&fleet, "periodic", &[("REGUA_DIE_AT", failpoint)]).wait_for_exit().await;
    let (_periodic, _worker) =
        (start(&fleet, "periodic", &[("RUST_LOG", "error")]), start(&fleet, "worker", &[("RUST_LOG", "error")]));
    let done = erp.wait_for_status(&queue, "completed").await;
    assert_eq!(done["sent"], CONTACTS, "{done:#}");
    eventually("the doorbell to be deleted", async || fleet.count("select count(*) from doorbells").await == 0).await;
    fleet.wait_for_free_lanes().await;
    fleet.assert_each_left_once(CONTACTS);
    fleet.start_periodic();
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn relay_dies_before_doorbell_is_published() {
    relay_dies_at("relay::before_publish:1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn relay_dies_between_publishing_and_deleting_doorbell() {
    relay_dies_at("relay::published:1").await;
}

/// Periodic dies while it looks for an unconfirmed attempt.
async fn periodic_dies_at(failpoint: &str, message_type: &str, left: bool, expected: Value) {
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
    let queue = erp.send_accepted(message_type, &batch("lote-a", 1)).await;
    erp.wait_until(&queue, "unconfirmed", |queue| queue["unconfirmed"] == 1).await;
    start(&fleet, "periodic", &[("REGUA_DIE_AT", failpoint)]).wait_for_exit().await;
    fleet.start_periodic();
    // The attempt that the dead process had read is visible again after its visibility timeout.
    fleet.manual_clock.set(fleet.clock.now() + chrono::TimeDelta::minutes(2));
    let done = erp.wait_until(&queue, "complete with the expected counts", |queue| {
        queue["status"] == "completed" && ["sent", "unconfirmed"].iter().all(|count| queue[count] == expected[count])
    });
    done.await;
    eventually("the last look to end", async || {
        fleet.count("select count(*) from attempts where next_look_at is not null").await == 0
    })
    .await;
    assert_eq!(
        fleet.sandbox.ledger().len() as u64,
        expected["sent"].as_u64().unwrap(),
        "the number of messages that left"
    );
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn periodic_dies_between_taking_attempt_and_looking() {
    periodic_dies_at("look::claimed:1", "overdue", true, json!({"sent": 1, "unconfirmed": 0})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn periodic_dies_before_evidence_is_committed() {
    periodic_dies_at("learn::before_commit:1", "overdue", true, json!({"sent": 1, "unconfirmed": 0})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn periodic_dies_after_evidence_is_committed() {
    periodic_dies_at("learn::committed:1", "overdue", true, json!({"sent": 1, "unconfirmed": 0})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn periodic_dies_before_decision_is_committed() {
    periodic_dies_at("decide::before_commit:1", "notification", false, json!({"sent": 1, "unconfirmed": 0})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn periodic_dies_after_decision_is_committed() {
    periodic_dies_at("decide::committed:1", "notification", false, json!({"sent": 1, "unconfirmed": 0})).await;
}
