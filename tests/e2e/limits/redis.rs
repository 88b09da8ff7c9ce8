//! Rate limits that several processes count together in a real Redis, and in each process while Redis is down.

use std::time::{Duration, Instant};

use regua_api::ApiMetrics;
use regua_boot::Registry;
use regua_domain::Rate;
use regua_tests::{Client, Fleet, Redis, TenantOptions};
use reqwest::StatusCode;

use super::{count, list_queues, list_queues_repeatedly, only_the_api};

const SCRIPT: &str = include_str!("../../../bins/api/src/limits/gcra.lua");

/// For random rates, and from any stored value, the script gives the result of the pure function.
#[tokio::test]
async fn redis_script_and_domain_rate_agree() {
    let server = Redis::start().await;
    let mut redis = redis::Client::open(server.url()).unwrap().get_multiplexed_async_connection().await.unwrap();
    let mut random = fastrand::Rng::with_seed(7);
    let (mut allowed, mut refused) = (0, 0);
    for key in 0..60 {
        let per_minute = *random.choice([1, 7, 1200, 60_000, 999_999, 6_000_000].iter()).unwrap();
        let rate = Rate::with_burst(per_minute.try_into().unwrap(), random.u32(1..40).try_into().unwrap());
        let mut paid_until = None;
        for step in 0..60 {
            if step == 30 && key % 3 == 0 {
                // As after a failover to a server with a slow clock.
                let far: i64 = paid_until.unwrap_or_default() + random.i64(0..1_i64 << 40);
                let _: () = redis::cmd("SET").arg(key).arg(far).query_async(&mut redis).await.unwrap();
                paid_until = Some(far);
            }
            let mut eval = redis::cmd("EVAL");
            eval.arg(SCRIPT).arg(1).arg(key).arg(rate.interval()).arg(rate.burst());
            let (is_allowed, until, now): (bool, i64, i64) = eval.query_async(&mut redis).await.unwrap();
            let expected = rate.check(paid_until, now);
            assert_eq!(
                (is_allowed, until),
                (expected.is_allowed, expected.paid_until),
                "{rate:?} from {paid_until:?} at {now}"
            );
            *(if is_allowed { &mut allowed } else { &mut refused }) += 1;
            // A refused request is not stored.
            paid_until = if is_allowed { Some(until) } else { paid_until };
        }
        let ttl: i64 = redis::cmd("PTTL").arg(key).query_async(&mut redis).await.unwrap();
        assert!(ttl != -1 || key % 3 == 0, "the key has no expiry");
    }
    assert!(allowed > 500 && refused > 500, "{allowed} and {refused}");
}

#[tokio::test]
async fn processes_count_requests_together_in_redis() {
    let server = Redis::start().await;
    let (mut fleet, tenant, client) = fleet_with_redis(&server).await;
    let others = ApiMetrics::new(&Registry::default()).unwrap();
    let other = Client::new(&fleet.start_another_api(others.clone()).await, &tenant.key);
    until_degraded(&others, false).await;
    let mut statuses = list_queues_repeatedly(&client, 12).await;
    statuses.extend(list_queues_repeatedly(&other, 12).await);
    assert_eq!((count(&statuses, StatusCode::OK), count(&statuses, StatusCode::TOO_MANY_REQUESTS)), (20, 4));
    fleet.end().await;
}

#[tokio::test]
async fn rate_limits_hold_in_each_process_without_redis() {
    let mut server = Redis::start().await;
    let (fleet, _, client) = fleet_with_redis(&server).await;
    assert_eq!(count(&list_queues_repeatedly(&client, 15).await, StatusCode::OK), 15);

    server.kill().await;
    let statuses = list_queues_repeatedly(&client, 10).await;
    assert_eq!(count(&statuses, StatusCode::OK), 5, "the process continues from Redis's last value: {statuses:?}");
    until_degraded(&fleet.metrics.api, true).await;
    server.start_again().await;
    until_degraded(&fleet.metrics.api, false).await;
    assert_eq!(
        count(&list_queues_repeatedly(&client, 25).await, StatusCode::OK),
        20,
        "an empty Redis starts from zero"
    );
    fleet.end().await;
}

#[tokio::test]
async fn frozen_redis_delays_only_the_first_request() {
    let server = Redis::start().await;
    let (fleet, _, client) = fleet_with_redis(&server).await;
    assert_eq!(list_queues(&client).await.status, StatusCode::OK);
    server.freeze().await;
    let frozen = Instant::now();
    assert_eq!(count(&list_queues_repeatedly(&client, 10).await, StatusCode::OK), 10);
    assert!(frozen.elapsed() < Duration::from_secs(2), "only the first request may wait: {:?}", frozen.elapsed());
    until_degraded(&fleet.metrics.api, true).await;
    server.thaw().await;
    until_degraded(&fleet.metrics.api, false).await;
    assert_eq!(list_queues(&client).await.status, StatusCode::OK);
    fleet.end().await;
}

/// A fleet connected to this Redis. The tenant's key has one request a minute and a burst of 20.
async fn fleet_with_redis(server: &Redis) -> (Fleet, regua_tests::Tenant, Client) {
    let options = only_the_api(|api| api.limits.redis = Some(server.url().parse().unwrap()));
    let tenant = TenantOptions { requests_per_minute: 1, ..TenantOptions::default() };
    let (fleet, tenant, client) = Fleet::with(options, tenant).await;
    until_degraded(&fleet.metrics.api, false).await;
    (fleet, tenant, client)
}

async fn until_degraded(metrics: &ApiMetrics, is_degraded: bool) {
    let what = if is_degraded { "the limiter to work without Redis" } else { "the limiter to work with Redis" };
    regua_tests::eventually(what, async || (metrics.rate_limiter_degraded.get() == 1) == is_degraded).await;
}
