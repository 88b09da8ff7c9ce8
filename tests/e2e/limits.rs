//! The API's limits on callers: request rates, concurrency, body size and slow connections. docs/limits.md lists each
//! limit with its test.

mod answers;
mod changes;
mod composing;
mod connections;
mod database;
mod discarded;
mod fairness;
mod idle;
mod keys;
mod rates;
mod redis;
mod unauthenticated;
mod webhooks;

use std::num::NonZeroU32;

use regua_api::ApiSettings;
use regua_domain::Rate;
use regua_tests::{Answer, Client, FleetOptions};
use reqwest::{Method, StatusCode};

/// A fleet without workers and periodic, with changed API settings.
fn only_the_api(change: impl FnOnce(&mut ApiSettings)) -> FleetOptions {
    let mut options = FleetOptions { workers: 0, periodic: false, ..FleetOptions::default() };
    change(&mut options.api);
    options
}

/// This many requests at once and then one a minute, so that a slow test machine earns no further request.
fn burst_only(burst: u32) -> Rate {
    Rate::with_burst(NonZeroU32::MIN, NonZeroU32::new(burst).unwrap())
}

/// Lists the queues: a cheap request with a key.
async fn list_queues(client: &Client) -> Answer {
    client.call(Method::GET, "/api/v1/billing/queues", None).await
}

/// Lists the queues this many times. Returns the statuses.
async fn list_queues_repeatedly(client: &Client, times: usize) -> Vec<u16> {
    let mut statuses = Vec::new();
    for _ in 0..times {
        statuses.push(list_queues(client).await.status.as_u16());
    }
    statuses
}

fn count(statuses: &[u16], status: StatusCode) -> usize {
    statuses.iter().filter(|one| **one == status.as_u16()).count()
}

/// A well-formed key that does not exist.
fn unknown_key(number: u64) -> String {
    format!("regua_{:0>8}_{:0>43}", number % 100_000_000, number)
}
