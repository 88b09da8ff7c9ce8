//! The API's connections to the database: a quarter of them for each tenant and a quarter that tenants share, an eighth
//! for a tenant's requests that store nothing, one export or erasure of a tenant at a time, and a time limit for each
//! statement.

use std::time::Duration;

use regua_domain::UserRole;
use regua_store::access;
use regua_tests::{Answer, Client, Fleet, Tenant, TenantOptions, TestUser, batch, eventually};
use reqwest::StatusCode;
use serde_json::json;
use sqlx::{AssertSqlSafe, Executor, Postgres, Transaction};
use tokio::task::JoinHandle;

use super::only_the_api;

/// Of the 24 connections of a test's API a tenant that is alone has half, and callers without a credential a quarter.
const HALF: i64 = 12;
const QUARTER: i64 = 6;
/// A tenant's requests other than batches and webhooks have an eighth.
const EIGHTH: i64 = 3;
const WAITING: &str = "select count(*) from pg_stat_activity
                       where datname = current_database() and wait_event_type = 'Lock'";

/// An API that has looked up the client's key, and a lock for which each further batch of its tenant waits.
async fn locked_tenant() -> (Fleet, Client, Transaction<'static, Postgres>) {
    let options = only_the_api(|api| api.limits.key_cached_for = Duration::from_secs(3600));
    let (fleet, tenant, client) = Fleet::with(options, TenantOptions::default()).await;
    client.send_accepted("overdue", &batch("first", 1)).await;
    let mut lock = fleet.database.pool.begin().await.unwrap();
    let statement = format!("select from tenants where tenant_id = '{}' for update", tenant.id);
    lock.execute(AssertSqlSafe(statement)).await.unwrap();
    (fleet, client, lock)
}

fn post_batches(client: &Client, name: &str, count: i64) -> Vec<JoinHandle<Answer>> {
    let post = |number| {
        let (client, batch) = (client.clone(), batch(&format!("{name}-{number}"), 1));
        tokio::spawn(async move { client.send("overdue", &batch).await })
    };
    (0..count).map(post).collect()
}

async fn wait_for_half(fleet: &Fleet) {
    eventually("half of the connections to wait for the lock", async || fleet.count(WAITING).await == HALF).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tenant_holds_half_of_the_connections_and_another_does_not_wait() {
    let (fleet, greedy, lock) = locked_tenant().await;
    let quiet = TenantOptions { slug: "quiet", instances: vec!["quiet".to_owned()], ..TenantOptions::default() };
    let quiet = Client::new(&fleet.api, &fleet.create_tenant(&quiet).await.key);
    let posts = post_batches(&greedy, "greedy", 30);
    wait_for_half(&fleet).await;
    for number in 0..5 {
        quiet.send_accepted("overdue", &batch(&format!("quiet-{number}"), 1)).await;
    }
    eventually("the posts without a connection to be refused", async || {
        posts.iter().filter(|post| post.is_finished()).count() == 18
    })
    .await;
    assert_eq!(fleet.count(WAITING).await, HALF);
    lock.rollback().await.unwrap();
    let mut accepted = 0;
    for post in posts {
        let answer = post.await.unwrap();
        if answer.status == StatusCode::ACCEPTED {
            accepted += 1;
        } else {
            assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS, "{:#}", answer.body);
            assert_eq!(answer.headers["retry-after"], "1");
        }
    }
    assert_eq!(accepted, HALF);
    fleet.end_unfinished().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_store_no_batch_hold_an_eighth_of_the_connections() {
    let options = only_the_api(|api| api.limits.key_cached_for = Duration::from_secs(3600));
    let (fleet, tenant, client) = Fleet::with(options, TenantOptions::default()).await;
    client.send_accepted("overdue", &batch("first", 1)).await;
    let owner = owner_of(&fleet, &tenant).await;
    let mut lock = fleet.database.pool.begin().await.unwrap();
    lock.execute("lock table audit_log in share mode").await.unwrap();
    let change = || {
        let (owner, template) = (owner.clone(), json!({"name": "x", "type": "notification", "variations": ["Olá"]}));
        tokio::spawn(async move { owner.post("/api/v1/admin/templates", &template).await })
    };
    let changes: Vec<_> = (0..10).map(|_| change()).collect();
    eventually("the changes without a connection to be refused", async || {
        changes.iter().filter(|change| change.is_finished()).count() == 7
    })
    .await;
    assert_eq!(fleet.count(WAITING).await, EIGHTH);
    client.send_accepted("overdue", &batch("second", 1)).await;
    lock.rollback().await.unwrap();
    let mut refused = 0;
    for change in changes {
        refused += usize::from(change.await.unwrap().status == StatusCode::TOO_MANY_REQUESTS);
    }
    assert_eq!(refused, 7);
    fleet.end_unfinished().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn caller_that_hung_up_holds_its_connection_until_its_statement_ends() {
    let (fleet, client, lock) = locked_tenant().await;
    let hung_up = post_batches(&client, "hung-up", HALF);
    wait_for_half(&fleet).await;
    hung_up.iter().for_each(JoinHandle::abort);
    for post in post_batches(&client, "next", HALF) {
        let answer = post.await.unwrap();
        assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS, "{:#}", answer.body);
    }
    assert_eq!(fleet.count(WAITING).await, HALF);
    lock.rollback().await.unwrap();
    eventually("the permits to be given back", async || {
        let posts = post_batches(&client, "free", 1).swap_remove(0);
        posts.await.unwrap().status.is_success()
    })
    .await;
    fleet.end_unfinished().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn logins_use_nothing_of_the_connections_of_the_tenant_that_they_name() {
    let options = only_the_api(|api| api.limits.key_cached_for = Duration::from_secs(3600));
    let (fleet, tenant, client) = Fleet::with(options, TenantOptions::default()).await;
    client.send_accepted("overdue", &batch("first", 1)).await;
    let (user, _) = TestUser::invited(&fleet, &tenant, UserRole::Viewer, "ana").await;
    let mut lock = fleet.database.pool.begin().await.unwrap();
    lock.execute("lock table login_failures in share mode").await.unwrap();
    let log_in = || {
        let user = user.clone();
        tokio::spawn(async move { user.try_login("a wrong password", None).await })
    };
    let logins: Vec<_> = (0..QUARTER + 4).map(|_| log_in()).collect();
    eventually("the logins without a connection to be refused", async || {
        logins.iter().filter(|login| login.is_finished()).count() >= 4
    })
    .await;
    assert!(fleet.count(WAITING).await <= QUARTER);
    client.send_accepted("overdue", &batch("second", 1)).await;
    lock.rollback().await.unwrap();
    for login in logins {
        let answer = login.await.unwrap();
        assert!(answer.status == 401 || answer.status == 503 || answer.status == 429, "{:#}", answer.body);
    }
    fleet.end_unfinished().await;
}

async fn owner_of(fleet: &Fleet, tenant: &Tenant) -> TestUser {
    TestUser::logged_in(fleet, tenant, UserRole::Owner, "dona").await
}

#[tokio::test(flavor = "multi_thread")]
async fn tenant_has_one_export_or_erasure_under_way() {
    let (fleet, tenant, _) = Fleet::with(only_the_api(|_| {}), TenantOptions::default()).await;
    let owner = owner_of(&fleet, &tenant).await;
    let debtor = json!({"phone": "+5511988887777"});
    let call = |what: &str| {
        let (owner, path, debtor) = (owner.clone(), format!("/api/v1/admin/debtors/{what}"), debtor.clone());
        async move { owner.post(&path, &debtor).await }
    };
    let mut lock = fleet.database.pool.begin().await.unwrap();
    lock.execute("lock table audit_log in share mode").await.unwrap();
    let first = tokio::spawn(call("export"));
    eventually("the export to wait for the audit log", async || fleet.count(WAITING).await == 1).await;
    for what in ["export", "erase"] {
        let refused = call(what).await;
        assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS, "{what}: {:#}", refused.body);
        assert_eq!(refused.headers["retry-after"], "1");
    }
    lock.rollback().await.unwrap();
    assert_eq!(first.await.unwrap().status, StatusCode::OK);
    for what in ["export", "erase"] {
        assert_eq!(call(what).await.status, StatusCode::OK, "{what}");
    }
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_of_requests_end_before_the_request_does() {
    let (fleet, tenant, _) = Fleet::with(only_the_api(|_| {}), TenantOptions::default()).await;
    let pool = &fleet.database.pool;
    let mut next = access::begin(pool, tenant.id).await.unwrap();
    access::begin_next(&mut next, tenant.id).await.unwrap();
    for mut transaction in [
        next,
        access::begin(pool, tenant.id).await.unwrap(),
        access::begin_webhook(pool, tenant.id).await.unwrap(),
        access::begin_lookup(pool, "prefix").await.unwrap(),
        access::begin_slug(pool, tenant.slug).await.unwrap(),
    ] {
        #[expect(clippy::disallowed_methods, reason = "a test reads the setting directly")]
        let limit: String = sqlx::query_scalar("show statement_timeout").fetch_one(&mut *transaction).await.unwrap();
        assert_eq!(limit, format!("{}s", access::STATEMENT_TIMEOUT.as_secs()));
    }
    assert!(access::STATEMENT_TIMEOUT < regua_api::ApiSettings::default().request_timeout);
    fleet.end().await;
}
