//! How a good caller fares while others do their worst: the same requests with nobody else there, and under load.

mod flood;

use std::fmt;
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{Client, contact};

pub use flood::Answered;

/// Contacts of the batches that another tenant posts.
const LARGE: usize = 10_000;
/// Connections by which it posts them.
const GREEDY: usize = 4;
/// Between two requests of the good caller.
const PAUSE: Duration = Duration::from_millis(5);

/// How long requests took.
#[derive(Clone, Debug)]
pub struct Times(Vec<Duration>);

impl Times {
    fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times)
    }

    /// The time that so much of them (0.0 to 1.0) did not exceed.
    pub fn quantile(&self, share: f64) -> Duration {
        let place = (share * self.0.len() as f64).ceil();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place in the list")]
        let place = (place as usize).clamp(1, self.0.len());
        self.0[place - 1]
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milliseconds = |share| self.quantile(share).as_secs_f64() * 1000.0;
        write!(f, "p50 {:.1} ms, p99 {:.1} ms ({} requests)", milliseconds(0.5), milliseconds(0.99), self.0.len())
    }
}

/// The same requests with nobody else there, and under load.
#[derive(Clone, Debug)]
pub struct Compared {
    /// What was asked.
    pub what: String,
    /// With nobody else there.
    pub idle: Times,
    /// Under load.
    pub loaded: Times,
}

impl Compared {
    /// How many times as long they took under load.
    pub fn ratio(&self, share: f64) -> f64 {
        self.loaded.quantile(share).as_secs_f64() / self.idle.quantile(share).as_secs_f64()
    }
}

impl fmt::Display for Compared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (half, most) = (self.ratio(0.5), self.ratio(0.99));
        writeln!(f, "{}: p50 × {half:.2}, p99 × {most:.2}", self.what)?;
        writeln!(f, "  idle    {}", self.idle)?;
        write!(f, "  loaded  {}", self.loaded)
    }
}

/// Posts of one tenant, of so many contacts each, while another posts 10,000 contacts at a time without pause; and how many
/// of those were taken.
pub async fn fairness(quiet: &Client, greedy: &Client, contacts: &[usize], posts: usize) -> (Vec<Compared>, usize) {
    post(quiet, "warm", 1, 10).await;
    let mut idle = Vec::new();
    for &contacts in contacts {
        idle.push(post(quiet, "idle", contacts, posts).await);
    }
    let stop = CancellationToken::new();
    let mut running = JoinSet::new();
    for number in 0..GREEDY {
        running.spawn(post_large(greedy.clone(), number, stop.clone()));
    }
    // The first of them is being worked at.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let mut compared = Vec::new();
    for (&contacts, idle) in contacts.iter().zip(idle) {
        let loaded = post(quiet, "loaded", contacts, posts).await;
        compared.push(Compared { what: format!("posts of {contacts}"), idle, loaded });
    }
    stop.cancel();
    let mut taken = 0;
    while let Some(ended) = running.join_next().await {
        taken += ended.unwrap();
    }
    (compared, taken)
}

/// Does what a good caller does in a thread of its own, as its program would: not behind those who make the load.
async fn apart<F: Future<Output = Times> + 'static>(
    client: &Client,
    work: impl FnOnce(Client) -> F + Send + 'static,
) -> Times {
    let (base, key) = (client.base().to_owned(), client.key().to_owned());
    let alone = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        // With connections of that runtime.
        runtime.block_on(async { work(Client::new(&base, &key)).await })
    };
    tokio::task::spawn_blocking(alone).await.unwrap()
}

async fn post(client: &Client, name: &'static str, contacts: usize, posts: usize) -> Times {
    apart(client, move |client| async move { posted(&client, name, contacts, posts).await }).await
}

async fn posted(client: &Client, name: &str, contacts: usize, posts: usize) -> Times {
    let mut times = Vec::with_capacity(posts);
    for place in 0..posts {
        let batch = large_or_small(&format!("{name}-{contacts}-{place}-q"), contacts);
        tokio::time::sleep(PAUSE).await;
        let started = Instant::now();
        let answer = client.send("overdue", &batch).await;
        times.push(started.elapsed());
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{:#}", answer.body);
    }
    Times::of(times)
}

/// So many were taken until it was stopped.
async fn post_large(client: Client, number: usize, stop: CancellationToken) -> usize {
    // Written once: whoever makes the load must not be the one who is slowed down by making it.
    let contacts = large_or_small("large-g", LARGE)["contacts"].to_string();
    let mut taken = 0;
    while !stop.is_cancelled() {
        let batch = format!(r#"{{"external_id": "large-{number}-{taken}", "contacts": {contacts}}}"#);
        let answer = client.post_raw("/api/v1/billing/send/overdue", "application/json", batch.into_bytes()).await;
        match answer.status {
            StatusCode::ACCEPTED => taken += 1,
            // Its own part is used up.
            StatusCode::TOO_MANY_REQUESTS => {}
            _ => panic!("{:#}", answer.body),
        }
    }
    taken
}

fn large_or_small(external_id: &str, contacts: usize) -> Value {
    json!({ "external_id": external_id, "contacts": (0..contacts).map(|n| contact(external_id, n)).collect::<Vec<_>>() })
}

/// Looks of a good caller while keys that are nobody's come from a handful of addresses, its own among them, so many a
/// second; and what became of those.
pub async fn flood(api: &str, good: &Client, per_second: usize, lasting: Duration) -> (Compared, Answered) {
    look(good, Duration::from_millis(200)).await;
    let idle = look(good, lasting).await;
    let stop = CancellationToken::new();
    let flood = flood::start(api, per_second, &stop);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let loaded = look(good, lasting).await;
    stop.cancel();
    (Compared { what: "looks at the queues".to_owned(), idle, loaded }, flood.ended().await)
}

async fn look(client: &Client, lasting: Duration) -> Times {
    apart(client, move |client| async move { looked(&client, lasting).await }).await
}

async fn looked(client: &Client, lasting: Duration) -> Times {
    let (begun, mut times) = (Instant::now(), Vec::new());
    while begun.elapsed() < lasting {
        tokio::time::sleep(PAUSE).await;
        let started = Instant::now();
        let answer = client.call(reqwest::Method::GET, "/api/v1/billing/queues", None).await;
        times.push(started.elapsed());
        assert_eq!(answer.status, StatusCode::OK, "{:#}", answer.body);
    }
    Times::of(times)
}
