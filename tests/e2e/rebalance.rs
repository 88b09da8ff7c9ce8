//! Workers balance the lanes evenly as workers join and leave. All programs run as processes: the workers, two APIs and
//! a periodic. While lanes move, every message leaves once and no instance exceeds its rate.

mod fixture;

use std::time::Duration;

use regua_domain::LaneKey;
use regua_store::lanes::{self, LeaseResult, Released};
use regua_tests::{Fleet, FleetOptions, Process, TenantOptions, batch, eventually};
use sqlx::Executor;

use self::fixture::{BINARY, Fixture};

#[tokio::test(flavor = "multi_thread")]
async fn lanes_are_even_after_workers_join_and_leave() {
    const CONTACTS: usize = 45;
    let fixture = Fixture::with_instances(60).await;
    let first = fixture.start_worker();
    let queues = fixture.post(CONTACTS).await;
    fixture.until_even(1, "the first took all lanes").await;
    let others = [fixture.start_worker(), fixture.start_worker()];
    fixture.until_even(3, "two workers joined").await;
    let fourth = fixture.start_worker();
    fixture.until_even(4, "a fourth worker joined").await;
    let [second, third] = others;
    assert!(second.terminate().success(), "SIGTERM ends a worker with 0");
    fixture.until_even(3, "one worker left").await;
    third.kill();
    fixture.until_even(2, "one worker was killed").await;
    fixture.until_completed(&queues).await;
    assert_eq!(fixture.fleet.count("select count(*) from workers").await, 2, "the rows of ended workers are deleted");
    assert!(first.terminate().success() && fourth.terminate().success());
    assert_eq!(fixture.fleet.count("select count(*) from workers").await, 0);
    fixture.end(CONTACTS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lanes_are_even_after_a_burst_of_doorbells() {
    const CONTACTS: usize = 15;
    let fixture = Fixture::with_instances(60).await;
    let workers = [fixture.start_worker(), fixture.start_worker(), fixture.start_worker()];
    eventually("three workers", async || fixture.fleet.count("select count(*) from workers").await == 3).await;
    let queues = fixture.post(CONTACTS).await;
    fixture.until_even(3, "all batches were posted").await;
    fixture.until_completed(&queues).await;
    fixture.fleet.wait_for_free_lanes().await;
    drop(workers);
    fixture.end(CONTACTS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn thawed_worker_gets_an_even_part_of_lanes_again() {
    const CONTACTS: usize = 35;
    let mut fixture = Fixture::with_instances(24).await;
    let workers = [fixture.start_worker(), fixture.start_worker(), fixture.start_worker()];
    let queues = fixture.post(CONTACTS).await;
    fixture.until_even(3, "the start").await;
    fixture.kill_periodic();
    workers[0].freeze();
    fixture.until_even(2, "one worker was frozen").await;
    workers[0].thaw();
    fixture.until_even(3, "the worker was thawed").await;
    fixture.start_periodic();
    fixture.until_completed(&queues).await;
    fixture.fleet.wait_for_free_lanes().await;
    drop(workers);
    fixture.end(CONTACTS).await;
}

/// A registered worker that takes no lane counts in the balance: it is frozen, or cannot reach its lanes.
#[tokio::test(flavor = "multi_thread")]
async fn offered_lanes_that_no_worker_takes_are_worked_again() {
    const CONTACTS: usize = 15;
    let mut fixture = Fixture::with_instances(10).await;
    fixture.kill_periodic();
    let ghost =
        "insert into workers (name, expires_at) values ('ghost', now() + interval '1 hour') returning 1::bigint";
    fixture.fleet.count(ghost).await;
    let worker = fixture.start_worker();
    let queues = fixture.post(CONTACTS).await;
    let offered = "select count(*) from lanes where offered_at is not null";
    eventually("half of the lanes to be offered", async || fixture.fleet.count(offered).await >= 5).await;
    fixture.until_even(1, "half of the lanes were offered and not taken").await;
    fixture.start_periodic();
    fixture.until_completed(&queues).await;
    assert!(worker.terminate().success());
    fixture.end(CONTACTS).await;
}

/// One of two workers dies while lanes move from the first to the second. Then the other one holds all lanes.
async fn worker_dies_at(failpoint: &str, is_giver: bool) {
    const CONTACTS: usize = 15;
    let fixture = Fixture::with_instances(10).await;
    let start = |dies: bool| {
        let variables = [("REGUA_DIE_AT", failpoint)];
        Process::for_fleet(&fixture.fleet, BINARY, "worker", if dies { &variables } else { &[] })
    };
    let giver = start(is_giver);
    let queues = fixture.post(CONTACTS).await;
    fixture.until_even(1, "the first took all lanes").await;
    let taker = start(!is_giver);
    let (dying, other) = if is_giver { (giver, taker) } else { (taker, giver) };
    dying.wait_for_exit().await;
    fixture.until_even(1, failpoint).await;
    fixture.until_completed(&queues).await;
    assert!(other.terminate().success());
    fixture.end(CONTACTS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn worker_dies_before_take_of_offered_lanes_is_committed() {
    worker_dies_at("take_offered::before_commit:1", false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn worker_dies_after_take_of_offered_lanes_is_committed() {
    worker_dies_at("take_offered::committed:1", false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn worker_dies_while_it_releases_lanes() {
    worker_dies_at("release::committed:3", true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn offered_lane_is_free_and_waits_for_a_worker() {
    const LEASE: Duration = Duration::from_secs(60);
    let options = FleetOptions { workers: 0, periodic: false, ..FleetOptions::default() };
    let (fleet, tenant, erp) = Fleet::with(options, TenantOptions::default()).await;
    erp.send_accepted("overdue", &batch("lote-a", 1)).await;
    let lane = LaneKey { tenant: tenant.id, instance: tenant.instances[0] };
    let mut conn = fleet.database.pool.acquire().await.unwrap();
    let LeaseResult::Leased(first) = lanes::lease(&mut conn, lane, "first", LEASE).await.unwrap() else {
        panic!("a free lane cannot be taken")
    };
    assert_eq!(lanes::offer(&mut conn, lane, first.epoch - 1).await.unwrap(), Released::Lost);
    assert_eq!(lanes::count_offered(&mut conn, Duration::ZERO).await.unwrap(), (0, false));
    // A doorbell rings for the held lane; the next holder must look for work.
    assert!(matches!(lanes::lease(&mut conn, lane, "second", LEASE).await.unwrap(), LeaseResult::Held));
    assert_eq!(lanes::offer(&mut conn, lane, first.epoch).await.unwrap(), Released::Free);
    assert_eq!(lanes::offer(&mut conn, lane, first.epoch).await.unwrap(), Released::Lost);
    assert_eq!(lanes::count_offered(&mut conn, LEASE).await.unwrap(), (1, false));

    // Periodic leaves an offered lane to the workers for some seconds, and a worker with enough lanes leaves it to the
    // others.
    let unattended = lanes::find_unattended_to_ring(&mut conn, fleet.clock.now(), LEASE, 10).await.unwrap();
    assert!(unattended.is_empty(), "{unattended:?}");
    let long_ago =
        "update lanes set offered_at = now() - interval '7 seconds' where offered_at is not null returning 1::bigint";
    assert_eq!(fleet.count(long_ago).await, 1);
    assert_eq!(
        lanes::find_unattended_to_ring(&mut conn, fleet.clock.now(), LEASE, 10).await.unwrap().len(),
        1,
        "then periodic rings for the lane"
    );
    assert!(lanes::take_offered(&mut conn, "second", LEASE, LEASE, 10).await.unwrap().is_empty());
    assert!(lanes::take_offered(&mut conn, "second", LEASE, Duration::ZERO, 0).await.unwrap().is_empty());
    let acquired = lanes::take_offered(&mut conn, "second", LEASE, Duration::ZERO, 10).await.unwrap();
    let [(_, second)] = &acquired[..] else { panic!("{acquired:?}") };
    assert!(second.epoch > first.epoch && second.bell > first.bell && !second.was_abandoned, "{second:?}");
    assert!(lanes::take_offered(&mut conn, "third", LEASE, Duration::ZERO, 10).await.unwrap().is_empty());

    // A doorbell's worker takes an offered lane, too; then the lane is no longer offered.
    lanes::offer(&mut conn, lane, second.epoch).await.unwrap();
    assert!(matches!(lanes::lease(&mut conn, lane, "third", LEASE).await.unwrap(), LeaseResult::Leased(_)));
    assert_eq!(lanes::count_offered(&mut conn, Duration::ZERO).await.unwrap(), (0, false));
    drop(conn);
    fleet.end_unfinished().await;
}

/// A lease starts with its transaction. A transaction that waits for the row longer than the lease gets an expired
/// lease.
#[tokio::test(flavor = "multi_thread")]
async fn lease_that_expired_before_its_commit_is_taken_again() {
    let options =
        FleetOptions { workers: 1, periodic: false, lease: Duration::from_secs(2), ..FleetOptions::default() };
    let (fleet, tenant, erp) = Fleet::with(options, TenantOptions::default()).await;
    let mut frozen = fleet.database.pool.begin().await.unwrap();
    // Otherwise PostgreSQL ends the frozen session after five seconds, which on a slow machine is too early.
    frozen.execute("set local idle_in_transaction_session_timeout = 0").await.unwrap();
    let (lane, lease) = (LaneKey { tenant: tenant.id, instance: tenant.instances[0] }, Duration::from_secs(60));
    let acquired = lanes::lease(&mut frozen, lane, "frozen", lease).await.unwrap();
    assert!(matches!(acquired, LeaseResult::Leased(_)));
    let queue = erp.send_accepted("overdue", &batch("lote-a", 3)).await;
    let waiting = "select count(*) from pg_stat_activity where datname = current_database()
                     and wait_event_type = 'Lock' and xact_start < now() - interval '2500 milliseconds'";
    eventually("the worker to have waited for a lease", async || fleet.count(waiting).await > 0).await;
    drop(frozen);
    erp.wait_for_status(&queue, "completed").await;
    fleet.assert_each_left_once(3);
    fleet.end().await;
}
