//! Requests that need no database, and the layers around every route.

mod openapi;

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::Request;
use axum::response::Response;
use axum::routing::{MethodRouter, get};
use regua_boot::{LogArguments, TelemetryFormat};
use regua_broker::{BrokerSettings, QueueType};
use regua_secrets::SecretKeys;
use regua_store::{PoolSettings, Role};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::*;

/// The API with a database that is away.
fn api() -> Api {
    let pool = regua_store::pool(&PoolSettings {
        database_url: "postgres://nobody@127.0.0.1:1/none".to_owned(),
        application_name: "test",
        role: Role::Relay,
        pool_mode: regua_store::PoolMode::default(),
        max_connections: 1,
        acquire_timeout: Duration::from_millis(50),
    })
    .unwrap();
    let settings = BrokerSettings {
        amqp_urls: None,
        namespace: "test".to_owned(),
        queue_type: QueueType::Classic,
        prefetch: 1,
        connection_name: "test".to_owned(),
    };
    let broker = regua_broker::connect(&settings, pool.clone());
    let (clock, metrics) = (Clock::system(), ApiMetrics::new(&regua_boot::Registry::default()).unwrap());
    Api {
        pool,
        replica: None,
        broker,
        secrets: SecretKeys::development(),
        clock,
        metrics,
        settings: ApiSettings::default(),
    }
}

async fn call(method: &str, path: &str, headers: &[(&str, &str)]) -> (Response<()>, Value) {
    send(in_process_router(&api()).unwrap(), method, path, headers).await
}

async fn send(routes: Router, method: &str, path: &str, headers: &[(&str, &str)]) -> (Response<()>, Value) {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let (parts, body) = routes.oneshot(request.body(Body::empty()).unwrap()).await.unwrap().into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    (Response::from_parts(parts, ()), serde_json::from_slice(&body).unwrap_or(Value::Null))
}

#[tokio::test]
async fn unknown_route_is_answered_in_the_language_of_the_caller() {
    let (response, problem) = call("GET", "/nowhere", &[("accept-language", "en"), ("x-request-id", "mine")]).await;
    assert_eq!(response.status().as_u16(), 404);
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    assert_eq!(response.headers()["x-request-id"], "mine");
    assert_eq!(problem["code"], "not_found");
    assert_eq!(problem["title"], "Not found");
    assert_eq!(problem["request_id"], "mine");
    let (response, problem) = call("DELETE", "/api/v1/billing/queues", &[("x-request-id", "not safe")]).await;
    assert_eq!(response.status().as_u16(), 405);
    assert_eq!(response.headers()["allow"], "GET,HEAD");
    assert_eq!(problem["title"], "Método não permitido");
    assert_eq!(response.headers()["x-request-id"].to_str().unwrap(), problem["request_id"]);
    assert_ne!(problem["request_id"], "not safe");
}

#[tokio::test]
async fn request_without_a_database_is_answered_503_with_retry_after() {
    let key = keys::generate(&[1; keys::RANDOM_BYTES]).text;
    let (response, problem) = call("GET", "/api/v1/billing/queues", &[("x-billing-api-key", &key)]).await;
    assert_eq!((response.status().as_u16(), &problem["code"]), (503, &json!("unavailable")));
    assert_eq!(response.headers()["retry-after"], "5");
    let (response, problem) = call("POST", "/api/v1/billing/send/overdue", &[]).await;
    assert_eq!((response.status().as_u16(), &problem["code"]), (401, &json!("api_key_missing")));
    let (response, body) = call("GET", "/readyz", &[]).await;
    assert_eq!((response.status().as_u16(), &body["ready"]), (503, &json!(false)));
    let (response, _) = call("GET", "/healthz", &[]).await;
    assert_eq!(response.status().as_u16(), 200);
}

#[tokio::test]
async fn answers_are_not_sniffed_and_those_of_the_api_are_not_stored() {
    for (path, is_stored) in
        [("/docs", true), ("/healthz", true), ("/api/v1/auth/me", false), ("/api/v1/admin/keys", false)]
    {
        let (response, _) = call("GET", path, &[]).await;
        assert_eq!(response.headers()["x-content-type-options"], "nosniff", "{path}");
        let stored = response.headers().get("cache-control").map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(stored.as_deref(), if is_stored { None } else { Some("no-store") }, "{path}");
    }
}

/// A log that the test reads.
#[derive(Clone, Default)]
struct Log(Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn requests_without_a_credential_are_one_log_line_a_second() {
    let log = Log::default();
    let arguments = LogArguments { format: TelemetryFormat::Json, filter: "info".to_owned() };
    let writer = log.clone();
    // With only one dispatcher, tracing asks the thread that first reaches a log line, which may be another test's.
    let _second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::default());
    let _logging = tracing::subscriber::set_default(regua_boot::subscriber(&arguments, move || writer.clone(), false));
    let routes = in_process_router(&api()).unwrap();
    let key = keys::generate(&[1; keys::RANDOM_BYTES]).text;
    for _ in 0..3 {
        let bad = [
            ("GET", "/nowhere"),
            ("PATCH", "/api/v1/billing/queues"),
            ("GET", "/api/v1/auth/me"),
            ("POST", "/api/v1/auth/login"),
            ("GET", "/docs"),
        ];
        for (method, path) in bad {
            send(routes.clone(), method, path, &[]).await;
        }
        // The database is away, so the look-up fails.
        send(routes.clone(), "GET", "/api/v1/billing/queues", &[("x-billing-api-key", &key)]).await;
    }
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    // A slow machine takes more than a second.
    let counted = |level: &str| {
        let counts: Vec<_> = lines.iter().filter(|line| line["level"] == level).map(|line| &line["count"]).collect();
        assert!((1..=3).contains(&counts.len()) && counts[0] == 1, "{text}");
    };
    counted("INFO");
    counted("WARN");
}

/// A route of the test within the layers, with a request timeout of 20 ms.
fn layered(handler: MethodRouter) -> Router {
    let mut api = api();
    api.settings.request_timeout = Duration::from_millis(20);
    with_layers(Router::new().route("/", handler), State::new(&api, Arc::default()).unwrap())
}

#[tokio::test]
async fn panic_is_answered_500_without_its_message() {
    #[expect(clippy::panic, reason = "the test needs a panic")]
    async fn panics() -> Result<(), Infallible> {
        panic!("secret")
    }
    let (response, problem) = send(layered(get(panics)), "GET", "/", &[]).await;
    assert_eq!((response.status().as_u16(), &problem["code"]), (500, &json!("internal")));
    assert!(!problem.to_string().contains("secret"));
}

#[tokio::test]
async fn request_that_exceeds_the_timeout_is_answered_503() {
    let (response, problem) = send(layered(get(std::future::pending::<()>)), "GET", "/", &[]).await;
    assert_eq!((response.status().as_u16(), &problem["code"]), (503, &json!("unavailable")));
}
