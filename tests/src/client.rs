//! The API client of an ERP, and waiting for a condition.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::logs;

/// Calls the API with an API key.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    key: String,
}

/// An answer of the API.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: StatusCode,
    /// Media type.
    pub content_type: String,
    /// The body; null if it is no JSON.
    pub body: Value,
    /// All headers.
    pub headers: reqwest::header::HeaderMap,
}

impl Client {
    /// `base` is the API's address.
    pub fn new(base: &str, key: &str) -> Self {
        regua_boot::init_tls();
        let http = reqwest::Client::builder().timeout(Duration::from_secs(60)).build().unwrap();
        Self { http, base: base.to_owned(), key: key.to_owned() }
    }

    /// The same client with another key.
    #[must_use]
    pub fn with_key(&self, key: &str) -> Self {
        Self { key: key.to_owned(), ..self.clone() }
    }

    /// The same client with another source address.
    #[must_use]
    pub fn from_address(&self, address: IpAddr) -> Self {
        let builder = reqwest::Client::builder().timeout(Duration::from_secs(60)).local_address(address);
        Self { http: builder.build().unwrap(), ..self.clone() }
    }

    /// The API key.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The API's address.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Posts a batch.
    pub async fn send(&self, message_type: &str, batch: &Value) -> Answer {
        let phones = batch["contacts"].as_array().into_iter().flatten().filter_map(|contact| contact["phone"].as_str());
        phones.for_each(logs::register_phone);
        self.call(Method::POST, &format!("/api/v1/billing/send/{message_type}"), Some(batch)).await
    }

    /// Posts a batch and asserts that it is accepted; returns the queue's id.
    pub async fn send_accepted(&self, message_type: &str, batch: &Value) -> String {
        let answer = self.send(message_type, batch).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{:#}", answer.body);
        answer.body["queue_id"].as_str().expect("a queue id").to_owned()
    }

    /// A queue's status.
    pub async fn status(&self, queue: &str) -> Value {
        let answer = self.call(Method::GET, &format!("/api/v1/billing/queue/{queue}/status"), None).await;
        assert_eq!(answer.status, StatusCode::OK, "{:#}", answer.body);
        answer.body
    }

    /// Pauses, resumes or cancels a queue.
    pub async fn control(&self, queue: &str, action: &str) -> Answer {
        let body = serde_json::json!({ "action": action });
        self.call(Method::POST, &format!("/api/v1/billing/queue/{queue}/control"), Some(&body)).await
    }

    /// One contact with all its attempts, by its id or its reference.
    pub async fn contact(&self, contact: &str) -> Value {
        let answer = self.call(Method::GET, &format!("/api/v1/billing/contact/{contact}"), None).await;
        assert_eq!(answer.status, StatusCode::OK, "{:#}", answer.body);
        answer.body
    }

    /// Decides an unconfirmed contact: `confirm`, `resend` or `give_up`.
    pub async fn decide(&self, contact: &str, decision: &str) -> Answer {
        let body = serde_json::json!({ "verdict": decision, "said_by": "Ana" });
        self.call(Method::POST, &format!("/api/v1/billing/contact/{contact}/verdict"), Some(&body)).await
    }

    /// All contacts of a queue, page by page.
    pub async fn contacts(&self, queue: &str) -> Vec<Value> {
        let mut all = Vec::new();
        let mut cursor = String::new();
        loop {
            let path = format!("/api/v1/billing/queue/{queue}/contacts?limit=1000{cursor}");
            let page = self.call(Method::GET, &path, None).await.body;
            all.extend(page["items"].as_array().expect("items").iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return all,
            }
        }
    }

    /// Waits until the queue has this status; returns the queue.
    pub async fn wait_for_status(&self, queue: &str, status: &str) -> Value {
        self.wait_until(queue, status, |queue| queue["status"] == status).await
    }

    /// Waits until `holds` accepts the queue; returns the queue. `what` describes the condition in a failure.
    pub async fn wait_until(&self, queue: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let last = std::sync::Mutex::new(Value::Null);
        let is_met = eventually_within(Duration::from_secs(60), async || {
            let status = self.status(queue).await;
            let holds = holds(&status);
            *last.lock().unwrap() = status;
            holds
        })
        .await;
        let last = last.into_inner().unwrap();
        assert!(is_met, "the queue never became {what}: {last:#}");
        last
    }

    /// Calls any path.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if !self.key.is_empty() {
            request = request.header("X-Billing-API-Key", &self.key);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        Self::answer(request).await
    }

    /// Posts a body that need not be JSON.
    pub async fn post_raw(&self, path: &str, content_type: &str, body: Vec<u8>) -> Answer {
        let request = self.http.post(format!("{}{path}", self.base)).header("X-Billing-API-Key", &self.key);
        Self::answer(request.header("Content-Type", content_type).body(body)).await
    }

    /// A request with this client's key, for calls that the other functions do not cover.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base)).header("X-Billing-API-Key", &self.key)
    }

    /// Sends a request and reads its answer.
    pub async fn answer(request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.expect("the API answers");
        let status = response.status();
        let headers = response.headers().clone();
        let content_type =
            headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        let bytes = response.bytes().await.expect("the API answers whole");
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Answer { status, content_type, body, headers }
    }
}

/// Waits until `holds` returns true; panics with `what` after a minute.
pub async fn eventually(what: &str, holds: impl AsyncFnMut() -> bool) {
    assert!(eventually_within(Duration::from_secs(60), holds).await, "this never happened: {what}");
}

async fn eventually_within(timeout: Duration, mut holds: impl AsyncFnMut() -> bool) -> bool {
    let started = Instant::now();
    while !holds().await {
        if started.elapsed() > timeout {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    true
}
