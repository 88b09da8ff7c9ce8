//! The API as the commands call it: over HTTP with a key, in English, and again where nobody answered. Every call of the
//! API may be repeated: a batch is known by its `external_id`, and controls say which state is wanted.

mod answers;

use std::time::Duration;

use anyhow::Context;
use clap::Args;
use regua_domain::MessageType;
use reqwest::header::{ACCEPT_LANGUAGE, CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use tokio::time::sleep;
use uuid::Uuid;

pub(crate) use answers::{Contact, ContactPage, Problem, QueueStatus, Remark, Taken};

use crate::output;

/// For one call, answer included; more than the API takes for its largest batch.
const TIMEOUT: Duration = Duration::from_secs(60);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The waits before another try, in seconds, of whoever sends or watches.
const PATIENT: &[u64] = &[1, 2, 4, 8, 15];
/// The same for somebody who only looks, and would rather know soon.
const IMPATIENT: &[u64] = &[1];

/// Where the API is, and who calls.
#[derive(Args, Clone)]
pub(crate) struct ApiArguments {
    /// The API key
    #[arg(long, env = "REGUA_API_KEY", hide_env_values = true)]
    key: String,
    /// Where the API is
    #[arg(long, env = "REGUA_URL", default_value = "http://127.0.0.1:8080")]
    url: String,
}

impl std::fmt::Debug for ApiArguments {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiArguments").field("url", &self.url).finish_non_exhaustive()
    }
}

impl ApiArguments {
    /// A client of it.
    pub(crate) fn client(&self) -> anyhow::Result<Client> {
        Client::new(&self.url, &self.key)
    }
}

/// Calls one API with one key.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
    key: String,
    waits: &'static [u64],
}

/// Why a call is made again.
struct Again {
    why: String,
    after: Option<Duration>,
}

impl Client {
    /// A client of the API at `url`.
    pub(crate) fn new(url: &str, key: &str) -> anyhow::Result<Self> {
        let parsed = reqwest::Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let parsed = parsed.with_context(|| format!("{url:?} is no address: write --url http://host:port"))?;
        let mut builder = reqwest::Client::builder().timeout(TIMEOUT).connect_timeout(CONNECT_TIMEOUT);
        let host = parsed.host_str().unwrap_or_default().trim_matches(['[', ']']);
        if host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback()) {
            builder = builder.no_proxy();
        }
        let (base, key) = (url.trim_end_matches('/').to_owned(), key.to_owned());
        Ok(Self { http: builder.build()?, base, key, waits: PATIENT })
    }

    /// The same, giving up sooner.
    pub(crate) fn impatient(self) -> Self {
        Self { waits: IMPATIENT, ..self }
    }

    /// Posts a batch.
    pub(crate) async fn send(&self, message_type: MessageType, batch: &impl serde::Serialize) -> anyhow::Result<Value> {
        self.call(Method::POST, &format!("/send/{message_type}"), Some(serde_json::to_vec(batch)?)).await
    }

    /// A queue's state, as it was answered.
    pub(crate) async fn status(&self, queue: Uuid) -> anyhow::Result<Value> {
        self.call(Method::GET, &format!("/queue/{queue}/status"), None).await
    }

    /// Pauses, resumes or cancels a queue; its state then.
    pub(crate) async fn control(&self, queue: Uuid, action: &str) -> anyhow::Result<Value> {
        let body = serde_json::to_vec(&json!({"action": action}))?;
        self.call(Method::POST, &format!("/queue/{queue}/control"), Some(body)).await
    }

    /// A page of queues, newest first.
    pub(crate) async fn queues(&self, filter: &str) -> anyhow::Result<Value> {
        self.call(Method::GET, &format!("/queues?{filter}"), None).await
    }

    /// A page of a queue's contacts, in their order.
    pub(crate) async fn contacts(&self, queue: Uuid, cursor: Option<&str>) -> anyhow::Result<ContactPage> {
        let cursor = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        let page = self.call(Method::GET, &format!("/queue/{queue}/contacts?limit=1000{cursor}"), None).await?;
        Ok(serde_json::from_value(page)?)
    }

    /// One contact with all its tries.
    pub(crate) async fn contact(&self, contact: &str) -> anyhow::Result<Value> {
        self.call(Method::GET, &format!("/contact/{contact}"), None).await
    }

    /// Decides an unconfirmed contact; what it is then.
    pub(crate) async fn verdict(&self, contact: &str, verdict: &str, by: Option<&str>) -> anyhow::Result<Value> {
        let mut body = json!({"verdict": verdict});
        if let Some(by) = by {
            body["said_by"] = json!(by);
        }
        self.call(Method::POST, &format!("/contact/{contact}/verdict"), Some(serde_json::to_vec(&body)?)).await
    }

    async fn call(&self, method: Method, path: &str, body: Option<Vec<u8>>) -> anyhow::Result<Value> {
        let mut waits = self.waits.iter();
        loop {
            let again = match self.try_once(method.clone(), path, body.clone()).await? {
                Ok(answer) => return Ok(answer),
                Err(again) => again,
            };
            let Some(wait) = waits.next() else {
                anyhow::bail!(
                    "the API at {} cannot be reached: {}. Check --url (REGUA_URL) and that it runs; the same command \
                     may be repeated, nothing is sent twice",
                    self.base,
                    again.why
                );
            };
            let wait = again.after.unwrap_or(Duration::from_secs(*wait));
            output::remark(format_args!("{}; trying again in {} s", again.why, wait.as_secs()));
            sleep(wait).await;
        }
    }

    /// The answer, or why to try again; an error is one that another try would not mend.
    async fn try_once(
        &self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
    ) -> anyhow::Result<Result<Value, Again>> {
        let request = self
            .http
            .request(method, format!("{}/api/v1/billing{path}", self.base))
            .header("X-Billing-API-Key", &self.key)
            .header(ACCEPT_LANGUAGE, "en");
        let request = match body {
            Some(body) => request.header(CONTENT_TYPE, "application/json").body(body),
            None => request,
        };
        match request.send().await {
            Ok(response) => read(response).await,
            Err(error) if error.is_builder() => Err(error.without_url()).context("the key or the address is malformed"),
            Err(error) => Ok(Err(Again { why: unanswered(&error), after: None })),
        }
    }
}

async fn read(response: Response) -> anyhow::Result<Result<Value, Again>> {
    let status = response.status();
    let after = response.headers().get(RETRY_AFTER).and_then(|after| after.to_str().ok()?.parse().ok());
    let body = match response.bytes().await {
        Ok(body) => body,
        Err(error) => return Ok(Err(Again { why: unanswered(&error), after: None })),
    };
    if status.is_success() {
        return Ok(Ok(serde_json::from_slice(&body).context("the answer is no JSON: is --url the API's address?")?));
    }
    let problem = Problem::parse(status, &body);
    if is_passing(status) {
        let after = after.map(|seconds: u64| Duration::from_secs(seconds.clamp(1, 60)));
        return Ok(Err(Again { why: problem.to_string(), after }));
    }
    Err(problem.into())
}

/// What may be over in a moment: the database away, a proxy without its server, too many requests.
fn is_passing(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::REQUEST_TIMEOUT
            | StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    )
}

/// The innermost cause says most.
fn unanswered(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "the API did not answer in time".to_owned();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    format!("the API did not answer ({cause})")
}
