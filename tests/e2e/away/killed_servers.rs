//! PostgreSQL and RabbitMQ die in the middle of a campaign, lose what they had, run out of space or are replaced, and no
//! program of the fleet is restarted.

use regua_tests::{Client, Fleet, FleetOptions, Postgres, Proxy, Rabbit, TenantOptions, batch, eventually};
use reqwest::StatusCode;

use super::{all_is_done, post_until_taken};

/// A fleet with a campaign of 300 that is under way.
async fn under_way(options: FleetOptions) -> (Fleet, Client) {
    let tenant = TenantOptions { rate: 3000, ..TenantOptions::default() };
    let (fleet, _, erp) = Fleet::with(options, tenant).await;
    erp.accepted("notification", &batch("lote-a", 300)).await;
    eventually("some to be sent", async || fleet.sandbox.ledger().len() > 30).await;
    (fleet, erp)
}

async fn is_refused(erp: &Client, external_id: &str, contacts: usize) {
    let answer = erp.send("notification", &batch(external_id, contacts)).await;
    let (status, code) = (answer.status, answer.body["code"].as_str());
    assert_eq!((status, code), (StatusCode::SERVICE_UNAVAILABLE, Some("unavailable")), "{:#}", answer.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn rabbitmq_is_killed_and_comes_back_empty() {
    let Some(mut rabbit) = Rabbit::try_start().await else { return };
    let options = FleetOptions { amqp_url: Some(rabbit.url()), ..FleetOptions::default() };
    let (fleet, erp) = under_way(options).await;
    rabbit.freeze().await;
    erp.accepted("notification", &batch("lote-b", 20)).await;
    rabbit.thaw().await;
    rabbit.kill().await;
    erp.accepted("notification", &batch("lote-c", 20)).await;
    rabbit.wipe().await;
    erp.accepted("notification", &batch("lote-d", 20)).await;
    all_is_done(&fleet, &[("lote-a", 300), ("lote-b", 20), ("lote-c", 20), ("lote-d", 20)]).await;
    fleet.assert_each_left_once(360);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_is_killed_and_started_again() {
    let Some(mut postgres) = Postgres::try_start().await else { return };
    let options = FleetOptions { database: Some(postgres.url()), ..FleetOptions::default() };
    let (fleet, erp) = under_way(options).await;

    // Posted while it dies: taken or refused, but posted again it is there once.
    let dying = async {
        postgres.kill().await;
        is_refused(&erp, "lote-c", 20).await;
        postgres.start_again().await;
    };
    tokio::join!(post_until_taken(&erp, "lote-b", 20), dying);
    post_until_taken(&erp, "lote-c", 20).await;
    let sent = fleet.sandbox.ledger().len();
    eventually("sending to go on", async || fleet.sandbox.ledger().len() > sent + 10).await;
    postgres.cut_connections().await;
    post_until_taken(&erp, "lote-d", 20).await;
    post_until_taken(&erp, "lote-c", 20).await;

    all_is_done(&fleet, &[("lote-a", 300), ("lote-b", 20), ("lote-c", 20), ("lote-d", 20)]).await;
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_disk_is_full_for_a_while() {
    let Some(postgres) = Postgres::with_small_disk().await else { return };
    let options = FleetOptions { database: Some(postgres.url()), ..FleetOptions::default() };
    let (fleet, erp) = under_way(options).await;
    postgres.fill_disk().await;
    is_refused(&erp, "lote-b", 2000).await;
    assert_eq!(fleet.count("select count(*) from campaigns").await, 1, "nothing was taken");
    assert_eq!(fleet.count("select count(*) from contacts").await, 300, "nor half of it");
    // Where pages have room for it some more are sent; then no attempt can be written down, and so none is made.
    eventually("sending to stop", async || {
        let before = fleet.sandbox.ledger().len();
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        fleet.sandbox.ledger().len() == before
    })
    .await;
    assert!(fleet.sandbox.ledger().len() < 300, "it stopped before the end");
    postgres.free_disk().await;
    post_until_taken(&erp, "lote-b", 20).await;
    all_is_done(&fleet, &[("lote-a", 300), ("lote-b", 20)]).await;
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_takes_the_place_of_a_dead_primary() {
    let Some(mut primary) = Postgres::try_start().await else { return };
    let mut replica = primary.replica().await;
    let (proxy, url) = Proxy::before(&primary.url(), true).await;
    let options = FleetOptions { database: Some(url), ..FleetOptions::default() };
    let (fleet, erp) = under_way(options).await;
    erp.accepted("notification", &batch("lote-b", 20)).await;
    primary.kill().await;
    is_refused(&erp, "lote-c", 20).await;
    replica.promote().await;
    proxy.redirect(&replica.url());
    post_until_taken(&erp, "lote-c", 20).await;
    all_is_done(&fleet, &[("lote-a", 300), ("lote-b", 20), ("lote-c", 20)]).await;
    fleet.end().await;
}
