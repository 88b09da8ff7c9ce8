//! Composing has budgets: a template's schema is counted when it is stored, a batch has CPU time, a tenant has threads,
//! and the work of a caller that hangs up ends. The schema of these tests is a tenth of one that took a second for each
//! contact; `store_schema` stores it as an earlier version could.

use std::time::{Duration, Instant};

use regua_api::ApiSettings;
use regua_domain::UserRole;
use regua_tests::{Client, Fleet, Tenant, TenantOptions, TestUser, batch, contact, eventually};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::only_the_api;

/// `references` times 31 patterns for each of fifty variables.
fn costly_schema(references: usize) -> Value {
    let patterns: Vec<_> = (0..31).map(|n| json!({"pattern": format!("^.*a.*b.*({n})?$")})).collect();
    let references = vec![json!({"$ref": "#/$defs/a"}); references];
    json!({"$defs": {"a": {"allOf": patterns}}, "additionalProperties": {"allOf": references}})
}

#[expect(clippy::disallowed_methods, reason = "the API refuses such a schema")]
async fn store_schema(fleet: &Fleet, tenant: &Tenant, schema: &Value) {
    let statement = "update templates set variables_schema = $2 where tenant_id = $1";
    sqlx::query(statement).bind(tenant.id.0).bind(schema).execute(&fleet.database.pool).await.unwrap();
}

/// A batch of contacts whose fifty variables have a thousand characters.
fn long_batch(external_id: &str, contacts: usize) -> Value {
    let variables: Value = (0..50).map(|n| (format!("v{n}"), json!("ab".repeat(500)))).collect();
    let with_variables = |n| {
        let mut contact = contact(external_id, n);
        contact["variables"] = variables.clone();
        contact
    };
    json!({"external_id": external_id, "contacts": (0..contacts).map(with_variables).collect::<Vec<_>>()})
}

/// A fleet with a quiet tenant's client, and with a greedy tenant whose schema is costly and that tenant's client.
async fn with_costly_schema(references: usize, change: impl FnOnce(&mut ApiSettings)) -> (Fleet, Client, Client) {
    let (fleet, greedy, greedy_client) = Fleet::with(only_the_api(change), TenantOptions::default()).await;
    let quiet = TenantOptions { slug: "quiet", instances: vec!["quiet".to_owned()], ..TenantOptions::default() };
    let quiet = Client::new(&fleet.api, &fleet.create_tenant(&quiet).await.key);
    store_schema(&fleet, &greedy, &costly_schema(references)).await;
    (fleet, quiet, greedy_client)
}

#[tokio::test(flavor = "multi_thread")]
async fn costly_schema_is_not_stored_and_a_stored_one_accepts_no_batch() {
    let options = only_the_api(|api| api.limits.composing_time = Duration::from_millis(60));
    let (fleet, tenant, client) = Fleet::with(options, TenantOptions::default()).await;
    let operator = TestUser::logged_in(&fleet, &tenant, UserRole::Operator, "ana").await;
    let template =
        json!({"name": "x", "type": "overdue", "variations": ["Olá"], "variables_schema": costly_schema(55)});
    let refused = operator.post("/api/v1/admin/templates", &template).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(refused.body["errors"][0]["code"], "schema_too_costly", "{:#}", refused.body);

    store_schema(&fleet, &tenant, &costly_schema(55)).await;
    let refused = client.send("overdue", &long_batch("b", 3)).await;
    assert_eq!(
        (refused.status, &refused.body["code"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("schema_too_costly"))
    );
    assert!(refused.body["detail"].as_str().unwrap().contains("overdue-padrao"), "{:#}", refused.body);
    assert_eq!(fleet.count("select count(*) from campaigns").await, 0);
    client.send_accepted("overdue", &batch("without variables it costs little", 1)).await;
    fleet.end_unfinished().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_batches_that_cost_much_do_not_delay_those_of_another_tenant() {
    let (fleet, quiet, greedy) = with_costly_schema(55, |api| api.limits.cores = 2).await;
    let posts = async |name: &str| {
        let mut times = Vec::new();
        for number in 0..10 {
            let batch = batch(&format!("{name}-{number}-q"), 1);
            let started = Instant::now();
            quiet.send_accepted("overdue", &batch).await;
            times.push(started.elapsed());
        }
        times.sort_unstable();
        times[5]
    };
    posts("warm").await;
    let idle = posts("idle").await;
    let running: Vec<_> = (0..40)
        .map(|number| {
            let greedy = greedy.clone();
            tokio::spawn(async move { greedy.send("overdue", &long_batch(&format!("greedy-{number}"), 1)).await })
        })
        .collect();
    eventually("the first costly post to end", async || running.iter().any(|post| post.is_finished())).await;
    let loaded = posts("loaded").await;
    let waiting = running.iter().filter(|post| !post.is_finished()).count();
    println!("posts of 1: {idle:?} idle, {loaded:?} beside {waiting} costly posts");
    assert!(waiting > 0, "the costly posts ended too early");
    assert!(loaded < idle * 8 + Duration::from_millis(50), "{loaded:?}, idle {idle:?}");
    running.iter().for_each(tokio::task::JoinHandle::abort);
    fleet.end_unfinished().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn batch_of_a_caller_that_hung_up_stops_and_frees_its_permits() {
    let (fleet, _, greedy) = with_costly_schema(55, |api| {
        api.limits.cores = 1;
        // The batch would take half an hour.
        api.limits.composing_time = Duration::from_secs(3600);
    })
    .await;
    for number in 0..3 {
        let body = long_batch(&format!("left-{number}"), 100);
        let post = greedy.request(Method::POST, "/api/v1/billing/send/overdue").json(&body);
        let hung_up = tokio::time::timeout(Duration::from_secs(1), post.send()).await;
        assert!(hung_up.is_err(), "the batch was answered: {:?}", hung_up.unwrap().unwrap().status());
    }
    // A large batch that costs little: it has no variables.
    eventually("the permit of the large batches to be free", async || {
        greedy.send("overdue", &batch("after", 1000)).await.status == StatusCode::ACCEPTED
    })
    .await;
    fleet.end_unfinished().await;
}
