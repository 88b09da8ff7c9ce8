//! Outages of RabbitMQ and PostgreSQL. Here a proxy cuts the connections; `killed_servers` kills the servers, and
//! `network` injects network faults.

mod killed_servers;
mod network;

use std::collections::BTreeMap;

use regua_tests::eventually;
use regua_tests::{Client, Fleet, FleetOptions, Proxy, TenantOptions, batch};
use reqwest::StatusCode;

/// Posts a batch until it is accepted, as an ERP does. Until then only 503 is a valid answer.
async fn post_until_accepted(erp: &Client, external_id: &str, contacts: usize) {
    eventually(external_id, async || {
        let answer = erp.send("notification", &batch(external_id, contacts)).await;
        let status = answer.status;
        assert!(status.is_success() || status == StatusCode::SERVICE_UNAVAILABLE, "{status}: {:#}", answer.body);
        status.is_success()
    })
    .await;
}

/// Waits until every queue is finished, and asserts: each batch was stored once, each contact is sent or unconfirmed
/// (its worker lost the lease, or the gateway's answer was lost), and no number got two messages.
async fn assert_all_completed(fleet: &Fleet, batches: &[(&str, usize)]) {
    let unfinished = "select count(*) from queues where finished_at is null";
    eventually("all queues to be finished", async || fleet.try_count(unfinished).await == Some(0)).await;
    // A doorbell that a relay had read when it lost the database stays hidden for half a minute: shorten that.
    let ring = "with rung as (update doorbells set visible_at = now() returning 1) select count(*) from rung";
    fleet.count(ring).await;
    eventually("all doorbells to be published", async || {
        fleet.try_count("select count(*) from doorbells").await == Some(0)
    })
    .await;
    assert_eq!(fleet.count("select count(*) from campaigns").await, batches.len() as i64, "each batch is stored once");
    let total: usize = batches.iter().map(|(_, contacts)| contacts).sum();
    let done = "select count(*) from contacts where status in ('sent', 'unconfirmed')";
    assert_eq!(fleet.count(done).await, total as i64, "every contact is sent or unconfirmed");
    let sent: BTreeMap<_, _> = fleet.sent_by_number().into_iter().collect();
    assert!(sent.values().all(|count| *count == 1), "a number got two messages: {sent:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn batch_posted_while_rabbitmq_is_unreachable_is_accepted_and_sent_later() {
    let Ok(amqp_url) = std::env::var("AMQP_URL") else {
        println!("AMQP_URL is not set: skipped");
        return;
    };
    let (proxy, amqp_url) = Proxy::in_front_of(&amqp_url, false).await;
    let options = FleetOptions { amqp_url: Some(amqp_url), ..FleetOptions::default() };
    let (fleet, _, erp) = Fleet::with(options, TenantOptions::default()).await;
    let queue = erp.send_accepted("overdue", &batch("lote-a", 10)).await;
    let ready = erp.call(reqwest::Method::GET, "/readyz", None).await;
    assert_eq!(ready.status, StatusCode::SERVICE_UNAVAILABLE, "{:#}", ready.body);
    assert!(fleet.sandbox.ledger().is_empty());
    assert_eq!(erp.status(&queue).await["status"], "pending");
    proxy.open();
    erp.wait_for_status(&queue, "completed").await;

    // An open connection is cut, too.
    proxy.close();
    let second = erp.send_accepted("overdue", &batch("lote-b", 10)).await;
    proxy.open();
    erp.wait_for_status(&second, "completed").await;
    fleet.assert_each_left_once(20);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn batch_posted_while_postgresql_is_unreachable_gets_503_and_is_accepted_later() {
    let server = std::env::var("DATABASE_URL").expect("DATABASE_URL");
    let (proxy, proxied) = Proxy::in_front_of(&server, true).await;
    let options = FleetOptions { proxied_database: Some(proxied), ..FleetOptions::default() };
    let (fleet, tenant, erp) = Fleet::with(options, TenantOptions::default()).await;
    let before = erp.send_accepted("overdue", &batch("lote-a", 3)).await;
    erp.wait_for_status(&before, "completed").await;

    proxy.close();
    let erp_client = Client::new(&fleet.api, &tenant.key);
    let refused = erp_client.send("overdue", &batch("lote-b", 3)).await;
    assert_eq!((refused.status, refused.body["code"].as_str()), (StatusCode::SERVICE_UNAVAILABLE, Some("unavailable")));
    assert!(refused.headers.contains_key("retry-after"), "{:?}", refused.headers);
    assert_eq!(fleet.count("select count(*) from campaigns").await, 1, "the refused batch is not stored");

    proxy.open();
    let queue = erp.send_accepted("overdue", &batch("lote-b", 3)).await;
    erp.wait_for_status(&queue, "completed").await;
    fleet.assert_each_left_once(6);
    fleet.end().await;
}
