//! The victim: an ERP that posts small batches and reads as many statuses, and a user at the console. It runs in a
//! thread of its own, and requests begin at their time, however long earlier ones take.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::RequestBuilder;
use serde_json::{Value, json};
use tokio::time::{Instant, interval};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::logs;

/// Reads of the ERP for each read of the console.
const READS_PER_CONSOLE_READ: usize = 10;
/// A request without an answer in this time counts as failed.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The victim's way to the API.
pub(super) struct Credentials {
    pub(super) api: String,
    pub(super) address: IpAddr,
    pub(super) key: String,
    pub(super) cookie: String,
    pub(super) instances: Vec<String>,
}

/// One request of the victim.
#[derive(Clone, Copy)]
pub(super) struct Sample {
    pub(super) begun: Instant,
    pub(super) took: Duration,
    pub(super) is_post: bool,
    pub(super) answer: Answer,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Status(u16),
    Timeout,
    Reset,
}

pub(super) struct Victim {
    samples: Arc<Mutex<Vec<Sample>>>,
    stop: CancellationToken,
    thread: std::thread::JoinHandle<()>,
}

impl Victim {
    pub(super) fn start(credentials: Credentials, between: Duration) -> Self {
        let (samples, stop) = (Arc::default(), CancellationToken::new());
        let work = Work::new(credentials, Arc::clone(&samples));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let requests = TaskTracker::new();
                stopped.run_until_cancelled(work.begin_requests(&requests, between)).await;
                requests.close();
                requests.wait().await;
            });
        });
        Self { samples, stop, thread }
    }

    /// Ends the posts and reads; returns all of them.
    pub(super) async fn stop(self) -> Vec<Sample> {
        self.stop.cancel();
        tokio::task::spawn_blocking(|| self.thread.join()).await.unwrap().expect("the victim's thread ends");
        std::mem::take(&mut *self.samples.lock().unwrap())
    }
}

struct Work {
    credentials: Credentials,
    /// Keeps its connections, like a program.
    program: reqwest::Client,
    /// Opens a connection for each request, like a script.
    script: reqwest::Client,
    newest_queue: Arc<Mutex<Option<String>>>,
    samples: Arc<Mutex<Vec<Sample>>>,
}

impl Work {
    fn new(credentials: Credentials, samples: Arc<Mutex<Vec<Sample>>>) -> Self {
        let client = || reqwest::Client::builder().no_proxy().timeout(TIMEOUT).local_address(credentials.address);
        let (program, script) = (client(), client().pool_max_idle_per_host(0));
        let (program, script) = (program.build().unwrap(), script.build().unwrap());
        Self { credentials, program, script, newest_queue: Arc::default(), samples }
    }

    async fn begin_requests(&self, requests: &TaskTracker, between: Duration) {
        let mut ticks = interval(between);
        for n in 0.. {
            ticks.tick().await;
            requests.spawn(self.post(n));
            if let Some(request) = self.read() {
                requests.spawn(record(request, false, Arc::clone(&self.samples)));
            }
            if n % READS_PER_CONSOLE_READ == 0 {
                requests.spawn(record(self.read_console(), false, Arc::clone(&self.samples)));
            }
        }
    }

    fn post(&self, n: usize) -> impl Future<Output = ()> + use<> {
        let url = format!("{}/api/v1/billing/send/notification", self.credentials.api);
        let request = self.program.post(url).header("X-Billing-API-Key", &self.credentials.key);
        let request = request.json(&batch(n, &self.credentials.instances[n % self.credentials.instances.len()]));
        let (newest_queue, samples) = (Arc::clone(&self.newest_queue), Arc::clone(&self.samples));
        async move {
            let body = record(request, true, samples).await;
            if let Some(queue) = body["queue_id"].as_str() {
                *newest_queue.lock().unwrap() = Some(queue.to_owned());
            }
        }
    }

    /// None before the first batch is accepted.
    fn read(&self) -> Option<RequestBuilder> {
        let queue = self.newest_queue.lock().unwrap().clone()?;
        let url = format!("{}/api/v1/billing/queue/{queue}/status", self.credentials.api);
        Some(self.script.get(url).header("X-Billing-API-Key", &self.credentials.key))
    }

    fn read_console(&self) -> RequestBuilder {
        let request = self.program.get(format!("{}/api/v1/auth/me", self.credentials.api));
        request.header("Cookie", &self.credentials.cookie).header("Sec-Fetch-Site", "same-origin")
    }
}

/// Makes a request and records it; returns the answer's body.
async fn record(request: RequestBuilder, is_post: bool, samples: Arc<Mutex<Vec<Sample>>>) -> Value {
    let begun = Instant::now();
    let answered = async {
        let response = request.send().await?;
        Ok::<_, reqwest::Error>((response.status().as_u16(), response.bytes().await?))
    };
    let (answer, body) = match answered.await {
        Ok((status, body)) => (Answer::Status(status), serde_json::from_slice(&body).unwrap_or_default()),
        Err(error) if error.is_timeout() => (Answer::Timeout, Value::Null),
        Err(_) => (Answer::Reset, Value::Null),
    };
    samples.lock().unwrap().push(Sample { begun, took: begun.elapsed(), is_post, answer });
    body
}

fn batch(n: usize, instance: &str) -> Value {
    let phone = format!("+55119{:08}", 60_000_000 + n);
    logs::register_phone(&phone);
    let contact = json!({"external_id": format!("divida-{n}"), "name": "Maria da Silva", "phone": phone});
    json!({"external_id": format!("lote-{n}"), "instance": instance, "contacts": [contact]})
}
