//! The client of the billing API, with an API key. A call without an answer is retried: the `external_id` identifies a
//! batch, and a control names the wanted state, so a repeated call has no second effect.

use std::time::Duration;

use anyhow::Context;
use clap::Args;
use regua_domain::MessageType;
use reqwest::header::{ACCEPT_LANGUAGE, CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use tokio::time::sleep;
use uuid::Uuid;

use super::answers::{ContactPage, Problem};
use crate::output;

/// Of one call with its answer; the largest batch needs less.
const TIMEOUT: Duration = Duration::from_secs(60);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Seconds to wait before each retry, for commands that send or watch.
const RETRY_WAITS: &[u64] = &[1, 2, 4, 8, 15];
/// The same for commands that show one answer.
const FEW_RETRY_WAITS: &[u64] = &[1];

#[derive(Args, Clone)]
pub(crate) struct ApiArguments {
    /// The API key
    #[arg(long, env = "REGUA_API_KEY", hide_env_values = true)]
    key: String,
    /// Address of the API
    #[arg(long, env = "REGUA_URL", default_value = "http://127.0.0.1:8080")]
    url: String,
}

impl std::fmt::Debug for ApiArguments {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiArguments").field("url", &self.url).finish_non_exhaustive()
    }
}

impl ApiArguments {
    pub(crate) fn client(&self) -> anyhow::Result<BillingClient> {
        BillingClient::new(&self.url, &self.key)
    }
}

#[derive(Clone)]
pub(crate) struct BillingClient {
    http: reqwest::Client,
    base: String,
    key: String,
    waits: &'static [u64],
}

/// A failure after which the call is repeated.
struct Retry {
    reason: String,
    /// The wait that the API asks for.
    after: Option<Duration>,
}

impl BillingClient {
    pub(crate) fn new(url: &str, key: &str) -> anyhow::Result<Self> {
        let parsed = reqwest::Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let parsed = parsed.with_context(|| format!("{url:?} is no address: write --url http://host:port"))?;
        let mut builder = reqwest::Client::builder().timeout(TIMEOUT).connect_timeout(CONNECT_TIMEOUT);
        let host = parsed.host_str().unwrap_or_default().trim_matches(['[', ']']);
        if host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback()) {
            builder = builder.no_proxy();
        }
        let (base, key) = (url.trim_end_matches('/').to_owned(), key.to_owned());
        Ok(Self { http: builder.build()?, base, key, waits: RETRY_WAITS })
    }

    pub(crate) fn with_few_retries(self) -> Self {
        Self { waits: FEW_RETRY_WAITS, ..self }
    }

    pub(crate) async fn send(&self, message_type: MessageType, batch: &impl serde::Serialize) -> anyhow::Result<Value> {
        self.call(Method::POST, &format!("/send/{message_type}"), Some(serde_json::to_vec(batch)?)).await
    }

    /// A queue's status as JSON.
    pub(crate) async fn status(&self, queue: Uuid) -> anyhow::Result<Value> {
        self.call(Method::GET, &format!("/queue/{queue}/status"), None).await
    }

    /// Pauses, resumes or cancels a queue; returns its new status.
    pub(crate) async fn control(&self, queue: Uuid, action: &str) -> anyhow::Result<Value> {
        let body = serde_json::to_vec(&json!({"action": action}))?;
        self.call(Method::POST, &format!("/queue/{queue}/control"), Some(body)).await
    }

    /// A page of queues, newest first.
    pub(crate) async fn queues(&self, filter: &str) -> anyhow::Result<Value> {
        self.call(Method::GET, &format!("/queues?{filter}"), None).await
    }

    /// A page of a queue's contacts, in the order of the batch.
    pub(crate) async fn contacts(&self, queue: Uuid, cursor: Option<&str>) -> anyhow::Result<ContactPage> {
        let cursor = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        let page = self.call(Method::GET, &format!("/queue/{queue}/contacts?limit=1000{cursor}"), None).await?;
        Ok(serde_json::from_value(page)?)
    }

    /// One contact with all its attempts.
    pub(crate) async fn contact(&self, contact: &str) -> anyhow::Result<Value> {
        self.call(Method::GET, &format!("/contact/{contact}"), None).await
    }

    /// Decides an unconfirmed contact (`confirm`, `resend` or `give_up`); returns the contact.
    pub(crate) async fn decide(&self, contact: &str, decision: &str, by: Option<&str>) -> anyhow::Result<Value> {
        let mut body = json!({"verdict": decision});
        if let Some(by) = by {
            body["said_by"] = json!(by);
        }
        self.call(Method::POST, &format!("/contact/{contact}/verdict"), Some(serde_json::to_vec(&body)?)).await
    }

    async fn call(&self, method: Method, path: &str, body: Option<Vec<u8>>) -> anyhow::Result<Value> {
        let mut waits = self.waits.iter();
        loop {
            let retry = match self.call_once(method.clone(), path, body.clone()).await? {
                Ok(answer) => return Ok(answer),
                Err(retry) => retry,
            };
            let Some(wait) = waits.next() else {
                anyhow::bail!(
                    "the API at {} cannot be reached: {}. Check --url (REGUA_URL) and that it runs; the same command \
                     may be repeated, nothing is sent twice",
                    self.base,
                    retry.reason
                );
            };
            let wait = retry.after.unwrap_or(Duration::from_secs(*wait));
            output::remark(format_args!("{}; trying again in {} s", retry.reason, wait.as_secs()));
            sleep(wait).await;
        }
    }

    /// The answer, or a failure that a retry may overcome; the outer error is one that it cannot.
    async fn call_once(
        &self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
    ) -> anyhow::Result<Result<Value, Retry>> {
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
            Err(error) => Ok(Err(Retry { reason: describe_failure(&error), after: None })),
        }
    }
}

async fn read(response: Response) -> anyhow::Result<Result<Value, Retry>> {
    let status = response.status();
    let after = response.headers().get(RETRY_AFTER).and_then(|after| after.to_str().ok()?.parse().ok());
    let body = match response.bytes().await {
        Ok(body) => body,
        Err(error) => return Ok(Err(Retry { reason: describe_failure(&error), after: None })),
    };
    if status.is_success() {
        return Ok(Ok(serde_json::from_slice(&body).context("the answer is no JSON: is --url the API's address?")?));
    }
    let problem = Problem::parse(status, &body);
    if is_temporary(status) {
        let after = after.map(|seconds: u64| Duration::from_secs(seconds.clamp(1, 60)));
        return Ok(Err(Retry { reason: problem.to_string(), after }));
    }
    Err(problem.into())
}

/// Whether a retry may succeed: the database is away, a proxy has no server, or the rate limit was reached.
fn is_temporary(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::REQUEST_TIMEOUT
            | StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    )
}

/// With the innermost cause, which is the most specific.
fn describe_failure(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "the API did not answer in time".to_owned();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    format!("the API did not answer ({cause})")
}
