//! RabbitMQ and PostgreSQL go away and come back. Here they are cut off; in `killed_servers` they die, and in `network`
//! it is the way to them that fails.

mod killed_servers;
mod network;

use std::collections::BTreeMap;

use regua_tests::eventually;
use regua_tests::{Client, Fleet, FleetOptions, Proxy, TenantOptions, batch};
use reqwest::StatusCode;

/// Posts a batch until it is taken, as an ERP does: whatever else may be answered meanwhile, only 503 is right.
async fn post_until_taken(erp: &Client, external_id: &str, contacts: usize) {
    eventually(external_id, async || {
        let answer = erp.send("notification", &batch(external_id, contacts)).await;
        let status = answer.status;
        assert!(status.is_success() || status == StatusCode::SERVICE_UNAVAILABLE, "{status}: {:#}", answer.body);
        status.is_success()
    })
    .await;
}

/// Waits until everything is done, and asserts that it was done right: each batch was taken once, each contact is sent
/// or unconfirmed (whose worker lost its lease, or whose answer was lost), and nobody got anything twice.
async fn all_is_done(fleet: &Fleet, batches: &[(&str, usize)]) {
    let unfinished = "select count(*) from queues where finished_at is null";
    eventually("all queues to be finished", async || fleet.try_count(unfinished).await == Some(0)).await;
    // A doorbell that a relay held when it lost the database rings again after half a minute; it need not take that long.
    let ring = "with rung as (update outbox set visible_at = now() returning 1) select count(*) from rung";
    fleet.count(ring).await;
    eventually("the outbox to be empty", async || fleet.try_count("select count(*) from outbox").await == Some(0))
        .await;
    assert_eq!(fleet.count("select count(*) from campaigns").await, batches.len() as i64, "each batch once");
    let total: usize = batches.iter().map(|(_, contacts)| contacts).sum();
    let done = "select count(*) from contacts where status in ('sent', 'unconfirmed')";
    assert_eq!(fleet.count(done).await, total as i64, "sent or unconfirmed");
    let sent: BTreeMap<_, _> = fleet.sent_by_number().into_iter().collect();
    assert!(sent.values().all(|count| *count == 1), "somebody got it twice: {sent:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_posted_while_rabbitmq_is_away_is_taken_and_sent_when_it_returns() {
    let Ok(amqp_url) = std::env::var("AMQP_URL") else {
        println!("AMQP_URL is not set: left out");
        return;
    };
    let (proxy, amqp_url) = Proxy::before(&amqp_url, false).await;
    let options = FleetOptions { amqp_url: Some(amqp_url), ..FleetOptions::default() };
    let (fleet, _, erp) = Fleet::with(options, TenantOptions::default()).await;
    let queue = erp.accepted("overdue", &batch("lote-a", 10)).await;
    let ready = erp.call(reqwest::Method::GET, "/readyz", None).await;
    assert_eq!(ready.status, StatusCode::SERVICE_UNAVAILABLE, "{:#}", ready.body);
    assert!(fleet.sandbox.ledger().is_empty());
    assert_eq!(erp.status(&queue).await["status"], "pending");
    proxy.open();
    erp.until(&queue, "completed").await;

    // Cut in the middle of its life, too.
    proxy.close();
    let second = erp.accepted("overdue", &batch("lote-b", 10)).await;
    proxy.open();
    erp.until(&second, "completed").await;
    fleet.assert_each_left_once(20);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_posted_while_postgresql_is_away_is_refused_with_503_and_taken_when_it_returns() {
    let server = std::env::var("DATABASE_URL").expect("DATABASE_URL");
    let (proxy, proxied) = Proxy::before(&server, true).await;
    let options = FleetOptions { proxied_database: Some(proxied), ..FleetOptions::default() };
    let (fleet, tenant, erp) = Fleet::with(options, TenantOptions::default()).await;
    let before = erp.accepted("overdue", &batch("lote-a", 3)).await;
    erp.until(&before, "completed").await;

    proxy.close();
    let erp_client = Client::new(&fleet.api, &tenant.key);
    let refused = erp_client.send("overdue", &batch("lote-b", 3)).await;
    assert_eq!((refused.status, refused.body["code"].as_str()), (StatusCode::SERVICE_UNAVAILABLE, Some("unavailable")));
    assert!(refused.headers.contains_key("retry-after"), "{:?}", refused.headers);
    assert_eq!(fleet.count("select count(*) from campaigns").await, 1, "nothing was taken");

    proxy.open();
    let queue = erp.accepted("overdue", &batch("lote-b", 3)).await;
    erp.until(&queue, "completed").await;
    fleet.assert_each_left_once(6);
    fleet.end().await;
}
