//! pgbouncer in transaction mode between all programs and PostgreSQL.

use std::time::Duration;

use regua_store::PoolMode;
use regua_tests::{Fleet, FleetOptions, PgBouncer, Postgres, Process, TenantOptions, batch, eventually};
use serde_json::json;

const BINARY: &str = env!("CARGO_BIN_EXE_regua-test-process");

/// Fewer server connections than the programs have client connections. A prepared statement outside of a transaction
/// would fail, because its execution may go to another server connection.
const SERVERS: u16 = 8;

#[tokio::test(flavor = "multi_thread")]
async fn campaign_completes_through_pgbouncer_despite_pause_and_killed_worker() {
    if std::env::var("AMQP_URL").is_err() {
        println!("AMQP_URL is not set: skipped, because the embedded broker needs a session of its own");
        return;
    }
    let Some(postgres) = Postgres::try_start().await else { return };
    let pgbouncer = PgBouncer::in_front_of(&postgres, SERVERS).await;
    let options = FleetOptions {
        workers: 0,
        lease: Duration::from_secs(2),
        looks: "1,2".parse().unwrap(),
        // The started process uses the system clock.
        now: regua_boot::Clock::system().now(),
        database: Some(postgres.url()),
        proxied_database: Some(pgbouncer.url()),
        pool_mode: PoolMode::Transaction,
        ..FleetOptions::default()
    };
    let (mut fleet, _, erp) = Fleet::with(options, TenantOptions { rate: 3000, ..TenantOptions::default() }).await;
    let through = [("DATABASE_URL", &*pgbouncer.url()), ("DATABASE_POOL_MODE", "transaction")];
    let worker = Process::for_fleet(&fleet, BINARY, "worker", &through);
    let queue = erp.send_accepted("notification", &batch("lote-a", 300)).await;
    erp.wait_until(&queue, "under way", |queue| queue["sent"].as_i64() > Some(50)).await;

    assert_eq!(erp.control(&queue, "pause").await.body["status"], "paused");
    erp.wait_until(&queue, "no longer sending", |queue| queue["sending"] == 0).await;
    assert_eq!(erp.control(&queue, "resume").await.body["status"], "pending");
    erp.wait_until(&queue, "under way again", |queue| queue["sent"].as_i64() > Some(100)).await;
    worker.kill();
    assert!(erp.status(&queue).await["pending"].as_i64() > Some(0), "the worker was killed in mid-campaign");

    fleet.start_worker();
    fleet.start_worker();
    let servers = "select count(*) from pg_stat_activity where application_name in ('regua-fleet', 'regua-worker')";
    assert!(fleet.count(servers).await <= i64::from(SERVERS), "all programs use the pooler's connections");
    erp.wait_for_status(&queue, "completed").await;
    // The attempt under way in the killed worker is looked for, and resent if its message did not leave.
    eventually("all contacts to be sent", async || {
        fleet.manual_clock.set(fleet.clock.now() + Duration::from_secs(1));
        erp.status(&queue).await["sent"] == json!(300)
    })
    .await;
    fleet.assert_each_left_once(300);
    fleet.end().await;
}
