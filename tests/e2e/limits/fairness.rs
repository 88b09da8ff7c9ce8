//! One tenant posts large batches without pause, and the latency of another stays bounded. A small run with a generous
//! bound, because all programs run on the test's cores; `make security` measures it properly (docs/limits.md).

use std::time::Duration;

use regua_tests::{Client, Fleet, TenantOptions, load};

use super::only_the_api;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_batches_of_one_tenant_do_not_delay_small_batches_of_another() {
    let (fleet, _, greedy) = Fleet::with(only_the_api(|_| {}), TenantOptions::default()).await;
    let quiet = TenantOptions { slug: "quiet", instances: vec!["quiet".to_owned()], ..TenantOptions::default() };
    let quiet = Client::new(&fleet.api, &fleet.create_tenant(&quiet).await.key);
    let (compared, accepted) = load::fairness(&quiet, &greedy, &[1, 100], 30).await;
    assert!(accepted > 0, "no large batch was accepted meanwhile");
    for compared in compared {
        println!("{compared}");
        let bound = compared.idle.quantile(0.5) * 8 + Duration::from_millis(50);
        assert!(compared.loaded.quantile(0.5) < bound, "{compared}");
    }
    fleet.end_unfinished().await;
}
