//! Rates that several processes keep together, with a real Redis, and without it when it is gone.

use std::time::{Duration, Instant};

use regua_boot::Metrics;
use regua_domain::Rate;
use regua_tests::{Client, Fleet, Redis, TenantOptions};
use reqwest::StatusCode;

use super::{count, look, looks, only_the_api};

const SCRIPT: &str = include_str!("../../../bins/api/src/limits/gcra.lua");

/// The script says what the pure function says, for rates that refill while it runs, and from whatever stood there.
#[tokio::test]
async fn the_script_in_redis_and_the_rule_in_the_domain_are_one() {
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
                // As after a failover to a server whose clock is behind.
                let far: i64 = paid_until.unwrap_or_default() + random.i64(0..1_i64 << 40);
                let _: () = redis::cmd("SET").arg(key).arg(far).query_async(&mut redis).await.unwrap();
                paid_until = Some(far);
            }
            let mut question = redis::cmd("EVAL");
            question.arg(SCRIPT).arg(1).arg(key).arg(rate.interval()).arg(rate.burst());
            let (is_allowed, until, now): (bool, i64, i64) = question.query_async(&mut redis).await.unwrap();
            let expected = rate.take(paid_until, now);
            assert_eq!(
                (is_allowed, until),
                (expected.is_allowed, expected.paid_until),
                "{rate:?} from {paid_until:?} at {now}"
            );
            *(if is_allowed { &mut allowed } else { &mut refused }) += 1;
            // What was refused is not written.
            paid_until = if is_allowed { Some(until) } else { paid_until };
        }
        let ttl: i64 = redis::cmd("PTTL").arg(key).query_async(&mut redis).await.unwrap();
        assert!(ttl != -1 || key % 3 == 0, "a key that stays for ever");
    }
    assert!(allowed > 500 && refused > 500, "{allowed} and {refused}");
}

#[tokio::test]
async fn all_processes_count_together() {
    let server = Redis::start().await;
    let (mut fleet, tenant, client) = shared(&server).await;
    let others = Metrics::new().unwrap();
    let other = Client::new(&fleet.start_another_api(others.clone()).await, &tenant.key);
    until_degraded(&others, false).await;
    let mut statuses = looks(&client, 12).await;
    statuses.extend(looks(&other, 12).await);
    assert_eq!((count(&statuses, StatusCode::OK), count(&statuses, StatusCode::TOO_MANY_REQUESTS)), (20, 4));
    fleet.end().await;
}

#[tokio::test]
async fn without_redis_nobody_is_locked_out_or_let_loose() {
    let mut server = Redis::start().await;
    let (fleet, _, client) = shared(&server).await;
    assert_eq!(count(&looks(&client, 15).await, StatusCode::OK), 15);

    server.kill().await;
    let statuses = looks(&client, 10).await;
    assert_eq!(count(&statuses, StatusCode::OK), 5, "the process goes on from where Redis was: {statuses:?}");
    until_degraded(&fleet.metrics, true).await;
    server.start_again().await;
    until_degraded(&fleet.metrics, false).await;
    assert_eq!(count(&looks(&client, 25).await, StatusCode::OK), 20, "an empty Redis remembers nothing");
    fleet.end().await;
}

#[tokio::test]
async fn a_redis_that_does_not_answer_holds_nobody_up() {
    let server = Redis::start().await;
    let (fleet, _, client) = shared(&server).await;
    assert_eq!(look(&client).await.status, StatusCode::OK);
    server.freeze().await;
    let frozen = Instant::now();
    assert_eq!(count(&looks(&client, 10).await, StatusCode::OK), 10);
    assert!(frozen.elapsed() < Duration::from_secs(2), "only the first one waited: {:?}", frozen.elapsed());
    until_degraded(&fleet.metrics, true).await;
    server.thaw().await;
    until_degraded(&fleet.metrics, false).await;
    assert_eq!(look(&client).await.status, StatusCode::OK);
    fleet.end().await;
}

/// One request a minute and a burst of 20 for the tenant's key, and the first connection made.
async fn shared(server: &Redis) -> (Fleet, regua_tests::Tenant, Client) {
    let options = only_the_api(|api| api.limits.redis = Some(server.url().parse().unwrap()));
    let tenant = TenantOptions { requests_per_minute: 1, ..TenantOptions::default() };
    let (fleet, tenant, client) = Fleet::with(options, tenant).await;
    until_degraded(&fleet.metrics, false).await;
    (fleet, tenant, client)
}

async fn until_degraded(metrics: &Metrics, is_degraded: bool) {
    let what = if is_degraded { "the limiter to work alone" } else { "the limiter to work with Redis" };
    regua_tests::eventually(what, async || (metrics.rate_limiter_degraded.get() == 1) == is_degraded).await;
}
