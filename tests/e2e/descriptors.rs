//! The worker's budget of sends under way, and a worker whose machine gives it no socket.

use regua_sandbox::{Effect, Fault};
use regua_tests::{Client, Fleet, FleetOptions, Process, TenantOptions, batch, eventually};
use serde_json::json;
use sqlx::Executor;

const BINARY: &str = env!("CARGO_BIN_EXE_regua-test-process");

async fn fleet_without_workers(tenant: TenantOptions, concurrency: u16) -> (Fleet, Client) {
    let now = regua_boot::Clock::system().now();
    let (fleet, _, erp) = Fleet::with(FleetOptions { workers: 0, now, ..FleetOptions::default() }, tenant).await;
    let statement = format!("update instances set lane_concurrency = {concurrency}");
    fleet.database.pool.execute(sqlx::AssertSqlSafe(statement)).await.unwrap();
    (fleet, erp)
}

#[tokio::test(flavor = "multi_thread")]
async fn sends_that_hang_do_not_stop_the_number_of_another_tenant() {
    let (fleet, greedy) = fleet_without_workers(TenantOptions::default(), 256).await;
    let victim = TenantOptions { slug: "vizinha", instances: vec!["filial".to_owned()], ..TenantOptions::default() };
    let victim = Client::new(&fleet.api, &fleet.create_tenant(&victim).await.key);
    let hang = Fault { instance: Some("matriz".to_owned()), ..Fault::every_send(Effect::Hang) };
    fleet.sandbox.set_faults(vec![hang]).unwrap();
    // Of 200 descriptors the budget is (200 - 64 - 16) / 2, and a quarter of it is one tenant's.
    let worker = Process::with_descriptors(&fleet, BINARY, "worker", 200);
    let hanging = greedy.send_accepted("overdue", &batch("lote-a", 250)).await;
    greedy.wait_until(&hanging, "under way", |queue| queue["sending"].as_i64() >= Some(15)).await;

    let sent = victim.send_accepted("overdue", &batch("lote-b", 20)).await;
    let done = victim.wait_for_status(&sent, "completed").await;
    assert_eq!((&done["sent"], &done["failed"]), (&json!(20), &json!(0)), "{done:#}");
    let status = greedy.status(&hanging).await;
    assert_eq!((&status["sending"], &status["status"]), (&json!(15), &json!("running")), "{status:#}");
    worker.kill();
    fleet.end_unfinished().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn worker_without_sockets_takes_no_number_down_and_counts_no_attempt() {
    let tenant = TenantOptions { max_attempts: 1, ..TenantOptions::default() };
    let (fleet, erp) = fleet_without_workers(tenant, 16).await;
    let slow = Fault { latency_ms: 300, ..Fault::every_send(Effect::None) };
    fleet.sandbox.set_faults(vec![slow]).unwrap();
    let worker = Process::for_fleet(&fleet, BINARY, "worker", &[]);
    let first = erp.send_accepted("overdue", &batch("lote-a", 1)).await;
    erp.wait_for_status(&first, "completed").await;

    worker.limit_descriptors(worker.open_descriptors() + 4);
    let queue = erp.send_accepted("overdue", &batch("lote-b", 40)).await;
    let without_socket = "select count(*) from attempts where outcome = 'not_sent' and reason = 'no_socket'";
    eventually("sends without a socket", async || fleet.count(without_socket).await > 0).await;
    let status = erp.status(&queue).await;
    assert!(["running", "completed"].contains(&status["status"].as_str().unwrap()), "{status:#}");
    worker.limit_descriptors(1024);
    let done = erp.wait_for_status(&queue, "completed").await;
    assert_eq!((&done["sent"], &done["failed"]), (&json!(40), &json!(0)), "{done:#}");
    fleet.assert_each_left_once(41);
    fleet.wait_for_free_lanes().await;
    drop(worker);
    fleet.end().await;
}
