//! A large batch that waits for others holds nothing in PostgreSQL.

use std::time::Duration;

use regua_tests::{Fleet, TenantOptions, batch, eventually};
use reqwest::StatusCode;
use sqlx::Executor;

use super::only_the_api;

#[tokio::test(flavor = "multi_thread")]
async fn large_batch_waits_for_its_permit_before_a_transaction_begins() {
    let options = only_the_api(|api| {
        api.limits.cores = 1;
        api.limits.key_cached_for = Duration::from_secs(3600);
        // A large batch waits for half of it.
        api.body_timeout = Duration::from_secs(4);
    });
    let (fleet, _, client) = Fleet::with(options, TenantOptions::default()).await;
    client.send_accepted("overdue", &batch("the key is cached", 1)).await;
    let mut lock = fleet.database.pool.begin().await.unwrap();
    lock.execute("select from tenants for update").await.unwrap();
    let post = |external_id: &str| {
        let (client, large) = (client.clone(), batch(external_id, 1000));
        tokio::spawn(async move { client.send("overdue", &large).await })
    };
    let first = post("first");
    // A batch that has begun waits here for the tenant's row, because it reserves references.
    let waiting = "select count(*) from pg_stat_activity
                   where datname = current_database() and wait_event_type = 'Lock'";
    eventually("the first batch to wait for the tenant's row", async || fleet.count(waiting).await == 1).await;

    let second = post("second");
    while !second.is_finished() {
        assert_eq!(fleet.count(waiting).await, 1, "a batch without a permit began a transaction");
    }
    assert_eq!(second.await.unwrap().status, StatusCode::TOO_MANY_REQUESTS);
    lock.rollback().await.unwrap();
    assert_eq!(first.await.unwrap().status, StatusCode::ACCEPTED);
    fleet.end_unfinished().await;
}
