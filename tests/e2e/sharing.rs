//! Workers share the lanes evenly, whoever comes and goes: as processes of their own, with two APIs and a periodic. While
//! lanes change hands every message leaves once, and no number sends faster than it may.

use std::collections::HashMap;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use regua_domain::{InstanceId, TenantId};
use regua_store::lanes::{self, Released, Taken};
use regua_tests::{Client, Fleet, FleetOptions, Process, Tenant, TenantOptions, batch, eventually};
use serde_json::json;

const BINARY: &str = env!("CARGO_BIN_EXE_regua-test-process");

/// One a second, so that no lane is done before the lanes are even.
const RATE: i32 = 60;

/// Numbers of one tenant, and the real programs around them. A process has the machine's clock; the rest must agree.
struct Stage {
    fleet: Fleet,
    erps: Vec<Client>,
    instances: Vec<String>,
    periodic: Option<Process>,
    _apis: Vec<Process>,
}

impl Stage {
    async fn with_numbers(numbers: usize) -> Self {
        let now = regua_boot::Clock::system().now();
        let options = FleetOptions { workers: 0, periodic: false, now, ..FleetOptions::default() };
        let instances: Vec<_> = (0..numbers).map(|n| format!("filial-{n}")).collect();
        let tenant = TenantOptions { rate: RATE, instances: instances.clone(), ..TenantOptions::default() };
        let (fleet, tenant, _) = Fleet::with(options, tenant).await;
        let (mut apis, mut erps) = (Vec::new(), Vec::new());
        for _ in 0..2 {
            let (program, erp) = start_api(&fleet, &tenant).await;
            apis.push(program);
            erps.push(erp);
        }
        let mut stage = Self { fleet, erps, instances, periodic: None, _apis: apis };
        stage.start_periodic();
        stage
    }

    fn start_periodic(&mut self) {
        self.periodic = Some(Process::of(&self.fleet, BINARY, "periodic", &[]));
    }

    /// So that the workers have to help themselves.
    fn kill_periodic(&mut self) {
        self.periodic.take().map(Process::kill);
    }

    fn start_worker(&self) -> Process {
        Process::of(&self.fleet, BINARY, "worker", &[])
    }

    /// One batch for each number, by the one API and the other in turn.
    async fn post(&self, contacts: usize) -> Vec<String> {
        let mut queues = Vec::new();
        for (n, instance) in self.instances.iter().enumerate() {
            let mut body = batch(&format!("lote-{}", char::from(b'0' + u8::try_from(n).unwrap())), contacts);
            body["instance"] = json!(instance);
            queues.push(self.erps[n % 2].accepted("notification", &body).await);
        }
        queues
    }

    /// How many lanes each worker holds.
    async fn held(&self) -> HashMap<String, i64> {
        #[expect(clippy::disallowed_methods, reason = "a test looks at the tables directly")]
        let rows: Vec<(String, i64)> = sqlx::query_as(
            "select leased_by, count(*) from lanes where leased_by is not null and lease_expires_at >= now() group by 1",
        )
        .fetch_all(&self.fleet.database.pool)
        .await
        .unwrap();
        rows.into_iter().collect()
    }

    /// Waits until so many workers hold lanes, and no two of them differ by more than a fifth of an even share. All lanes
    /// have to be at work, or what is even would be nothing.
    async fn until_even(&self, workers: usize, why: &str) {
        let begun = Instant::now();
        let (lanes, mut seen) = (i64::try_from(self.instances.len()).unwrap(), Vec::new());
        eventually(&format!("even lanes among {workers} after {why}"), async || {
            let mut held: Vec<_> = self.held().await.into_values().collect();
            held.sort_unstable();
            let (least, most) = (held.first().copied().unwrap_or(0), held.last().copied().unwrap_or(0));
            let is_even = (most - least) * 5 * i64::try_from(workers).unwrap() <= lanes;
            let is_so = held.len() == workers && held.iter().sum::<i64>() == lanes && is_even;
            if seen.last() != Some(&held) {
                seen.push(held);
            }
            assert!(begun.elapsed() < Duration::from_secs(45), "not even among {workers} after {why}: {seen:?}");
            is_so
        })
        .await;
        tell(&format!("even among {workers} {:?} after {why}: {:?}", begun.elapsed(), seen.last()));
    }

    async fn until_completed(&self, queues: &[String]) {
        for queue in queues {
            let erp = &self.erps[0];
            let done = erp.until(queue, "completed").await;
            assert_eq!((&done["failed"], &done["skipped"]), (&json!(0), &json!(0)), "{done:#}");
        }
        // What a killed worker had on its way is looked for, and found or sent once more.
        eventually("everything to be proven", async || {
            self.fleet.count("select count(*) from contacts where status <> 'sent'").await == 0
        })
        .await;
    }

    /// By the marks exactly; by what left with the second that a request may take on its way.
    async fn assert_pace_was_kept(&self) {
        #[expect(clippy::disallowed_methods, reason = "a test looks at the tables directly")]
        let marks: Vec<(String, i64)> =
            sqlx::query_as("select instance_id::text, (extract(epoch from started_at) * 1000)::bigint from attempts")
                .fetch_all(&self.fleet.database.pool)
                .await
                .unwrap();
        assert_pace(marks, self.instances.len(), 0);
        let left = self.fleet.sandbox.ledger().iter().map(|entry| (entry.instance.clone(), entry.left_at)).collect();
        assert_pace(left, self.instances.len(), 1);
    }

    async fn end(self, contacts: usize) {
        self.fleet.assert_each_left_once(contacts * self.instances.len());
        self.assert_pace_was_kept().await;
        self.fleet.until_lanes_are_free().await;
        self.fleet.end().await;
    }
}

async fn start_api(fleet: &Fleet, tenant: &Tenant) -> (Process, Client) {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let program = Process::of(fleet, BINARY, "api", &[("PORT", &port), ("BIND_ADDRESS", "127.0.0.1")]);
    let erp = Client::new(&format!("http://127.0.0.1:{port}"), &tenant.key);
    let http = reqwest::Client::new();
    eventually("the API to be up", async || http.get(format!("http://127.0.0.1:{port}/healthz")).send().await.is_ok())
        .await;
    (program, erp)
}

/// A number's time is cut into cells of a second, and each holds one send (`Pacing`). So between the first and the last of
/// so many sends lie as many seconds, less two for the cells that they stand in.
fn assert_pace(sends: Vec<(String, i64)>, instances: usize, slack: usize) {
    let mut times: HashMap<_, Vec<_>> = HashMap::new();
    for (instance, at) in sends {
        times.entry(instance).or_default().push(at);
    }
    assert_eq!(times.len(), instances);
    for (instance, mut times) in times {
        times.sort_unstable();
        for (n, first) in times.iter().enumerate() {
            for (many, last) in times[n..].iter().enumerate() {
                let least = i64::try_from(many.saturating_sub(1 + slack)).unwrap() * 60_000 / i64::from(RATE);
                assert!(last - first >= least, "{instance}: {} sends within {} ms", many + 1, last - first);
            }
        }
    }
}

#[expect(clippy::print_stderr, reason = "how long it took is worth knowing, and no test judges it closely")]
fn tell(text: &str) {
    eprintln!("sharing: {text}");
}

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
    assert_eq!(lanes::offers(&mut conn, Duration::ZERO).await.unwrap(), (false, false));
    // Somebody rang; whoever takes it will look.
    assert!(matches!(lanes::take(&mut conn, tenant, instance, "second", LEASE).await.unwrap(), Taken::Held));
    assert_eq!(lanes::offer(&mut conn, tenant, instance, first.epoch).await.unwrap(), Released::Free);
    assert_eq!(lanes::offer(&mut conn, tenant, instance, first.epoch).await.unwrap(), Released::Lost);
    assert_eq!(lanes::offers(&mut conn, LEASE).await.unwrap(), (true, false));

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
    assert_eq!(lanes::offers(&mut conn, Duration::ZERO).await.unwrap(), (false, false));
    drop(conn);
    fleet.end_unfinished().await;
}
