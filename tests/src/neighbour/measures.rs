//! What is measured: the victim's requests, messages and receipts, and memory and descriptors of the programs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, Utc};
use regua_boot::Clock;
use regua_domain::TenantId;
use sqlx::PgPool;
use tokio::time::{Instant, sleep};
use tokio_util::task::AbortOnDropHandle;

use super::testbed::{DELIVERED_AFTER_MS, Testbed};
use super::victim::{Answer, Sample};

/// Between two measurements of the programs and of the oldest receipt.
const INTERVAL: Duration = Duration::from_millis(250);

/// One program at one time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// Resident bytes.
    pub memory: u64,
    /// Open file descriptors.
    pub descriptors: u64,
}

/// Half of the requests were answered within `p50`, 99 of 100 within `p99`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Latency {
    /// The median.
    pub p50: Duration,
    /// The 99th percentile.
    pub p99: Duration,
}

/// A span of time.
#[derive(Clone, Debug)]
pub struct Measures {
    /// Posts of one contact.
    pub posts: Latency,
    /// Status requests and requests of the console.
    pub reads: Latency,
    /// Requests that failed, by status; `timeout` and `reset` have none.
    pub failures: BTreeMap<String, usize>,
    /// Messages that left, a minute.
    pub sent: f64,
    /// The longest time that a receipt waited to be read.
    pub receipt: Duration,
    /// The most that each program used: API, worker, periodic. None: it has ended.
    pub usage: [Option<Usage>; 3],
}

/// The beginning of a span.
pub(super) struct Mark {
    begun: Instant,
    at: DateTime<Utc>,
}

pub(super) struct Span {
    begun: Instant,
    ended: Instant,
    sent: f64,
}

impl Mark {
    pub(super) fn now() -> Self {
        Self { begun: Instant::now(), at: Clock::system().now() }
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    pub(super) async fn end(self, testbed: &Testbed) -> Span {
        let ended = Instant::now();
        let (tenant, to) = (testbed.victim.id, Clock::system().now());
        let sent = format!(
            "select count(*) from contacts where tenant_id = '{tenant}' and sent_at >= '{}' and sent_at < '{to}'",
            self.at
        );
        let sent = testbed.count(&sent).await.unwrap_or_default() as f64;
        Span { begun: self.begun, ended, sent: sent * 60.0 / (ended - self.begun).as_secs_f64() }
    }
}

struct Tick {
    at: Instant,
    receipt: Duration,
    usage: [Option<Usage>; 3],
}

/// Measures the programs and the oldest receipt until it is dropped.
pub(super) struct Monitor {
    ticks: Arc<Mutex<Vec<Tick>>>,
    _running: AbortOnDropHandle<()>,
}

impl Monitor {
    pub(super) fn start(testbed: &Testbed) -> Self {
        let ticks: Arc<Mutex<Vec<Tick>>> = Arc::default();
        let programs = testbed.programs.each_ref().map(|program| program.id());
        let (pool, tenant, measured) = (testbed.database.pool.clone(), testbed.victim.id, Arc::clone(&ticks));
        let running = tokio::spawn(async move {
            loop {
                let receipt = oldest_receipt(&pool, tenant).await;
                let tick = Tick { at: Instant::now(), receipt, usage: programs.map(usage) };
                measured.lock().unwrap().push(tick);
                sleep(INTERVAL).await;
            }
        });
        Self { ticks, _running: AbortOnDropHandle::new(running) }
    }

    pub(super) fn measure(&self, span: &Span, samples: &[Sample]) -> Measures {
        let is_within = |at| (span.begun..span.ended).contains(&at);
        let samples: Vec<_> = samples.iter().filter(|sample| is_within(sample.begun)).collect();
        let mut failures = BTreeMap::new();
        for failure in samples.iter().filter_map(|sample| failure(sample.answer)) {
            *failures.entry(failure).or_default() += 1;
        }
        let of = |is_post| latency(samples.iter().filter(|one| one.is_post == is_post).map(|one| one.took).collect());
        let ticks = self.ticks.lock().unwrap();
        let ticks: Vec<_> = ticks.iter().filter(|tick| is_within(tick.at)).collect();
        Measures {
            posts: of(true),
            reads: of(false),
            failures,
            sent: span.sent,
            receipt: ticks.iter().map(|tick| tick.receipt).max().unwrap_or(Duration::MAX),
            usage: [0, 1, 2].map(|program| most(ticks.iter().map(|tick| tick.usage[program]))),
        }
    }
}

fn failure(answer: Answer) -> Option<String> {
    match answer {
        Answer::Status(200..300) => None,
        Answer::Status(status) => Some(status.to_string()),
        Answer::Timeout => Some("timeout".to_owned()),
        Answer::Reset => Some("reset".to_owned()),
    }
}

fn latency(mut times: Vec<Duration>) -> Latency {
    times.sort_unstable();
    let rank = |percent: usize| times.get((times.len() * percent).div_ceil(100).saturating_sub(1)).copied();
    Latency { p50: rank(50).unwrap_or_default(), p99: rank(99).unwrap_or_default() }
}

/// None if the program has ended at one of the times.
fn most(all: impl Iterator<Item = Option<Usage>>) -> Option<Usage> {
    all.reduce(|one, other| {
        let (one, other) = (one?, other?);
        let (memory, descriptors) = (one.memory.max(other.memory), one.descriptors.max(other.descriptors));
        Some(Usage { memory, descriptors })
    })
    .flatten()
}

/// An ended process has no resident memory.
fn usage(process: u32) -> Option<Usage> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().ok()?;
    let descriptors = std::fs::read_dir(format!("/proc/{process}/fd")).ok()?.count();
    Some(Usage { memory: kilobytes << 10, descriptors: u64::try_from(descriptors).ok()? })
}

/// How long the oldest receipt has waited that is not read.
async fn oldest_receipt(pool: &PgPool, tenant: TenantId) -> Duration {
    #[expect(clippy::disallowed_methods, reason = "a test reads the tables directly")]
    let oldest: Option<Option<DateTime<Utc>>> = sqlx::query_scalar(
        "select min(sent_at) from contacts where tenant_id = $1 and status = 'sent' and delivered_at is null",
    )
    .bind(tenant.0)
    .fetch_one(pool)
    .await
    .ok();
    let waited = oldest.flatten().map(|sent_at| Clock::system().now() - sent_at).unwrap_or_default();
    waited.to_std().unwrap_or_default().saturating_sub(Duration::from_millis(DELIVERED_AFTER_MS))
}
