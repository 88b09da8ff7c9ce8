//! One tenant with many instances, two APIs, a periodic and workers as processes, and checks of balance and pace.

use std::collections::HashMap;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use regua_tests::{Client, Fleet, FleetOptions, Process, Tenant, TenantOptions, batch, eventually};
use serde_json::json;

pub(super) const BINARY: &str = env!("CARGO_BIN_EXE_regua-test-process");

/// Messages a minute: one a second, so that no lane completes before the lanes are even.
const RATE: i32 = 60;

/// One tenant with many instances, and the processes. The fleet runs on the system clock, which the processes use.
pub(super) struct Fixture {
    pub(super) fleet: Fleet,
    erps: Vec<Client>,
    instances: Vec<String>,
    periodic: Option<Process>,
    _apis: Vec<Process>,
}

impl Fixture {
    pub(super) async fn with_instances(count: usize) -> Self {
        let now = regua_boot::Clock::system().now();
        let options = FleetOptions { workers: 0, periodic: false, now, ..FleetOptions::default() };
        let instances: Vec<_> = (0..count).map(|n| format!("filial-{n}")).collect();
        let tenant = TenantOptions { rate: RATE, instances: instances.clone(), ..TenantOptions::default() };
        let (fleet, tenant, _) = Fleet::with(options, tenant).await;
        let (mut apis, mut erps) = (Vec::new(), Vec::new());
        for _ in 0..2 {
            let (program, erp) = start_api(&fleet, &tenant).await;
            apis.push(program);
            erps.push(erp);
        }
        let mut fixture = Self { fleet, erps, instances, periodic: None, _apis: apis };
        fixture.start_periodic();
        fixture
    }

    pub(super) fn start_periodic(&mut self) {
        self.periodic = Some(Process::for_fleet(&self.fleet, BINARY, "periodic", &[]));
    }

    /// Without periodic the workers alone must balance the lanes.
    pub(super) fn kill_periodic(&mut self) {
        if let Some(periodic) = self.periodic.take() {
            periodic.kill();
        }
    }

    pub(super) fn start_worker(&self) -> Process {
        Process::for_fleet(&self.fleet, BINARY, "worker", &[])
    }

    /// Posts one batch for each instance, alternately to the two APIs. Returns the queues.
    pub(super) async fn post(&self, contacts: usize) -> Vec<String> {
        let mut queues = Vec::new();
        for (n, instance) in self.instances.iter().enumerate() {
            let mut body = batch(&format!("lote-{}", char::from(b'0' + u8::try_from(n).unwrap())), contacts);
            body["instance"] = json!(instance);
            queues.push(self.erps[n % 2].send_accepted("notification", &body).await);
        }
        queues
    }

    /// The number of lanes that each worker holds.
    async fn held_lanes(&self) -> HashMap<String, i64> {
        #[expect(clippy::disallowed_methods, reason = "a test reads the tables directly")]
        let rows: Vec<(String, i64)> = sqlx::query_as(
            "select leased_by, count(*) from lanes where leased_by is not null and lease_expires_at >= now() group by 1",
        )
        .fetch_all(&self.fleet.database.pool)
        .await
        .unwrap();
        rows.into_iter().collect()
    }

    /// Waits until this many workers hold all lanes, and no two workers differ by more than a fifth of an even part.
    pub(super) async fn until_even(&self, workers: usize, event: &str) {
        let begun = Instant::now();
        let (lanes, mut seen) = (i64::try_from(self.instances.len()).unwrap(), Vec::new());
        eventually(&format!("even lanes among {workers} workers after: {event}"), async || {
            let mut held: Vec<_> = self.held_lanes().await.into_values().collect();
            held.sort_unstable();
            let (least, most) = (held.first().copied().unwrap_or(0), held.last().copied().unwrap_or(0));
            let is_even = (most - least) * 5 * i64::try_from(workers).unwrap() <= lanes;
            let all_are_held = held.len() == workers && held.iter().sum::<i64>() == lanes;
            if seen.last() != Some(&held) {
                seen.push(held);
            }
            assert!(
                begun.elapsed() < Duration::from_secs(45),
                "lanes are not even among {workers} workers after: {event}: {seen:?}"
            );
            all_are_held && is_even
        })
        .await;
        report(&format!("even among {workers} in {:?} after: {event}: {:?}", begun.elapsed(), seen.last()));
    }

    pub(super) async fn until_completed(&self, queues: &[String]) {
        for queue in queues {
            let erp = &self.erps[0];
            let done = erp.wait_for_status(queue, "completed").await;
            assert_eq!((&done["failed"], &done["skipped"]), (&json!(0), &json!(0)), "{done:#}");
        }
        // Attempts of killed workers are looked for, and their messages are found or resent.
        eventually("all contacts to be sent", async || {
            self.fleet.count("select count(*) from contacts where status <> 'sent'").await == 0
        })
        .await;
    }

    /// Checks the marks exactly, and the messages that left with a tolerance of one second for the request.
    async fn assert_rate_limits(&self) {
        #[expect(clippy::disallowed_methods, reason = "a test reads the tables directly")]
        let marks: Vec<(String, i64)> =
            sqlx::query_as("select instance_id::text, (extract(epoch from started_at) * 1000)::bigint from attempts")
                .fetch_all(&self.fleet.database.pool)
                .await
                .unwrap();
        assert_pace(marks, self.instances.len(), 0);
        let left = self.fleet.sandbox.ledger().iter().map(|entry| (entry.instance.clone(), entry.left_at)).collect();
        assert_pace(left, self.instances.len(), 1);
    }

    pub(super) async fn end(self, contacts: usize) {
        self.fleet.assert_each_left_once(contacts * self.instances.len());
        self.assert_rate_limits().await;
        self.fleet.wait_for_free_lanes().await;
        self.fleet.end().await;
    }
}

async fn start_api(fleet: &Fleet, tenant: &Tenant) -> (Process, Client) {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let program = Process::for_fleet(fleet, BINARY, "api", &[("PORT", &port), ("BIND_ADDRESS", "127.0.0.1")]);
    let erp = Client::new(&format!("http://127.0.0.1:{port}"), &tenant.key);
    let http = reqwest::Client::new();
    eventually("the API to be up", async || http.get(format!("http://127.0.0.1:{port}/healthz")).send().await.is_ok())
        .await;
    (program, erp)
}

/// The time of an instance is divided into slots of one second, one send each (`Pacing`). So n sends span at least n -
/// 2 seconds, because the first and the last may be anywhere in their slots.
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

#[expect(clippy::print_stderr, reason = "the duration is of interest, and no test asserts it closely")]
fn report(text: &str) {
    eprintln!("rebalance: {text}");
}
