//! The round trips of a post to PostgreSQL. A proxy between the API and PostgreSQL counts the messages after which the
//! API waits.

use std::time::Duration;

use regua_tests::{Client, Fleet, FleetOptions, Proxy, RoundTrip, TenantOptions, batch};

/// Most statements of a small post, with begin and commit. The ping of the connection is its sixth round trip.
const MOST: usize = 5;
/// Timed posts of each size.
const POSTS: usize = 10;

/// A fleet whose API has cached the key of the client, and has one connection with prepared statements.
async fn warm_api() -> (Fleet, Client, Proxy) {
    let server = std::env::var("DATABASE_URL").expect("DATABASE_URL");
    let (proxy, proxied) = Proxy::in_front_of(&server, true).await;
    let mut options = FleetOptions { workers: 0, periodic: false, ..FleetOptions::default() };
    options.proxied_api_database = Some(proxied);
    // The key is looked up once.
    options.api.limits.key_cached_for = Duration::from_secs(3600);
    let (fleet, _, client) = Fleet::with(options, TenantOptions::default()).await;
    for warm_up in 0..3 {
        client.send_accepted("overdue", &batch(&format!("warm-{warm_up}"), 1)).await;
    }
    (fleet, client, proxy)
}

/// The round trips of each of `POSTS` posts, one after the other.
async fn count(client: &Client, proxy: &Proxy, contacts: usize) -> Vec<Vec<RoundTrip>> {
    let mut counts = Vec::new();
    proxy.round_trips.take();
    for number in 0..POSTS {
        client.send_accepted("overdue", &batch(&format!("counted-{contacts}-{number}"), contacts)).await;
        counts.push(proxy.round_trips.take());
    }
    counts
}

fn statements(round_trips: &[RoundTrip]) -> usize {
    round_trips.iter().filter(|one| **one == RoundTrip::Statement).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn small_post_makes_at_most_six_round_trips() {
    let (fleet, client, proxy) = warm_api().await;
    for contacts in [1, 50] {
        let counts = count(&client, &proxy, contacts).await;
        for round_trips in &counts {
            let statements = statements(round_trips);
            println!("a post of {contacts}: {statements} statements, {} in all", round_trips.len());
            assert!((2..=MOST).contains(&statements), "a post of {contacts}: {round_trips:?}");
        }
        // One ping before the use of the connection. Two when it goes back to the pool, after the answer: the pool's own
        // one, and ours, which has a time limit.
        let pings = counts.iter().flatten().filter(|one| **one == RoundTrip::Ping).count();
        assert!(pings <= POSTS * 3 + 2, "{pings} pings: {counts:?}");
    }
    fleet.end_unfinished().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn round_trips_of_a_larger_batch_are_bounded_by_its_statements() {
    let (fleet, client, proxy) = warm_api().await;
    let counts = count(&client, &proxy, 200).await;
    // 64 contacts with the first statement and with each further one.
    assert!(counts.iter().all(|round_trips| statements(round_trips) <= MOST + 1 + 200 / 64), "{counts:?}");
    fleet.end_unfinished().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replay_makes_at_most_six_round_trips() {
    let (fleet, client, proxy) = warm_api().await;
    proxy.round_trips.take();
    let replayed = client.send("overdue", &batch("warm-0", 1)).await;
    assert_eq!((replayed.status.as_u16(), &replayed.body["replayed"]), (200, &true.into()));
    assert!(statements(&proxy.round_trips.take()) <= MOST);
    fleet.end_unfinished().await;
}
