//! Listings come from a replica, and everything else from the primary.

use std::time::{Duration, Instant};

use regua_tests::{Client, Fleet, FleetOptions, Postgres, TenantOptions, batch, eventually};
use reqwest::{Method, StatusCode};

async fn listed(erp: &Client) -> Vec<String> {
    let answer = erp.call(Method::GET, "/api/v1/billing/queues", None).await;
    assert_eq!(answer.status, StatusCode::OK, "{:#}", answer.body);
    let ids = answer.body["items"].as_array().unwrap().iter().map(|queue| queue["external_id"].as_str().unwrap());
    ids.map(str::to_owned).collect()
}

fn read_from(fleet: &Fleet, database: &str) -> u64 {
    fleet.metrics.listings.with_label_values(&[database]).get()
}

/// A fleet with a replica that may be so far behind, from which one queue was listed.
async fn fleet_with_replica(max_lag: Duration) -> Option<(Postgres, Postgres, Fleet, Client)> {
    let primary = Postgres::try_start().await?;
    let replica = primary.follower().await;
    let options = FleetOptions {
        database: Some(primary.url()),
        replica: Some((replica.url(), max_lag)),
        ..FleetOptions::default()
    };
    let (fleet, _, erp) = Fleet::with(options, TenantOptions::default()).await;
    let queue = erp.accepted("notification", &batch("lote-a", 3)).await;
    erp.until(&queue, "completed").await;
    eventually("the replica to be used", async || listed(&erp).await == ["lote-a"] && read_from(&fleet, "replica") > 0)
        .await;
    Some((primary, replica, fleet, erp))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_shows_what_the_replica_has_and_a_status_what_is_true() {
    let Some((_primary, replica, fleet, erp)) = fleet_with_replica(Duration::from_secs(600)).await else { return };
    replica.pause_replay().await;
    let queue = erp.accepted("notification", &batch("lote-b", 3)).await;
    erp.until(&queue, "completed").await;
    assert_eq!(listed(&erp).await, ["lote-a"], "the replica does not know the second batch");
    assert_eq!(erp.contacts(&queue).await.len(), 3, "but who asks for the second batch gets it");
    replica.resume_replay().await;
    eventually("the replica to show it", async || listed(&erp).await == ["lote-b", "lote-a"]).await;
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_is_far_behind_is_left_alone_until_it_has_caught_up() {
    let Some((_primary, replica, fleet, erp)) = fleet_with_replica(Duration::from_secs(2)).await else { return };
    replica.pause_replay().await;
    let queue = erp.accepted("notification", &batch("lote-b", 3)).await;
    erp.until(&queue, "completed").await;
    eventually("the primary to be asked", async || listed(&erp).await == ["lote-b", "lote-a"]).await;
    replica.resume_replay().await;
    let before = read_from(&fleet, "replica");
    eventually("the replica to be used again", async || {
        listed(&erp).await == ["lote-b", "lote-a"] && read_from(&fleet, "replica") > before
    })
    .await;
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_is_silent_or_dead_holds_up_one_request_and_no_more() {
    let Some((_primary, mut replica, fleet, erp)) = fleet_with_replica(Duration::from_secs(600)).await else { return };
    replica.freeze().await;
    let started = Instant::now();
    for _ in 0..30 {
        assert_eq!(listed(&erp).await, ["lote-a"]);
    }
    // Each for itself would wait for a second.
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
