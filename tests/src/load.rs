//! Measures the latency of a well-behaved caller, idle and under the load of other callers.

mod flood;

use std::fmt;
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{Client, contact};

pub use flood::FloodAnswers;

const LARGE: usize = 10_000;
const GREEDY_CONNECTIONS: usize = 4;
/// Between two requests of the measured caller.
const PAUSE: Duration = Duration::from_millis(5);

/// The latencies of requests, sorted.
#[derive(Clone, Debug)]
pub struct Times(Vec<Duration>);

impl Times {
    fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times)
    }

    /// The latency at a quantile from 0.0 to 1.0.
    pub fn quantile(&self, quantile: f64) -> Duration {
        let rank = (quantile * self.0.len() as f64).ceil();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index of the list")]
        let rank = (rank as usize).clamp(1, self.0.len());
        self.0[rank - 1]
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milliseconds = |quantile| self.quantile(quantile).as_secs_f64() * 1000.0;
        write!(f, "p50 {:.1} ms, p99 {:.1} ms ({} requests)", milliseconds(0.5), milliseconds(0.99), self.0.len())
    }
}

/// The same requests idle and under load.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// Description of the requests.
    pub what: String,
    /// Without other callers.
    pub idle: Times,
    /// Under load.
    pub loaded: Times,
}

impl Comparison {
    /// Latency under load divided by the idle latency.
    pub fn ratio(&self, quantile: f64) -> f64 {
        self.loaded.quantile(quantile).as_secs_f64() / self.idle.quantile(quantile).as_secs_f64()
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (half, most) = (self.ratio(0.5), self.ratio(0.99));
        writeln!(f, "{}: p50 × {half:.2}, p99 × {most:.2}", self.what)?;
        writeln!(f, "  idle    {}", self.idle)?;
        write!(f, "  loaded  {}", self.loaded)
    }
}

/// Measures posts of one tenant while another one posts large batches; returns also the number of accepted large
/// batches.
pub async fn fairness(quiet: &Client, greedy: &Client, contacts: &[usize], posts: usize) -> (Vec<Comparison>, usize) {
    post(quiet, "warm", 1, 10).await;
    let mut idle = Vec::new();
    for &contacts in contacts {
        idle.push(post(quiet, "idle", contacts, posts).await);
    }
    let stop = CancellationToken::new();
    let mut running = JoinSet::new();
    for number in 0..GREEDY_CONNECTIONS {
        running.spawn(post_large(greedy.clone(), number, stop.clone()));
    }
    // Until the first large batch is in work.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let mut comparisons = Vec::new();
    for (&contacts, idle) in contacts.iter().zip(idle) {
        let loaded = post(quiet, "loaded", contacts, posts).await;
        comparisons.push(Comparison { what: format!("posts of {contacts}"), idle, loaded });
    }
    stop.cancel();
    let mut accepted = 0;
    while let Some(ended) = running.join_next().await {
        accepted += ended.unwrap();
    }
    (comparisons, accepted)
}

/// Runs the measured caller in a thread and a runtime of its own, so that it does not wait for the tasks of the load.
async fn on_own_thread<F: Future<Output = Times> + 'static>(
    client: &Client,
    work: impl FnOnce(Client) -> F + Send + 'static,
) -> Times {
    let (base, key) = (client.base().to_owned(), client.key().to_owned());
    let run = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        // Connections belong to the runtime that opens them.
        runtime.block_on(async { work(Client::new(&base, &key)).await })
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

async fn post(client: &Client, name: &'static str, contacts: usize, posts: usize) -> Times {
    on_own_thread(client, move |client| async move { measure_posts(&client, name, contacts, posts).await }).await
}

async fn measure_posts(client: &Client, name: &str, contacts: usize, posts: usize) -> Times {
    let mut times = Vec::with_capacity(posts);
    for number in 0..posts {
        let batch = batch_json(&format!("{name}-{contacts}-{number}-q"), contacts);
        tokio::time::sleep(PAUSE).await;
        let started = Instant::now();
        let answer = client.send("overdue", &batch).await;
        times.push(started.elapsed());
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{:#}", answer.body);
    }
    Times::of(times)
}

/// Returns the number of accepted batches.
async fn post_large(client: Client, number: usize, stop: CancellationToken) -> usize {
    // Encoded once, so that encoding does not limit the load.
    let contacts = batch_json("large-g", LARGE)["contacts"].to_string();
    let mut accepted = 0;
    while !stop.is_cancelled() {
        let batch = format!(r#"{{"external_id": "large-{number}-{accepted}", "contacts": {contacts}}}"#);
        let answer = client.post_raw("/api/v1/billing/send/overdue", "application/json", batch.into_bytes()).await;
        match answer.status {
            StatusCode::ACCEPTED => accepted += 1,
            // The tenant's budget is used up.
            StatusCode::TOO_MANY_REQUESTS => {}
            _ => panic!("{:#}", answer.body),
        }
    }
    accepted
}

fn batch_json(external_id: &str, contacts: usize) -> Value {
    json!({ "external_id": external_id, "contacts": (0..contacts).map(|n| contact(external_id, n)).collect::<Vec<_>>() })
}

/// Measures reads during a flood of unknown keys, also from the caller's address; returns also the answers to the
/// flood.
pub async fn flood(api: &str, good: &Client, per_second: usize, duration: Duration) -> (Comparison, FloodAnswers) {
    read(good, Duration::from_millis(200)).await;
    let idle = read(good, duration).await;
    let stop = CancellationToken::new();
    let flood = flood::start(api, per_second, &stop);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let loaded = read(good, duration).await;
    stop.cancel();
    (Comparison { what: "reads of the queues".to_owned(), idle, loaded }, flood.wait_for_end().await)
}

async fn read(client: &Client, duration: Duration) -> Times {
    on_own_thread(client, move |client| async move { measure_reads(&client, duration).await }).await
}

async fn measure_reads(client: &Client, duration: Duration) -> Times {
    let (begun, mut times) = (Instant::now(), Vec::new());
    while begun.elapsed() < duration {
        tokio::time::sleep(PAUSE).await;
        let started = Instant::now();
        let answer = client.call(reqwest::Method::GET, "/api/v1/billing/queues", None).await;
        times.push(started.elapsed());
        assert_eq!(answer.status, StatusCode::OK, "{:#}", answer.body);
    }
    Times::of(times)
}
