//! The ERPs post batches, and repeat a post without an answer at the other API. Their operators pause, resume and
//! cancel.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use regua_boot::Clock;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until};

use super::plan::{Batch, Control};

const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Clone, Debug)]
pub(crate) struct PostedBatch {
    pub(crate) batch: Batch,
    /// The queue of the accepted batch; none: no answer.
    pub(crate) queue: Option<String>,
    pub(crate) unexpected: Option<String>,
    pub(crate) was_replayed: bool,
}

/// A pause or cancel with its answer, in milliseconds since 1970.
#[derive(Clone, Debug)]
pub(crate) struct AnsweredStop {
    pub(crate) queue: String,
    pub(crate) stopped_at: i64,
    /// The time of the first request to resume; none: the queue was not resumed.
    pub(crate) resumed_at: Option<i64>,
}

pub(crate) struct Erp {
    http: reqwest::Client,
    apis: Vec<String>,
    keys: Vec<String>,
    calls: AtomicUsize,
    pub(crate) are_faults_over: AtomicBool,
    pub(crate) posted: Mutex<Vec<PostedBatch>>,
    pub(crate) stops: Mutex<Vec<AnsweredStop>>,
}

impl Erp {
    pub(crate) fn new(apis: Vec<String>, keys: Vec<String>) -> Self {
        Self {
            http: reqwest::Client::builder().build().unwrap(),
            apis,
            keys,
            calls: AtomicUsize::new(0),
            are_faults_over: AtomicBool::new(false),
            posted: Mutex::default(),
            stops: Mutex::default(),
        }
    }

    pub(crate) async fn wait_for_apis(&self) {
        for api in &self.apis {
            while self.http.get(format!("{api}/readyz")).timeout(REQUEST_TIMEOUT).send().await.is_err() {
                sleep(Duration::from_millis(100)).await;
            }
        }
    }

    pub(crate) async fn handle(self: Arc<Self>, batch: Batch, begun: Instant) {
        sleep_until(begun + batch.at).await;
        let posted = self.post(&batch).await;
        let queue = posted.queue.clone();
        self.posted.lock().unwrap().push(posted);
        if let Some(queue) = queue {
            self.operate(&batch, queue).await;
        }
    }

    async fn post(&self, batch: &Batch) -> PostedBatch {
        let body = batch.body();
        let mut posted = PostedBatch { batch: batch.clone(), queue: None, unexpected: None, was_replayed: false };
        loop {
            let path = format!("send/{}", batch.message_type);
            match self.call(batch.tenant, &path, &body, batch.gives_up_after.unwrap_or(REQUEST_TIMEOUT)).await {
                Some((202 | 200, answer)) => {
                    let is_accepted = answer["accepted"].as_u64() == u64::try_from(batch.contacts).ok();
                    let queue = answer["queue_id"].as_str().map(str::to_owned);
                    let is_other = posted.queue.is_some() && posted.queue != queue;
                    if !is_accepted || queue.is_none() || is_other {
                        posted.unexpected = Some(format!("the answer was {answer}"));
                    }
                    posted.was_replayed |= answer["replayed"] == true;
                    let is_first = posted.queue.is_none();
                    posted.queue = queue;
                    if !(is_first && batch.is_repeated) {
                        return posted;
                    }
                }
                None | Some((503, _)) if batch.gives_up_after.is_some() => return posted,
                None | Some((503, _)) => sleep(Duration::from_millis(300)).await,
                Some((status, answer)) => {
                    posted.unexpected = Some(format!("the answer was {status} {answer}"));
                    return posted;
                }
            }
        }
    }

    async fn operate(&self, batch: &Batch, queue: String) {
        let (action, after, resume_after) = match batch.control {
            Control::None => return,
            Control::Pause { after, resume_after } => ("pause", after, Some(resume_after)),
            Control::Cancel { after } => ("cancel", after, None),
        };
        sleep(after).await;
        let has_stopped = self.control(batch.tenant, &queue, action).await;
        let stopped_at = now();
        let mut resumed_at = None;
        if let Some(resume_after) = resume_after {
            match resume_after {
                Some(later) => sleep(later).await,
                None => self.wait_for_end_of_faults().await,
            }
            resumed_at = Some(now());
            self.control(batch.tenant, &queue, "resume").await;
        }
        if has_stopped {
            self.stops.lock().unwrap().push(AnsweredStop { queue, stopped_at, resumed_at });
        }
    }

    async fn wait_for_end_of_faults(&self) {
        while !self.are_faults_over.load(Ordering::Relaxed) {
            sleep(Duration::from_millis(200)).await;
        }
    }

    /// Repeats the request until it is answered; returns false for a 409, because the queue is in another state.
    async fn control(&self, tenant: usize, queue: &str, action: &str) -> bool {
        loop {
            let path = format!("queue/{queue}/control");
            match self.call(tenant, &path, &json!({ "action": action }), REQUEST_TIMEOUT).await {
                Some((200, _)) => return true,
                Some((409, _)) => return false,
                _ => sleep(Duration::from_millis(300)).await,
            }
        }
    }

    /// One request, to each API in turn; none if there was no answer.
    async fn call(&self, tenant: usize, path: &str, body: &Value, timeout: Duration) -> Option<(u16, Value)> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        let url = format!("{}/api/v1/billing/{path}", self.apis[call % self.apis.len()]);
        let request = self.http.post(url).header("X-Billing-API-Key", &self.keys[tenant]).json(body);
        let answer = request.timeout(timeout).send().await.ok()?;
        let status = answer.status().as_u16();
        let bytes = answer.bytes().await.ok()?;
        Some((status, serde_json::from_slice(&bytes).unwrap_or(Value::Null)))
    }
}

/// Milliseconds since 1970, by the clock of the machine.
pub(crate) fn now() -> i64 {
    Clock::system().now().timestamp_millis()
}
