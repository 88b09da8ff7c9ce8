//! The ERPs: they post, and post again the same batch when no answer came or the API was not there, once at the one API
//! and once at the other. Their operators pause, resume and cancel.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use regua_boot::Clock;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until};

use super::plan::{Batch, Control};

/// How long an ERP waits for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// What became of a batch, as its ERP saw it.
#[derive(Clone, Debug)]
pub(crate) struct Posted {
    pub(crate) batch: Batch,
    /// The queue, where it was taken.
    pub(crate) queue: Option<String>,
    /// An answer that was not expected.
    pub(crate) surprise: Option<String>,
    /// It was answered as taken before.
    pub(crate) was_replayed: bool,
}

/// What an operator asked for and was answered.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) queue: String,
    /// When the stop was answered, in milliseconds since 1970.
    pub(crate) stopped_at: i64,
    /// When it was first asked to go on; none: never.
    pub(crate) resumed_at: Option<i64>,
}

/// What all ERPs share.
pub(crate) struct Erp {
    http: reqwest::Client,
    apis: Vec<String>,
    /// The key of each tenant.
    keys: Vec<String>,
    turn: AtomicUsize,
    /// All faults have ended.
    pub(crate) is_over: AtomicBool,
    pub(crate) posted: Mutex<Vec<Posted>>,
    pub(crate) orders: Mutex<Vec<Order>>,
}

impl Erp {
    pub(crate) fn new(apis: Vec<String>, keys: Vec<String>) -> Self {
        Self {
            http: reqwest::Client::builder().build().unwrap(),
            apis,
            keys,
            turn: AtomicUsize::new(0),
            is_over: AtomicBool::new(false),
            posted: Mutex::default(),
            orders: Mutex::default(),
        }
    }

    /// Waits until both APIs answer.
    pub(crate) async fn until_answered(&self) {
        for api in &self.apis {
            while self.http.get(format!("{api}/readyz")).timeout(PATIENCE).send().await.is_err() {
                sleep(Duration::from_millis(100)).await;
            }
        }
    }

    /// Posts a batch at its time, and does with it what its operator wants.
    pub(crate) async fn handle(self: Arc<Self>, batch: Batch, begun: Instant) {
        sleep_until(begun + batch.at).await;
        let posted = self.post(&batch).await;
        let queue = posted.queue.clone();
        self.posted.lock().unwrap().push(posted);
        if let Some(queue) = queue {
            self.operate(&batch, queue).await;
        }
    }

    async fn post(&self, batch: &Batch) -> Posted {
        let body = batch.body();
        let mut posted = Posted { batch: batch.clone(), queue: None, surprise: None, was_replayed: false };
        loop {
            let path = format!("send/{}", batch.message_type);
            match self.call(batch.tenant, &path, &body, batch.gives_up_after.unwrap_or(PATIENCE)).await {
                Some((202 | 200, answer)) => {
                    let taken = answer["accepted"].as_u64() == u64::try_from(batch.contacts).ok();
                    let queue = answer["queue_id"].as_str().map(str::to_owned);
                    let is_other = posted.queue.is_some() && posted.queue != queue;
                    if !taken || queue.is_none() || is_other {
                        posted.surprise = Some(format!("it was answered {answer}"));
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
                    posted.surprise = Some(format!("it was answered {status} {answer}"));
                    return posted;
                }
            }
        }
    }

    async fn operate(&self, batch: &Batch, queue: String) {
        let (action, after, resume_after) = match batch.control {
            Control::Leave => return,
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
                None => self.until_over().await,
            }
            resumed_at = Some(now());
            self.control(batch.tenant, &queue, "resume").await;
        }
        if has_stopped {
            self.orders.lock().unwrap().push(Order { queue, stopped_at, resumed_at });
        }
    }

    async fn until_over(&self) {
        while !self.is_over.load(Ordering::Relaxed) {
            sleep(Duration::from_millis(200)).await;
        }
    }

    /// Until it is answered; whether the queue obeys (and not: 409, it is past that).
    async fn control(&self, tenant: usize, queue: &str, action: &str) -> bool {
        loop {
            let path = format!("queue/{queue}/control");
            match self.call(tenant, &path, &json!({ "action": action }), PATIENCE).await {
                Some((200, _)) => return true,
                Some((409, _)) => return false,
                _ => sleep(Duration::from_millis(300)).await,
            }
        }
    }

    /// One call, at the API whose turn it is; none where no answer came.
    async fn call(&self, tenant: usize, path: &str, body: &Value, patience: Duration) -> Option<(u16, Value)> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let url = format!("{}/api/v1/billing/{path}", self.apis[turn % self.apis.len()]);
        let request = self.http.post(url).header("X-Billing-API-Key", &self.keys[tenant]).json(body);
        let answer = request.timeout(patience).send().await.ok()?;
        let status = answer.status().as_u16();
        let bytes = answer.bytes().await.ok()?;
        Some((status, serde_json::from_slice(&bytes).unwrap_or(Value::Null)))
    }
}

/// Milliseconds since 1970, by the clock that all programs of this machine have.
pub(crate) fn now() -> i64 {
    Clock::system().now().timestamp_millis()
}
