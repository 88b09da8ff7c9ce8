//! Many invalid keys do not slow valid ones down. A small run with a generous bound; `make security` sends 10,000 a
//! second (docs/limits.md).

use std::time::Duration;

use regua_tests::{Fleet, FleetOptions, TenantOptions, load};

use super::only_the_api;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flood_of_invalid_keys_does_not_slow_valid_keys() {
    let options = only_the_api(|api| api.limits.refused_keys = regua_api::LimitSettings::default().refused_keys);
    let (fleet, _, client) = Fleet::with(FleetOptions { ..options }, TenantOptions::default()).await;
    let (compared, bad) = load::flood(&fleet.api, &client, 500, Duration::from_secs(2)).await;
    println!("{compared}\n  {bad:?}");
    assert!(bad.made > 500, "{bad:?}");
    // Each of four addresses may cause 30 look-ups at once and one a second.
    assert!(bad.unknown <= 4 * 40 && bad.busy == 0, "{bad:?}");
    let bound = compared.idle.quantile(0.5) * 3 + Duration::from_millis(20);
    assert!(compared.loaded.quantile(0.5) < bound, "{compared}");
    fleet.end().await;
}
