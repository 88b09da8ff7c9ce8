//! What the API asks of every caller besides a good key: how often, how many at once, how large, how slow. docs/limits.md
//! tells each promise with its test.

mod connections;
mod fairness;
mod flood;
mod keys;
mod rates;
mod redis;

use std::num::NonZeroU32;

use regua_api::ApiSettings;
use regua_domain::Rate;
use regua_tests::{Answer, Client, FleetOptions};
use reqwest::{Method, StatusCode};

/// A fleet that sends nothing, with an API that differs.
fn only_the_api(differ: impl FnOnce(&mut ApiSettings)) -> FleetOptions {
    let mut options = FleetOptions { workers: 0, periodic: false, ..FleetOptions::default() };
    differ(&mut options.api);
    options
}

/// So many at once, and then one a minute: whatever a test's machine does, nothing is earned meanwhile.
fn a_few(burst: u32) -> Rate {
    Rate::with_burst(NonZeroU32::MIN, NonZeroU32::new(burst).unwrap())
}

async fn look(client: &Client) -> Answer {
    client.call(Method::GET, "/api/v1/billing/queues", None).await
}

async fn looks(client: &Client, times: usize) -> Vec<u16> {
    let mut statuses = Vec::new();
    for _ in 0..times {
        statuses.push(look(client).await.status.as_u16());
    }
    statuses
}

fn count(statuses: &[u16], status: StatusCode) -> usize {
    statuses.iter().filter(|one| **one == status.as_u16()).count()
}

/// A key of the right form that is nobody's.
fn stranger(number: u64) -> String {
    format!("regua_{:0>8}_{:0>43}", number % 100_000_000, number)
}
