//! The client of the HTTP API. It calls a server with an API key or an access token, or the same handlers inside this
//! process with a connection to the database. The handlers write the audit log.

mod arguments;
mod problem;

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context, bail};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::header::{ACCEPT_LANGUAGE, AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use regua_api::{Cause, CommandLine};
use regua_domain::{MessageType, TenantId};
use regua_store::type_defaults::Default as TypeDefault;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::sleep;
use tower::ServiceExt;

use crate::output;

pub(crate) use self::arguments::{AdminArguments, ApiArguments, TenantArguments};
pub(crate) use self::problem::{ContactIssue, Problem};

const BASE: &str = "/api/v1";
/// Of one call with its answer; the largest batch needs less.
const TIMEOUT: Duration = Duration::from_secs(60);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Seconds to wait before each retry, for commands that send or watch.
const RETRY_WAITS: &[u64] = &[1, 2, 4, 8, 15];
/// The same for commands that show one answer.
const FEW_RETRY_WAITS: &[u64] = &[1];
/// Largest page of the API.
const PAGE: usize = 1000;
/// No answer is as long.
const MAX_ANSWER_BYTES: usize = 64 << 20;
const MALFORMED: &str = "the key or the address is malformed";

#[derive(Clone)]
pub(crate) struct Client {
    transport: Transport,
    /// Language, credential and tenant.
    headers: HeaderMap,
    /// Seconds to wait before each retry; empty: calls are not repeated, because they may have a second effect.
    waits: &'static [u64],
}

/// A page of a listing, or a listing without pages.
#[derive(Deserialize)]
struct Page<T> {
    items: Vec<T>,
    next_cursor: Option<String>,
}

#[derive(Clone)]
enum Transport {
    /// `option` sets the address.
    Http {
        http: reqwest::Client,
        base: String,
        option: &'static str,
    },
    InProcess {
        router: Router,
        caller: CommandLine,
    },
}

impl Client {
    /// For the billing API. A call without an answer is repeated: the `external_id` identifies a batch, and a control
    /// names the wanted state, so a repeated call has no second effect.
    pub(crate) fn with_api_key(url: &str, key: &str) -> anyhow::Result<Self> {
        let client = Self::new(http(url, "--url")?, RETRY_WAITS);
        client.with_header(HeaderName::from_static("x-billing-api-key"), key)
    }

    /// For the admin API.
    fn with_access_token(url: &str, token: &str) -> anyhow::Result<Self> {
        Self::new(http(url, "--api-url")?, &[]).with_header(AUTHORIZATION, &format!("Bearer {token}"))
    }

    fn in_process(router: Router, caller: CommandLine) -> Self {
        Self::new(Transport::InProcess { router, caller }, &[])
    }

    fn new(transport: Transport, waits: &'static [u64]) -> Self {
        let headers = HeaderMap::from_iter([(ACCEPT_LANGUAGE, HeaderValue::from_static("en"))]);
        Self { transport, headers, waits }
    }

    fn with_header(mut self, name: HeaderName, value: &str) -> anyhow::Result<Self> {
        let mut value = HeaderValue::from_str(value).context(MALFORMED)?;
        value.set_sensitive(true);
        self.headers.insert(name, value);
        Ok(self)
    }

    /// Calls are about this tenant, if there is one, instead of the caller's own.
    fn for_tenant(self, tenant: Option<TenantId>) -> anyhow::Result<Self> {
        match tenant {
            Some(tenant) => self.with_header(HeaderName::from_static("x-tenant-id"), &tenant.to_string()),
            None => Ok(self),
        }
    }

    pub(crate) fn with_few_retries(self) -> Self {
        Self { waits: FEW_RETRY_WAITS, ..self }
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        self.call(Method::GET, path, None).await
    }

    pub(crate) async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> anyhow::Result<T> {
        self.call(Method::POST, path, Some(serde_json::to_vec(body)?)).await
    }

    pub(crate) async fn put<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> anyhow::Result<T> {
        self.call(Method::PUT, path, Some(serde_json::to_vec(body)?)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> anyhow::Result<()> {
        self.call(Method::DELETE, path, None).await
    }

    /// The items of a listing without pages.
    pub(crate) async fn items<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<Vec<T>> {
        Ok(self.get::<Page<T>>(path).await?.items)
    }

    /// The first item of a listing without pages that `is_wanted`.
    pub(crate) async fn find<T: DeserializeOwned>(
        &self,
        path: &str,
        is_wanted: impl Fn(&T) -> bool,
    ) -> anyhow::Result<Option<T>> {
        Ok(self.items(path).await?.into_iter().find(is_wanted))
    }

    /// The first `limit` items of a listing with pages.
    pub(crate) async fn first<T: DeserializeOwned>(&self, path: &str, limit: usize) -> anyhow::Result<Vec<T>> {
        let mut all = Vec::new();
        let add = |items: Vec<T>| {
            all.extend(items);
            Ok(())
        };
        self.pages(path, limit, add).await?;
        Ok(all)
    }

    /// Passes on the pages of a listing until its end or until `limit` items. `path` has a query, which may be empty, and
    /// each of its parameters ends with `&`.
    pub(crate) async fn pages<T: DeserializeOwned>(
        &self,
        path: &str,
        limit: usize,
        mut each: impl FnMut(Vec<T>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let (mut left, mut cursor) = (limit, String::new());
        while left > 0 {
            let page: Page<T> = self.get(&format!("{path}limit={}{cursor}", left.min(PAGE))).await?;
            left = left.saturating_sub(page.items.len());
            each(page.items)?;
            let Some(next) = page.next_cursor else { break };
            cursor = format!("&cursor={next}");
        }
        Ok(())
    }

    /// The defaults of a message type; without any if it has none.
    pub(crate) async fn default_of(&self, message_type: MessageType) -> anyhow::Result<TypeDefault> {
        let found = self.find("/admin/defaults", |default: &TypeDefault| default.message_type == message_type).await?;
        Ok(found.unwrap_or(TypeDefault { message_type, template: None, instance: None }))
    }

    pub(crate) async fn replace_default(&self, default: &TypeDefault) -> anyhow::Result<()> {
        let body = json!({"template_id": default.template, "instance_id": default.instance});
        let _replaced: IgnoredAny = self.put(&format!("/admin/defaults/{}", default.message_type), &body).await?;
        Ok(())
    }

    async fn call<T: DeserializeOwned>(&self, method: Method, path: &str, body: Option<Vec<u8>>) -> anyhow::Result<T> {
        let mut waits = self.waits.iter();
        loop {
            let error = match self.call_once(method.clone(), path, body.clone()).await {
                Ok(answer) => return self.parse(&answer),
                Err(error) => error,
            };
            let failure = temporary_failure(&error).filter(|_| !self.waits.is_empty());
            let Some((reason, after)) = failure else { return Err(error) };
            let Some(wait) = waits.next() else {
                bail!(
                    "the API at {} cannot be reached: {reason}. Check --url (REGUA_URL) and that it runs; the same \
                     command may be repeated, nothing is sent twice",
                    self.base()
                );
            };
            let wait = after.unwrap_or(Duration::from_secs(*wait));
            output::remark(format_args!("{reason}; trying again in {} s", wait.as_secs()));
            sleep(wait).await;
        }
    }

    /// The body of the answer. An error answer is a [`Problem`].
    async fn call_once(&self, method: Method, path: &str, body: Option<Vec<u8>>) -> anyhow::Result<Vec<u8>> {
        let request = Request::builder().method(method).uri(format!("{}{BASE}{path}", self.base()));
        let (mut headers, has_body) = (self.headers.clone(), body.is_some());
        let mut request = request.body(body.unwrap_or_default()).context(MALFORMED)?;
        if has_body {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        *request.headers_mut() = headers;
        let (status, retry_after, body) = match &self.transport {
            Transport::Http { http, base, option } => {
                let unreachable = || format!("the API at {base} cannot be reached: check {option} (REGUA_URL)");
                let request = request.try_into().map_err(reqwest::Error::without_url).context(MALFORMED)?;
                let answer = http.execute(request).await.map_err(reqwest::Error::without_url);
                let answer = answer.with_context(unreachable)?;
                let after = answer.headers().get(RETRY_AFTER).and_then(|after| after.to_str().ok()?.parse().ok());
                let status = answer.status();
                let body = answer.bytes().await.map_err(reqwest::Error::without_url).with_context(unreachable)?;
                (status, after, body)
            }
            Transport::InProcess { router, caller } => {
                request.extensions_mut().insert(caller.clone());
                let answer = Box::pin(router.clone().oneshot(request.map(Body::from))).await?;
                if let Some(Cause(cause)) = answer.extensions().get::<Cause>() {
                    bail!("the command failed: {cause}");
                }
                (answer.status(), None, to_bytes(answer.into_body(), MAX_ANSWER_BYTES).await?)
            }
        };
        if status.is_success() {
            return Ok(body.into());
        }
        Err(Problem::parse(status, &body).with_retry_after(retry_after).into())
    }

    /// An empty answer is null.
    fn parse<T: DeserializeOwned>(&self, answer: &[u8]) -> anyhow::Result<T> {
        serde_json::from_slice(if answer.is_empty() { b"null" } else { answer }).with_context(|| {
            let option = if let Transport::Http { option, .. } = &self.transport { option } else { "DATABASE_URL" };
            format!("the answer cannot be read: is {option} the API's address?")
        })
    }

    fn base(&self) -> &str {
        if let Transport::Http { base, .. } = &self.transport { base } else { "" }
    }
}

fn http(url: &str, option: &'static str) -> anyhow::Result<Transport> {
    let parsed = reqwest::Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let parsed = parsed.with_context(|| format!("{url:?} is no address: write {option} http://host:port"))?;
    let mut builder = reqwest::Client::builder().timeout(TIMEOUT).connect_timeout(CONNECT_TIMEOUT);
    let host = parsed.host_str().unwrap_or_default().trim_matches(['[', ']']);
    if host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()) {
        builder = builder.no_proxy();
    }
    Ok(Transport::Http { http: builder.build()?, base: url.trim_end_matches('/').to_owned(), option })
}

/// The reason of a failure that a retry may overcome, and the wait that the API asks for.
fn temporary_failure(error: &anyhow::Error) -> Option<(String, Option<Duration>)> {
    if let Some(problem) = error.downcast_ref::<Problem>() {
        return problem.is_temporary().then(|| (problem.to_string(), problem.retry_after()));
    }
    let error = error.downcast_ref::<reqwest::Error>().filter(|error| !error.is_builder())?;
    if error.is_timeout() {
        return Some(("the API did not answer in time".to_owned(), None));
    }
    // The innermost cause is the most specific.
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    Some((format!("the API did not answer ({cause})"), None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_calls_with_an_api_key_are_repeated() {
        regua_boot::init_tls();
        assert_eq!(Client::with_api_key("http://127.0.0.1:1", "key").unwrap().waits, RETRY_WAITS);
        assert!(Client::with_access_token("http://127.0.0.1:1", "token").unwrap().waits.is_empty());
    }
}
