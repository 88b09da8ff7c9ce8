//! The layer around every request: its id, its span and log line, its limits, and the rendering of problems.

use std::any::Any;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::body::{Body, HttpBody};
use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use regua_domain::{Language, RateCheck, TenantId, time_ordered_uuid};
use tracing::field::Empty;
use tracing::{Instrument, Span};

use super::body::RequestOwner;
use super::error::{Code, Problem, document, whole_seconds};
use super::held_body::HeldBody;
use super::in_process::{Cause, CommandLine};
use super::paths::{has_own_rate_limit, is_confidential};
use crate::context::Context;
use crate::limits::RateStatus;

/// The header with the id of a request, in the request and in the answer.
const REQUEST_ID: &str = "x-request-id";
const MAX_REQUEST_ID: usize = 100;
/// Bytes from which an answer takes a permit for its memory. The system's buffers hold a smaller one.
const LARGE_ANSWER: usize = 64 << 10;

/// The id of a request in the log and in the audit log. Every request has it in its extensions.
#[derive(Clone)]
pub(crate) struct RequestId(pub(crate) String);

/// The outermost layer. Extractors and handlers fill in the span's ids with `record_field`.
pub(crate) async fn handle(State(context): State<Context>, mut request: Request, next: Next) -> Response {
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
    let (status, owner) =
        (RateStatus::default(), request.extensions_mut().get_or_insert_default::<RequestOwner>().clone());
    request.extensions_mut().insert(RequestId(id.clone()));
    request.extensions_mut().insert(status.clone());
    let mut response = run_within_limits(&context, request, next, &path, &status).instrument(span.clone()).await;
    span.in_scope(|| log(&context, &response, &path, started, owner.is_known()));
    if let Some(problem) = response.extensions_mut().remove::<Arc<Problem>>() {
        response = render(&response, &problem, language, &id);
        if let Some(cause) = problem.cause().filter(|_| is_command_line) {
            response.extensions_mut().insert(Cause(format!("{cause:#}")));
        }
    }
    if let Some(check) = status.0.get() {
        write_rate_headers(check, response.headers_mut());
    }
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if is_confidential(&path) {
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

/// Runs the route within the time limit. Extractors take the permit among the tenant's requests.
async fn run_within_limits(
    context: &Context,
    mut request: Request,
    next: Next,
    path: &str,
    status: &RateStatus,
) -> Response {
    let limits = &context.limits;
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0);
    let address = peer.map(|peer| limits.rates.trusted_proxies().client(peer, request.headers()));
    if let Some(address) = address {
        request.extensions_mut().insert(address);
    }
    if let Some(address) = address.filter(|_| !is_probe(path) && !has_own_rate_limit(path))
        && let Err(refused) = limits.rates.admit_address(address, status)
    {
        return Problem::from(refused).into_response();
    }
    let owner = request.extensions_mut().get_or_insert_default::<RequestOwner>().clone();
    let is_read = request.method().is_safe();
    let limit = context.settings.request_timeout;
    let response = tokio::time::timeout(limit, next.run(request)).await.unwrap_or_else(|_| {
        Problem::unavailable(anyhow::anyhow!("no answer within {} s", limit.as_secs())).into_response()
    });
    hold_memory(context, owner.tenant(), is_read, response).await
}

/// Takes a permit for the memory of a large answer until it is written. An answer about something that was stored is
/// counted, and never refused.
async fn hold_memory(context: &Context, owner: TenantId, is_read: bool, response: Response) -> Response {
    let bytes = usize::try_from(response.body().size_hint().lower()).unwrap_or(usize::MAX);
    if bytes < LARGE_ANSWER {
        return response;
    }
    match context.limits.answers.take(owner, bytes).await {
        Ok(permit) => response.map(|body| Body::new(HeldBody::new(body, Arc::new(permit)))),
        Err(refused) if is_read => Problem::from(refused).into_response(),
        Err(_) => response,
    }
}

fn is_probe(path: &str) -> bool {
    matches!(path, "/healthz" | "/readyz" | "/metrics")
}

fn write_rate_headers(check: &RateCheck, headers: &mut HeaderMap) {
    let (per_minute, burst) = (check.rate.a_minute(), check.rate.burst());
    if let Ok(policy) = HeaderValue::from_str(&format!("{per_minute};w=60;burst={burst}")) {
        headers.insert("ratelimit-policy", policy);
    }
    headers.insert("ratelimit-limit", HeaderValue::from(burst));
    headers.insert("ratelimit-remaining", HeaderValue::from(check.remaining()));
    headers.insert("ratelimit-reset", HeaderValue::from(whole_seconds(check.reset_after())));
}

/// The answer to a request whose handler panicked. The panic's message is logged, and never served.
#[expect(clippy::needless_pass_by_value, reason = "the layer passes a value")]
pub(crate) fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let message = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    Problem::internal(anyhow::anyhow!("panic: {}", message.unwrap_or("without a message"))).into_response()
}

pub(crate) async fn not_found() -> Problem {
    Problem::of(Code::NotFound)
}

/// No extractor of the route has checked the rate. axum adds the header `Allow`.
pub(crate) async fn method_not_allowed(context: Context, request: Request) -> Problem {
    let admitted = context.limits.rates.admit_stranger(&request.into_parts().0);
    admitted.err().map_or_else(|| Problem::of(Code::MethodNotAllowed), Problem::from)
}

/// The language of the answer, by `Accept-Language`.
pub(crate) fn language(headers: &HeaderMap) -> Language {
    Language::negotiate(headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()))
}

/// Fills in a field of the request's span. Phone numbers, texts and keys are never recorded.
pub(crate) fn record_field(field: &'static str, value: impl std::fmt::Display) {
    Span::current().record(field, tracing::field::display(value));
}

/// The caller's id if it is safe in a log, otherwise a new one.
fn request_id(context: &Context, headers: &HeaderMap) -> String {
    let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok()).filter(|id| is_safe(id));
    given.map_or_else(|| time_ordered_uuid(context.clock.now()).to_string(), str::to_owned)
}

fn is_safe(id: &str) -> bool {
    (1..=MAX_REQUEST_ID).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':' | b'/'))
}

/// The problem's document, with the headers that the router added (`Allow`).
fn render(response: &Response, problem: &Problem, language: Language, id: &str) -> Response {
    let mut document = document(problem, language, id);
    for (name, value) in response.headers().iter().filter(|(name, _)| **name != header::CONTENT_LENGTH) {
        document.headers_mut().insert(name.clone(), value.clone());
    }
    document
}

/// Logs one line for a request. Probes and requests that a limit refused are logged for debugging only;
/// `regua_requests_refused_total` counts the latter. Requests without a valid credential are one line a second with
/// their count, and the data of the last one.
fn log(context: &Context, response: &Response, path: &str, started: Instant, is_authenticated: bool) {
    let status = response.status().as_u16();
    let latency_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let problem = response.extensions().get::<Arc<Problem>>();
    let code = problem.map(|problem| problem.code().as_str());
    let cause = problem.and_then(|problem| problem.cause()).map(|cause| format!("{cause:#}"));
    let is_quiet = is_probe(path) || problem.is_some_and(|problem| problem.is_limit_refusal());
    let logs = &context.stranger_logs;
    let lines = if cause.is_some() { &logs.failed } else { &logs.answered };
    let is_counted = !is_authenticated && !is_quiet;
    let count = if is_counted { lines.count(Instant::now()) } else { None };
    if (is_counted && count.is_none()) || (is_quiet && cause.is_none()) {
        tracing::debug!(status, latency_ms, code, error = cause, "answered");
    } else if problem.is_some_and(|problem| problem.code() == Code::Internal) {
        tracing::error!(status, latency_ms, code, error = cause, count, "failed");
    } else if cause.is_some() {
        tracing::warn!(status, latency_ms, code, error = cause, count, "answered");
    } else {
        tracing::info!(status, latency_ms, code, count, "answered");
    }
}

#[cfg(test)]
mod tests {
    use super::is_safe;

    #[test]
    fn request_id_is_accepted_only_if_safe_in_a_log() {
        assert!(is_safe("erp-2026.11:1/2_x"));
        for id in ["", "a b", "a\"b", "ação", "a;b", &"x".repeat(101)] {
            assert!(!is_safe(id), "{id:?}");
        }
    }
}
