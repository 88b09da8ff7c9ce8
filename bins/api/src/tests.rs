//! The routes that need no database, and what stands around every one.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::Request;
use axum::response::Response;
use axum::routing::get;
use regua_broker::{BrokerSettings, QueueType};
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
    let (clock, metrics) = (Clock::system(), Metrics::new().unwrap());
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
    let api = api();
    let listings = Listings::new(api.pool.clone(), None, api.metrics.clone());
    let context = Context::of(&api, listings, Arc::new(Notify::new())).unwrap();
    ask(router(&api, context).unwrap(), method, path, headers).await
}

async fn ask(routes: Router, method: &str, path: &str, headers: &[(&str, &str)]) -> (Response<()>, Value) {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let (parts, body) = routes.oneshot(request.body(Body::empty()).unwrap()).await.unwrap().into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    (Response::from_parts(parts, ()), serde_json::from_slice(&body).unwrap_or(Value::Null))
}

#[tokio::test]
async fn what_does_not_exist_is_a_problem_in_the_callers_language() {
    let (response, problem) = call("GET", "/nowhere", &[("accept-language", "en"), ("x-request-id", "mine")]).await;
    assert_eq!(response.status().as_u16(), 404);
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    assert_eq!(response.headers()["x-request-id"], "mine");
    assert_eq!(problem["code"], "not_found");
    assert_eq!(problem["title"], "Not found");
    assert_eq!(problem["request_id"], "mine");
    let (response, problem) = call("DELETE", "/api/v1/billing/queues", &[("x-request-id", "not sane")]).await;
    assert_eq!(response.status().as_u16(), 405);
    assert_eq!(response.headers()["allow"], "GET,HEAD");
    assert_eq!(problem["title"], "Método não permitido");
    assert_eq!(response.headers()["x-request-id"].to_str().unwrap(), problem["request_id"]);
    assert_ne!(problem["request_id"], "not sane");
}

#[tokio::test]
async fn without_a_database_a_caller_is_asked_to_come_again() {
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

/// Routes of the test's own within what stands around every route.
fn around(routes: Router) -> Router {
    let mut api = api();
    api.settings.request_timeout = Duration::from_millis(20);
    let listings = Listings::new(api.pool.clone(), None, api.metrics.clone());
    surrounded(routes, Context::of(&api, listings, Arc::new(Notify::new())).unwrap())
}

#[tokio::test]
async fn a_panic_is_a_fault_of_ours_and_tells_nobody_its_words() {
    #[expect(clippy::panic, reason = "that is the test")]
    async fn panics() -> Result<(), Infallible> {
        panic!("secret")
    }
    let (response, problem) = ask(around(Router::new().route("/", get(panics))), "GET", "/", &[]).await;
    assert_eq!((response.status().as_u16(), &problem["code"]), (500, &json!("internal")));
    assert!(!problem.to_string().contains("secret"));
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_asked_to_come_again() {
    let hangs = get(std::future::pending::<()>);
    let (response, problem) = ask(around(Router::new().route("/", hangs)), "GET", "/", &[]).await;
    assert_eq!((response.status().as_u16(), &problem["code"]), (503, &json!("unavailable")));
}
