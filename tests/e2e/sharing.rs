//! Workers share the lanes evenly, whoever comes and goes: as processes of their own, with two APIs and a periodic. While
//! lanes change hands every message leaves once, and no number sends faster than it may.

mod stage;

use std::time::Duration;

use regua_domain::{InstanceId, TenantId};
use regua_store::lanes::{self, Released, Taken};
use regua_tests::{Fleet, FleetOptions, Process, TenantOptions, batch, eventually};

use self::stage::{BINARY, Stage};

#[tokio::test(flavor = "multi_thread")]
async fn lanes_are_even_whoever_comes_and_goes() {
    const CONTACTS: usize = 45;
    let stage = Stage::with_numbers(60).await;
    let first = stage.start_worker();
    let queues = stage.post(CONTACTS).await;
    stage.until_even(1, "the first had to take all").await;
    let others = [stage.start_worker(), stage.start_worker()];
    stage.until_even(3, "two joined").await;
    let fourth = stage.start_worker();
    stage.until_even(4, "a fourth joined").await;
    let [second, third] = others;
    assert!(second.terminate().success(), "SIGTERM ends a worker with 0");
    stage.until_even(3, "one left").await;
    third.kill();
    stage.until_even(2, "one was killed").await;
    stage.until_completed(&queues).await;
    assert_eq!(stage.fleet.count("select count(*) from workers").await, 2, "those that are gone are forgotten");
    assert!(first.terminate().success() && fourth.terminate().success());
    assert_eq!(stage.fleet.count("select count(*) from workers").await, 0);
    stage.end(CONTACTS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lanes_are_even_after_a_burst_of_doorbells() {
    const CONTACTS: usize = 15;
    let stage = Stage::with_numbers(60).await;
    let workers = [stage.start_worker(), stage.start_worker(), stage.start_worker()];
    eventually("three workers", async || stage.fleet.count("select count(*) from workers").await == 3).await;
    let queues = stage.post(CONTACTS).await;
    stage.until_even(3, "all batches were posted").await;
    stage.until_completed(&queues).await;
    stage.fleet.until_lanes_are_free().await;
    drop(workers);
    stage.end(CONTACTS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_stood_still_gets_its_share_again() {
    const CONTACTS: usize = 35;
    let mut stage = Stage::with_numbers(24).await;
    let workers = [stage.start_worker(), stage.start_worker(), stage.start_worker()];
    let queues = stage.post(CONTACTS).await;
    stage.until_even(3, "the start").await;
    stage.kill_periodic();
    workers[0].freeze();
    stage.until_even(2, "one stands still").await;
    workers[0].thaw();
    stage.until_even(3, "it woke").await;
    stage.start_periodic();
    stage.until_completed(&queues).await;
    stage.fleet.until_lanes_are_free().await;
    drop(workers);
    stage.end(CONTACTS).await;
}

/// Somebody counts who never takes anything: a worker that stands still, or has no way to its lanes.
#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_takes_comes_back() {
    const CONTACTS: usize = 15;
    let mut stage = Stage::with_numbers(10).await;
    stage.kill_periodic();
    let ghost =
        "insert into workers (name, expires_at) values ('ghost', now() + interval '1 hour') returning 1::bigint";
    stage.fleet.count(ghost).await;
    let worker = stage.start_worker();
    let queues = stage.post(CONTACTS).await;
    let offered = "select count(*) from lanes where offered_at is not null";
    eventually("half of the lanes to be offered", async || stage.fleet.count(offered).await >= 5).await;
    stage.until_even(1, "half was offered to nobody").await;
    stage.start_periodic();
    stage.until_completed(&queues).await;
    assert!(worker.terminate().success());
    stage.end(CONTACTS).await;
}

/// Of two workers, one dies while lanes go from the first to the second; the other has them all then.
async fn a_worker_dies_at(place: &str, is_giver: bool) {
    const CONTACTS: usize = 15;
    let stage = Stage::with_numbers(10).await;
    let start = |is_doomed: bool| {
        let doom = [("REGUA_DIE_AT", place)];
        Process::of(&stage.fleet, BINARY, "worker", if is_doomed { &doom } else { &[] })
    };
    let giver = start(is_giver);
    let queues = stage.post(CONTACTS).await;
    stage.until_even(1, "the first had to take all").await;
    let taker = start(!is_giver);
    let (doomed, other) = if is_giver { (giver, taker) } else { (taker, giver) };
    doomed.died().await;
    stage.until_even(1, place).await;
    stage.until_completed(&queues).await;
    assert!(other.terminate().success());
    stage.end(CONTACTS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_dies_before_what_it_takes_is_its_own() {
    a_worker_dies_at("take_offered::before_commit:1", false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_dies_when_what_it_takes_is_its_own() {
    a_worker_dies_at("take_offered::committed:1", false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_dies_while_it_lets_lanes_go() {
    a_worker_dies_at("release::committed:3", true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offered_lane_is_free_and_waits_for_a_taker() {
    const LEASE: Duration = Duration::from_secs(60);
    let options = FleetOptions { workers: 0, periodic: false, ..FleetOptions::default() };
    let (fleet, tenant, erp) = Fleet::with(options, TenantOptions::default()).await;
    erp.accepted("overdue", &batch("lote-a", 1)).await;
    let (tenant, instance): (TenantId, InstanceId) = (tenant.id, tenant.instances[0]);
    let mut conn = fleet.database.pool.acquire().await.unwrap();
    let Taken::Ours(first) = lanes::take(&mut conn, tenant, instance, "first", LEASE).await.unwrap() else {
        panic!("a free lane cannot be taken")
    };
    assert_eq!(lanes::offer(&mut conn, tenant, instance, first.epoch - 1).await.unwrap(), Released::Lost);
    assert_eq!(lanes::offers(&mut conn, Duration::ZERO).await.unwrap(), (0, false));
    // Somebody rang; whoever takes it will look.
    assert!(matches!(lanes::take(&mut conn, tenant, instance, "second", LEASE).await.unwrap(), Taken::Held));
    assert_eq!(lanes::offer(&mut conn, tenant, instance, first.epoch).await.unwrap(), Released::Free);
    assert_eq!(lanes::offer(&mut conn, tenant, instance, first.epoch).await.unwrap(), Released::Lost);
    assert_eq!(lanes::offers(&mut conn, LEASE).await.unwrap(), (1, false));

    // Periodic leaves it to the workers for a moment, and those that have enough leave it to the others.
    let unattended = lanes::unattended(&mut conn, fleet.clock.now(), LEASE, 10).await.unwrap();
    assert!(unattended.is_empty(), "{unattended:?}");
    let long_ago =
        "update lanes set offered_at = now() - interval '7 seconds' where offered_at is not null returning 1::bigint";
    assert_eq!(fleet.count(long_ago).await, 1);
    assert_eq!(lanes::unattended(&mut conn, fleet.clock.now(), LEASE, 10).await.unwrap().len(), 1, "the last net");
    assert!(lanes::take_offered(&mut conn, "second", LEASE, LEASE, 10).await.unwrap().is_empty());
    assert!(lanes::take_offered(&mut conn, "second", LEASE, Duration::ZERO, 0).await.unwrap().is_empty());
    let taken = lanes::take_offered(&mut conn, "second", LEASE, Duration::ZERO, 10).await.unwrap();
    let [(_, _, second)] = &taken[..] else { panic!("{taken:?}") };
    assert!(second.epoch > first.epoch && second.bell > first.bell && !second.was_abandoned, "{second:?}");
    assert!(lanes::take_offered(&mut conn, "third", LEASE, Duration::ZERO, 10).await.unwrap().is_empty());

    // By a doorbell, too; then it is no offer any more.
    lanes::offer(&mut conn, tenant, instance, second.epoch).await.unwrap();
    assert!(matches!(lanes::take(&mut conn, tenant, instance, "third", LEASE).await.unwrap(), Taken::Ours(_)));
    assert_eq!(lanes::offers(&mut conn, Duration::ZERO).await.unwrap(), (0, false));
    drop(conn);
    fleet.end_unfinished().await;
}

/// A lease begins when its transaction does. Where that waited for the row for longer than a lease, it is over already.
#[tokio::test(flavor = "multi_thread")]
async fn a_lane_that_was_taken_too_late_is_not_left_alone() {
    let options =
        FleetOptions { workers: 1, periodic: false, lease: Duration::from_secs(2), ..FleetOptions::default() };
    let (fleet, tenant, erp) = Fleet::with(options, TenantOptions::default()).await;
    let mut frozen = fleet.database.pool.begin().await.unwrap();
    let lease = Duration::from_secs(60);
    let taken = lanes::take(&mut frozen, tenant.id, tenant.instances[0], "frozen", lease).await.unwrap();
    assert!(matches!(taken, Taken::Ours(_)));
    let queue = erp.accepted("overdue", &batch("lote-a", 3)).await;
    let waiting = "select count(*) from pg_stat_activity where datname = current_database()
                     and wait_event_type = 'Lock' and xact_start < now() - interval '2500 milliseconds'";
    eventually("the worker to have waited for a lease", async || fleet.count(waiting).await > 0).await;
    drop(frozen);
    erp.until(&queue, "completed").await;
    fleet.assert_each_left_once(3);
    fleet.end().await;
}
