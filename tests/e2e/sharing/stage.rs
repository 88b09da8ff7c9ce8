//! Many numbers of one tenant, two APIs, a periodic and the workers as processes, and what must hold among them.

use std::collections::HashMap;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use regua_tests::{Client, Fleet, FleetOptions, Process, Tenant, TenantOptions, batch, eventually};
use serde_json::json;

pub(super) const BINARY: &str = env!("CARGO_BIN_EXE_regua-test-process");

/// One a second, so that no lane is done before the lanes are even.
const RATE: i32 = 60;

/// Numbers of one tenant, and the real programs around them. A process has the machine's clock; the rest must agree.
pub(super) struct Stage {
    pub(super) fleet: Fleet,
    erps: Vec<Client>,
    instances: Vec<String>,
    periodic: Option<Process>,
    _apis: Vec<Process>,
}

impl Stage {
    pub(super) async fn with_numbers(numbers: usize) -> Self {
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

    pub(super) fn start_periodic(&mut self) {
        self.periodic = Some(Process::of(&self.fleet, BINARY, "periodic", &[]));
    }

    /// So that the workers have to help themselves.
    pub(super) fn kill_periodic(&mut self) {
        if let Some(periodic) = self.periodic.take() {
            periodic.kill();
        }
    }

    pub(super) fn start_worker(&self) -> Process {
        Process::of(&self.fleet, BINARY, "worker", &[])
    }

    /// One batch for each number, by the one API and the other in turn.
    pub(super) async fn post(&self, contacts: usize) -> Vec<String> {
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
    pub(super) async fn until_even(&self, workers: usize, why: &str) {
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

    pub(super) async fn until_completed(&self, queues: &[String]) {
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

    pub(super) async fn end(self, contacts: usize) {
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
