//! Listings are read from a replica, and everything else from the primary.

use std::time::{Duration, Instant};

use regua_tests::{Client, Fleet, FleetOptions, Postgres, TenantOptions, batch, eventually};
use reqwest::{Method, StatusCode};

/// The external ids of the listed queues.
async fn listed(erp: &Client) -> Vec<String> {
    let answer = erp.call(Method::GET, "/api/v1/billing/queues", None).await;
    assert_eq!(answer.status, StatusCode::OK, "{:#}", answer.body);
    let ids = answer.body["items"].as_array().unwrap().iter().map(|queue| queue["external_id"].as_str().unwrap());
    ids.map(str::to_owned).collect()
}

/// The number of listings that were read from this database.
fn read_from(fleet: &Fleet, database: &str) -> u64 {
    fleet.metrics.api.listings.with_label_values(&[database]).get()
}

/// A fleet with a replica that may lag by `max_lag`, from which one queue was listed.
async fn fleet_with_replica(max_lag: Duration) -> Option<(Postgres, Postgres, Fleet, Client)> {
    let primary = Postgres::try_start().await?;
    let replica = primary.follower().await;
    let options = FleetOptions {
        database: Some(primary.url()),
        replica: Some((replica.url(), max_lag)),
        ..FleetOptions::default()
    };
    let (fleet, _, erp) = Fleet::with(options, TenantOptions::default()).await;
    let queue = erp.send_accepted("notification", &batch("lote-a", 3)).await;
    erp.wait_for_status(&queue, "completed").await;
    eventually("the replica to be used", async || listed(&erp).await == ["lote-a"] && read_from(&fleet, "replica") > 0)
        .await;
    Some((primary, replica, fleet, erp))
}

#[tokio::test(flavor = "multi_thread")]
async fn listing_reads_replica_and_status_reads_primary() {
    let Some((_primary, replica, fleet, erp)) = fleet_with_replica(Duration::from_secs(600)).await else { return };
    replica.pause_replay().await;
    let queue = erp.send_accepted("notification", &batch("lote-b", 3)).await;
    erp.wait_for_status(&queue, "completed").await;
    assert_eq!(listed(&erp).await, ["lote-a"], "the replica does not know the second batch");
    assert_eq!(erp.contacts(&queue).await.len(), 3, "the contacts are read from the primary");
    replica.resume_replay().await;
    eventually("the replica to show it", async || listed(&erp).await == ["lote-b", "lote-a"]).await;
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lagging_replica_is_not_read_until_it_catches_up() {
    let Some((_primary, replica, fleet, erp)) = fleet_with_replica(Duration::from_secs(2)).await else { return };
    replica.pause_replay().await;
    let queue = erp.send_accepted("notification", &batch("lote-b", 3)).await;
    erp.wait_for_status(&queue, "completed").await;
    eventually("the primary to be read", async || listed(&erp).await == ["lote-b", "lote-a"]).await;
    replica.resume_replay().await;
    let before = read_from(&fleet, "replica");
    eventually("the replica to be used again", async || {
        listed(&erp).await == ["lote-b", "lote-a"] && read_from(&fleet, "replica") > before
    })
    .await;
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unresponsive_replica_delays_at_most_one_request() {
    let Some((_primary, mut replica, fleet, erp)) = fleet_with_replica(Duration::from_secs(600)).await else { return };
    replica.freeze().await;
    let started = Instant::now();
    for _ in 0..30 {
        assert_eq!(listed(&erp).await, ["lote-a"]);
    }
    // If every request waited for the replica, each would take a second.
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    replica.thaw().await;
    let before = read_from(&fleet, "replica");
    eventually("the replica to be used again", async || {
        listed(&erp).await == ["lote-a"] && read_from(&fleet, "replica") > before
    })
    .await;
    replica.kill().await;
    for _ in 0..30 {
        assert_eq!(listed(&erp).await, ["lote-a"]);
    }
    fleet.end().await;
}
