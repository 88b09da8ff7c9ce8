//! A short form of the neighbour suite (docs/limits.md): attacks at a tenth of their size against an API with a tenth
//! of the requests under way, beside a victim that makes five posts and five reads a second. Errors and messages are
//! judged, times are not: all programs of the tests run on the same cores.

use std::time::Duration;

use regua_tests::neighbour::{self, Attack, Binaries, Settings};

async fn assert_victim_gets_no_error(attack: Attack, divisor: usize) {
    let settings = Settings {
        binaries: Binaries::TestProcess(env!("CARGO_BIN_EXE_regua-test-process").into()),
        attacker: env!("CARGO_BIN_EXE_regua-security").into(),
        divisor,
        concurrent_requests: 51,
        victim_interval: Duration::from_millis(200),
        before: Duration::from_secs(2),
        during: Duration::from_secs(3),
        recovery: Duration::ZERO,
        after: Duration::from_secs(1),
        waits_for_messages: true,
    };
    let outcome = neighbour::run(attack, &settings).await;
    let figures = format!("{}\n{}", outcome.report, outcome.row());
    for measures in [&outcome.before, &outcome.during, &outcome.after] {
        // A slow machine makes the victim itself exceed its tenth of the budget.
        let is_error = |failure: &String| failure != "429";
        assert!(!measures.failures.keys().any(is_error), "{:?}\n{figures}", measures.failures);
        assert!(measures.usage.iter().all(Option::is_some), "a program ended\n{figures}");
    }
    assert_eq!(outcome.unsent, 0, "messages of the victim that did not leave\n{figures}");
    assert!(outcome.during.sent > 0.0, "no message of the victim left during the attack\n{figures}");
}

#[tokio::test(flavor = "multi_thread")]
async fn neighbour_of_big_webhooks_gets_no_error() {
    assert_victim_gets_no_error(Attack::BigWebhooks, 10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn neighbour_of_slow_webhooks_gets_no_error() {
    assert_victim_gets_no_error(Attack::SlowWebhooks, 10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn neighbour_of_slow_logins_gets_no_error() {
    assert_victim_gets_no_error(Attack::SlowLogins, 10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn neighbour_of_bad_logins_gets_no_error() {
    assert_victim_gets_no_error(Attack::BadLogins, 10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn neighbour_of_abandoned_batches_gets_no_error() {
    assert_victim_gets_no_error(Attack::AbandonedBatches, 10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn neighbour_of_unknown_keys_gets_no_error() {
    assert_victim_gets_no_error(Attack::UnknownKeys, 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn neighbour_of_large_batches_gets_no_error() {
    assert_victim_gets_no_error(Attack::LargeBatches, 10).await;
}
