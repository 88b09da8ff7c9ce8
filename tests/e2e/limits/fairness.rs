//! One tenant posts large batches without pause, and another does not feel it. A small run with a generous bound, in which
//! everything shares the test's cores; `make security` measures it properly (docs/limits.md).

use std::time::Duration;

use regua_tests::{Client, Fleet, TenantOptions, load};

use super::only_the_api;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_batches_of_one_tenant_do_not_hold_up_anothers_small_ones() {
    let (fleet, _, greedy) = Fleet::with(only_the_api(|_| {}), TenantOptions::default()).await;
    let quiet = TenantOptions { slug: "quiet", instances: vec!["quiet".to_owned()], ..TenantOptions::default() };
    let quiet = Client::new(&fleet.api, &fleet.tenant(&quiet).await.key);
    let (compared, taken) = load::fairness(&quiet, &greedy, &[1, 100], 30).await;
    assert!(taken > 0, "no large batch was taken meanwhile");
    for compared in compared {
        println!("{compared}");
        let bound = compared.idle.quantile(0.5) * 8 + Duration::from_millis(50);
        assert!(compared.loaded.quantile(0.5) < bound, "{compared}");
    }
    fleet.end_unfinished().await;
}
