//! What is the same around every request: its id, its span and its one line in the log, its time limit, and the spelling
//! out of problems.

use std::any::Any;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use regua_domain::{Language, Taken};
use tracing::field::Empty;
use tracing::{Instrument, Span};
use uuid::{NoContext, Timestamp, Uuid};

use crate::CommandLine;
use crate::Context;
use crate::error::{Code, Problem, document};
use crate::limits::Standing;
use crate::routes::asks_who_calls;

/// Where a request's id stands, both ways.
const REQUEST_ID: &str = "x-request-id";
const LONGEST_REQUEST_ID: usize = 100;

/// A request's id, for whoever writes it down.
#[derive(Clone)]
pub(crate) struct RequestId(pub(crate) String);

/// What failed inside, for whoever runs the command line: it has no log.
#[derive(Clone, Debug)]
pub struct Cause(pub String);

/// The outermost layer. The ids that the span has room for are filled in by those who learn them; never a phone number,
/// a text or a key.
pub(crate) async fn around(State(context): State<Context>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = request_id(&context, request.headers());
    let language = language(request.headers());
    let path = request.extensions().get::<MatchedPath>().map_or("unknown", MatchedPath::as_str).to_owned();
    let span = tracing::info_span!(
        "request",
        request_id = id,
        method = %request.method(),
        path,
        tenant_id = Empty,
        billing_campaign_id = Empty,
        queue_id = Empty,
        template_type = Empty,
        instance_id = Empty
    );
    let is_command_line = request.extensions().get::<CommandLine>().is_some();
    let standing = Standing::default();
    request.extensions_mut().insert(RequestId(id.clone()));
    request.extensions_mut().insert(standing.clone());
    let mut response = answer(&context, request, next, &path, &standing).instrument(span.clone()).await;
    span.in_scope(|| log(&response, &path, started));
    if let Some(problem) = response.extensions_mut().remove::<Arc<Problem>>() {
        response = spell_out(&response, &problem, language, &id);
        if let Some(cause) = problem.cause().filter(|_| is_command_line) {
            response.extensions_mut().insert(Cause(format!("{cause:#}")));
        }
    }
    if let Some(taken) = standing.0.get() {
        tell(taken, response.headers_mut());
    }
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

/// The answer of a route, within the time limit and while there is a place for the request. Probes always have one.
async fn answer(context: &Context, mut request: Request, next: Next, path: &str, standing: &Standing) -> Response {
    let limits = &context.limits;
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0);
    let address = peer.map(|peer| limits.trusted_proxies().client(peer, request.headers()));
    if let Some(address) = address {
        request.extensions_mut().insert(address);
    }
    let _place = match limits.place() {
        _ if is_probe(path) => None,
        Ok(place) => Some(place),
        Err(problem) => return problem.into_response(),
    };
    if let Some(address) = address.filter(|_| !is_probe(path) && !asks_who_calls(path))
        && let Err(problem) = limits.admit_stranger(address, standing)
    {
        return problem.into_response();
    }
    let limit = context.settings.request_timeout;
    tokio::time::timeout(limit, next.run(request)).await.unwrap_or_else(|_| {
        Problem::unavailable(anyhow::anyhow!("no answer within {} s", limit.as_secs())).into_response()
    })
}

fn is_probe(path: &str) -> bool {
    matches!(path, "/healthz" | "/readyz" | "/metrics")
}

/// How the caller stands with the rate that was decisive.
fn tell(taken: &Taken, headers: &mut HeaderMap) {
    let (per_minute, burst) = (taken.rate.a_minute(), taken.rate.burst());
    if let Ok(policy) = HeaderValue::from_str(&format!("{per_minute};w=60;burst={burst}")) {
        headers.insert("ratelimit-policy", policy);
    }
    headers.insert("ratelimit-limit", HeaderValue::from(burst));
    headers.insert("ratelimit-remaining", HeaderValue::from(taken.remaining()));
    headers.insert("ratelimit-reset", HeaderValue::from(whole_seconds(taken.reset_after())));
}

/// Rounded up, because whoever comes too early is refused.
pub(crate) fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

/// A panic is a fault of ours like any other; its words are in the log.
#[expect(clippy::needless_pass_by_value, reason = "it is the layer that says how it is passed")]
pub(crate) fn panicked(words: Box<dyn Any + Send>) -> Response {
    let said = words.downcast_ref::<String>().map(String::as_str).or_else(|| words.downcast_ref::<&str>().copied());
    Problem::internal(anyhow::anyhow!("panic: {}", said.unwrap_or("without words"))).into_response()
}

/// No such route.
pub(crate) async fn not_found() -> Problem {
    Problem::of(Code::NotFound)
}

/// No such method; axum adds `Allow`.
pub(crate) async fn method_not_allowed() -> Problem {
    Problem::of(Code::MethodNotAllowed)
}

/// The language in which the caller wants to be spoken to.
pub(crate) fn language(headers: &HeaderMap) -> Language {
    Language::negotiate(headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()))
}

/// Notes an id in the request's span.
pub(crate) fn note(field: &'static str, value: impl std::fmt::Display) {
    Span::current().record(field, tracing::field::display(value));
}

/// The caller's own id where it is harmless in a log, else a new one.
fn request_id(context: &Context, headers: &HeaderMap) -> String {
    let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok()).filter(|id| is_sane(id));
    given.map_or_else(
        || {
            let now = context.clock.now();
            let seconds = u64::try_from(now.timestamp()).unwrap_or_default();
            Uuid::new_v7(Timestamp::from_unix(NoContext, seconds, now.timestamp_subsec_nanos())).to_string()
        },
        str::to_owned,
    )
}

fn is_sane(id: &str) -> bool {
    (1..=LONGEST_REQUEST_ID).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':' | b'/'))
}

/// Writes the problem's document, and keeps the headers that the router added (`Allow`).
fn spell_out(response: &Response, problem: &Problem, language: Language, id: &str) -> Response {
    let mut document = document(problem, language, id);
    for (name, value) in response.headers().iter().filter(|(name, _)| **name != header::CONTENT_LENGTH) {
        document.headers_mut().insert(name.clone(), value.clone());
    }
    document
}

/// One line a request. Probes come every few seconds and are not worth one, nor are requests of which there are too many:
/// `regua_requests_refused_total` counts them.
fn log(response: &Response, path: &str, started: Instant) {
    let status = response.status().as_u16();
    let latency_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let problem = response.extensions().get::<Arc<Problem>>();
    let code = problem.map(|problem| problem.code().as_str());
    let cause = problem.and_then(|problem| problem.cause()).map(|cause| format!("{cause:#}"));
    if problem.is_some_and(|problem| problem.code() == Code::Internal) {
        tracing::error!(status, latency_ms, code, error = cause, "failed");
    } else if cause.is_some() {
        tracing::warn!(status, latency_ms, code, error = cause, "answered");
    } else if is_probe(path) || problem.is_some_and(|problem| problem.is_of_a_flood()) {
        tracing::debug!(status, latency_ms, "answered");
    } else {
        tracing::info!(status, latency_ms, code, "answered");
    }
}

#[cfg(test)]
mod tests {
    use super::is_sane;

    #[test]
    fn a_request_id_is_taken_only_where_it_is_harmless() {
        assert!(is_sane("erp-2026.11:1/2_x"));
        for id in ["", "a b", "a\"b", "ação", "a;b", &"x".repeat(101)] {
            assert!(!is_sane(id), "{id:?}");
        }
    }
}
