//! The API as an ERP sees it, and waiting for what is expected.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::logs;

/// Calls one API with one key.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    key: String,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: StatusCode,
    /// Media type.
    pub content_type: String,
    /// The body as JSON; null when it is none.
    pub body: Value,
    /// All headers.
    pub headers: reqwest::header::HeaderMap,
}

impl Client {
    /// A client of the API at `base` with `key`.
    pub fn new(base: &str, key: &str) -> Self {
        regua_boot::init_tls();
        let http = reqwest::Client::builder().timeout(Duration::from_secs(60)).build().unwrap();
        Self { http, base: base.to_owned(), key: key.to_owned() }
    }

    /// The same API with another key.
    #[must_use]
    pub fn with_key(&self, key: &str) -> Self {
        Self { key: key.to_owned(), ..self.clone() }
    }

    /// The same key from another address of this machine.
    #[must_use]
    pub fn from_address(&self, address: IpAddr) -> Self {
        let builder = reqwest::Client::builder().timeout(Duration::from_secs(60)).local_address(address);
        Self { http: builder.build().unwrap(), ..self.clone() }
    }

    /// The key that it shows.
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
        phones.for_each(logs::keep_phone);
        self.call(Method::POST, &format!("/api/v1/billing/send/{message_type}"), Some(batch)).await
    }

    /// Posts a batch that must be taken; its queue's id.
    pub async fn accepted(&self, message_type: &str, batch: &Value) -> String {
        let answer = self.send(message_type, batch).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{:#}", answer.body);
        answer.body["queue_id"].as_str().expect("a queue id").to_owned()
    }

    /// A queue's state.
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

    /// One contact with all its tries, by its id or its reference.
    pub async fn contact(&self, contact: &str) -> Value {
        let answer = self.call(Method::GET, &format!("/api/v1/billing/contact/{contact}"), None).await;
        assert_eq!(answer.status, StatusCode::OK, "{:#}", answer.body);
        answer.body
    }

    /// What a person says of an unconfirmed contact.
    pub async fn verdict(&self, contact: &str, verdict: &str) -> Answer {
        let body = serde_json::json!({ "verdict": verdict, "said_by": "Ana" });
        self.call(Method::POST, &format!("/api/v1/billing/contact/{contact}/verdict"), Some(&body)).await
    }

    /// All contacts of a queue, over as many pages as it takes.
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

    /// Waits until the queue is in this state; its last status.
    pub async fn until(&self, queue: &str, status: &str) -> Value {
        self.until_that(queue, status, |queue| queue["status"] == status).await
    }

    /// Waits until the queue is as `holds` wants it; its last status.
    pub async fn until_that(&self, queue: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let last = std::sync::Mutex::new(Value::Null);
        let came = eventually_within(Duration::from_secs(60), async || {
            let status = self.status(queue).await;
            let holds = holds(&status);
            *last.lock().unwrap() = status;
            holds
        })
        .await;
        let last = last.into_inner().unwrap();
        assert!(came, "the queue never became {what}: {last:#}");
        last
    }

    /// Any call.
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

    /// Posts raw bytes, for bodies that are no JSON.
    pub async fn post_raw(&self, path: &str, content_type: &str, body: Vec<u8>) -> Answer {
        let request = self.http.post(format!("{}{path}", self.base)).header("X-Billing-API-Key", &self.key);
        Self::answer(request.header("Content-Type", content_type).body(body)).await
    }

    /// A request with this client's address and key, for what the other calls do not cover.
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

/// Waits until something holds; panics with `what` when it does not within a minute.
pub async fn eventually(what: &str, holds: impl AsyncFnMut() -> bool) {
    assert!(eventually_within(Duration::from_secs(60), holds).await, "this never came: {what}");
}

async fn eventually_within(bound: Duration, mut holds: impl AsyncFnMut() -> bool) -> bool {
    let started = Instant::now();
    while !holds().await {
        if started.elapsed() > bound {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    true
}
