//! Concurrent changes are serialized: the second sees the result of the first.

use regua_domain::UserRole;
use regua_tests::{Fleet, TestUser, eventually};
use reqwest::{Method, StatusCode};
use serde_json::json;
use sqlx::{Postgres, Transaction};

use super::{code, fleet};

/// Blocks every change at its audit entry, until the returned transaction ends.
async fn block_changes(fleet: &Fleet) -> Transaction<'static, Postgres> {
    let mut transaction = fleet.database.pool.begin().await.unwrap();
    #[expect(clippy::disallowed_methods, reason = "a test blocks writes by a table lock")]
    sqlx::query("lock table audit_log in share mode").execute(&mut *transaction).await.unwrap();
    transaction
}

/// Waits until this many changes wait for a lock: of the audit log, or of one another.
async fn until_waiting(fleet: &Fleet, number: i64) {
    let waiting =
        "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    eventually("changes to wait", async || fleet.count(waiting).await == number).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn owners_who_demote_each_other_concurrently_leave_one_owner() {
    let (fleet, tenant) = fleet().await;
    let ana = TestUser::logged_in(&fleet, &tenant, UserRole::Owner, "ana").await;
    let rui = TestUser::logged_in(&fleet, &tenant, UserRole::Owner, "rui").await;
    let blocker = block_changes(&fleet).await;
    let demote = |by: &TestUser, whom: &TestUser| {
        let (by, path) = (by.clone(), format!("/api/v1/admin/users/{}", whom.id));
        tokio::spawn(async move { by.put(&path, &json!({"name": "Era", "role": "viewer"})).await })
    };
    let both = [demote(&ana, &rui), demote(&rui, &ana)];
    until_waiting(&fleet, 2).await;
    blocker.rollback().await.unwrap();
    let mut statuses = Vec::new();
    for one in both {
        statuses.push(one.await.unwrap().status.as_u16());
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
    assert_eq!(fleet.count("select count(*) from users where role = 'owner'").await, 1);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn key_revoked_during_rotation_stays_revoked() {
    let (fleet, tenant) = fleet().await;
    let ana = TestUser::logged_in(&fleet, &tenant, UserRole::Owner, "ana").await;
    let keys = ana.get("/api/v1/admin/keys").await.body;
    let path = format!("/api/v1/admin/keys/{}", keys["items"][0]["key_id"].as_str().unwrap());
    let blocker = block_changes(&fleet).await;
    let call = |method: Method, path: String| {
        let ana = ana.clone();
        tokio::spawn(async move { ana.call(method, &path, Some(&json!({}))).await })
    };
    let revoked = call(Method::DELETE, path.clone());
    until_waiting(&fleet, 1).await;
    let replaced = call(Method::POST, format!("{path}/rotate"));
    until_waiting(&fleet, 2).await;
    blocker.rollback().await.unwrap();
    assert_eq!(revoked.await.unwrap().status, StatusCode::NO_CONTENT);
    assert_eq!(code(&replaced.await.unwrap()), "state_conflict");
    assert_eq!(fleet.count("select count(*) from api_keys where active").await, 0);
    fleet.end().await;
}
