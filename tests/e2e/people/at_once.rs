//! Two changes at the same moment: the second sees what the first has done.

use regua_domain::UserRole;
use regua_tests::{Fleet, Person, eventually};
use reqwest::{Method, StatusCode};
use serde_json::json;
use sqlx::{Postgres, Transaction};

use super::{code, fleet};

/// Holds up every change before it can be written down, until it is dropped.
async fn held_up(fleet: &Fleet) -> Transaction<'static, Postgres> {
    let mut transaction = fleet.database.pool.begin().await.unwrap();
    #[expect(clippy::disallowed_methods, reason = "a test stands in the way of what is written")]
    sqlx::query("lock table audit_log in share mode").execute(&mut *transaction).await.unwrap();
    transaction
}

/// Waits until so many changes wait: for the audit log, or for one another.
async fn waiting(fleet: &Fleet, number: i64) {
    let waiting =
        "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    eventually("changes to wait", async || fleet.count(waiting).await == number).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_owners_who_take_each_others_rights_at_once_leave_one_owner() {
    let (fleet, tenant) = fleet().await;
    let ana = Person::logged_in(&fleet, &tenant, UserRole::Owner, "ana").await;
    let rui = Person::logged_in(&fleet, &tenant, UserRole::Owner, "rui").await;
    let held = held_up(&fleet).await;
    let demote = |by: &Person, whom: &Person| {
        let (by, path) = (by.clone(), format!("/api/v1/admin/users/{}", whom.id));
        tokio::spawn(async move { by.put(&path, &json!({"name": "Era", "role": "viewer"})).await })
    };
    let both = [demote(&ana, &rui), demote(&rui, &ana)];
    waiting(&fleet, 2).await;
    held.rollback().await.unwrap();
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
async fn a_key_that_is_revoked_while_it_is_replaced_stays_off() {
    let (fleet, tenant) = fleet().await;
    let ana = Person::logged_in(&fleet, &tenant, UserRole::Owner, "ana").await;
    let keys = ana.get("/api/v1/admin/keys").await.body;
    let path = format!("/api/v1/admin/keys/{}", keys["items"][0]["key_id"].as_str().unwrap());
    let held = held_up(&fleet).await;
    let call = |method: Method, path: String| {
        let ana = ana.clone();
        tokio::spawn(async move { ana.call(method, &path, Some(&json!({}))).await })
    };
    let revoked = call(Method::DELETE, path.clone());
    waiting(&fleet, 1).await;
    let replaced = call(Method::POST, format!("{path}/rotate"));
    waiting(&fleet, 2).await;
    held.rollback().await.unwrap();
    assert_eq!(revoked.await.unwrap().status, StatusCode::NO_CONTENT);
    assert_eq!(code(&replaced.await.unwrap()), "state_conflict");
    assert_eq!(fleet.count("select count(*) from api_keys where active").await, 0);
    fleet.end().await;
}
