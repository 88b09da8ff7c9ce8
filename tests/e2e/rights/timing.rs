//! The time of a refusal does not reveal whether an id exists at another tenant.

use std::time::{Duration, Instant};

use regua_domain::UserRole;
use regua_tests::{Fleet, FleetOptions, TenantOptions, TestUser};
use reqwest::{Method, StatusCode};

use super::caller::Caller;
use super::paths::{TenantWithUsers, has_tenant_id, unknown_path};
use super::routes::ROUTES;

/// Pairs of calls in one round.
const PAIRS: usize = 25;
/// Rounds before the first comparison, and rounds before the test gives up.
const ROUNDS: std::ops::RangeInclusive<usize> = 2..=12;
/// A caller can measure a difference above this factor.
const FACTOR: f64 = 1.5;

/// Times of refusals: of another tenant's id, and of an unknown id.
struct Samples {
    paths: [String; 2],
    times: [Vec<Duration>; 2],
}

impl Samples {
    /// Calls the two paths in pairs, and alternates which comes first: load of the machine and effects of the order
    /// slow both alike.
    async fn add_round(&mut self, caller: &Caller<'_>) {
        for pair in 0..PAIRS {
            for which in [pair % 2, 1 - pair % 2] {
                self.times[which].push(time_of_refusal(caller, &self.paths[which]).await);
            }
        }
    }

    fn means(&self) -> [Means; 2] {
        self.times.each_ref().map(|times| Means::of(times))
    }
}

/// Means that slow outliers do not reach.
#[derive(Clone, Copy, Debug)]
struct Means {
    fastest_half: Duration,
    middle_half: Duration,
}

impl Means {
    fn of(times: &[Duration]) -> Self {
        let mut sorted = times.to_vec();
        sorted.sort_unstable();
        let (half, quarter) = (sorted.len() / 2, sorted.len() / 4);
        Self { fastest_half: mean(&sorted[..half]), middle_half: mean(&sorted[quarter..sorted.len() - quarter]) }
    }

    fn agree(self, other: Self) -> bool {
        let is_near = |one: Duration, other: Duration| one < other.mul_f64(FACTOR) && other < one.mul_f64(FACTOR);
        is_near(self.fastest_half, other.fastest_half) && is_near(self.middle_half, other.middle_half)
    }
}

fn mean(times: &[Duration]) -> Duration {
    times.iter().sum::<Duration>() / u32::try_from(times.len()).unwrap()
}

async fn time_of_refusal(caller: &Caller<'_>, path: &str) -> Duration {
    let started = Instant::now();
    assert_eq!(caller.call(path).await.status, StatusCode::NOT_FOUND, "{} {path}", caller.method);
    started.elapsed()
}

/// Both ids run the same statements and find no row. Rounds are added until the means agree. Every sample counts, so
/// noise averages out with each round, while a real difference remains until the last round and fails it.
async fn assert_times_agree(caller: &Caller<'_>, foreign_path: String) {
    let paths = [foreign_path, unknown_path(caller.pattern)];
    for path in &paths {
        time_of_refusal(caller, path).await;
    }
    let mut samples = Samples { paths, times: [Vec::new(), Vec::new()] };
    for round in 1..=*ROUNDS.end() {
        samples.add_round(caller).await;
        let [foreign, unknown] = samples.means();
        let result = format!("{} {}: {foreign:?}, unknown id: {unknown:?}", caller.method, caller.pattern);
        if ROUNDS.contains(&round) && foreign.agree(unknown) {
            return;
        }
        assert!(round < *ROUNDS.end(), "the time reveals another tenant's id: {result}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refusal_time_does_not_reveal_whether_an_id_exists() {
    let options = FleetOptions { workers: 0, periodic: false, ..FleetOptions::default() };
    let (fleet, acme, key) = Fleet::with(options, TenantOptions::default()).await;
    let owner = TestUser::logged_in(&fleet, &acme, UserRole::Owner, "dona").await;
    let other = TenantOptions { slug: "other", instances: vec!["filial".to_owned()], ..TenantOptions::default() };
    let other = fleet.create_tenant(&other).await;
    let other = TenantWithUsers::create(&fleet, other).await;
    let mut compared = 0;
    for (method, pattern, access) in ROUTES {
        // A day and a type are not ids.
        if !has_tenant_id(pattern, *access) || pattern.contains("{day}") || pattern.contains("{type}") {
            continue;
        }
        let method: Method = method.to_uppercase().parse().unwrap();
        let caller = Caller { method: &method, pattern, access: *access, owner: &owner, key: &key };
        assert_times_agree(&caller, other.path(pattern)).await;
        compared += 1;
    }
    println!("the times of {compared} routes compared");
    assert!(compared > 10, "{compared}");
    fleet.end_unfinished().await;
}
