//! PostgreSQL and RabbitMQ are killed in the middle of a campaign, lose their data, run out of disk space or are
//! replaced. No program of the fleet is restarted.

use regua_tests::{Client, Fleet, FleetOptions, Postgres, Proxy, Rabbit, TenantOptions, batch, eventually};
use reqwest::StatusCode;

use super::{assert_all_completed, post_until_accepted};

/// A fleet with a campaign of 300 contacts that is being sent.
async fn fleet_with_running_campaign(options: FleetOptions) -> (Fleet, Client) {
    let tenant = TenantOptions { rate: 3000, ..TenantOptions::default() };
    let (fleet, _, erp) = Fleet::with(options, tenant).await;
    erp.send_accepted("notification", &batch("lote-a", 300)).await;
    eventually("some messages to be sent", async || fleet.sandbox.ledger().len() > 30).await;
    (fleet, erp)
}

async fn assert_unavailable(erp: &Client, external_id: &str, contacts: usize) {
    let answer = erp.send("notification", &batch(external_id, contacts)).await;
    let (status, code) = (answer.status, answer.body["code"].as_str());
    assert_eq!((status, code), (StatusCode::SERVICE_UNAVAILABLE, Some("unavailable")), "{:#}", answer.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn campaign_completes_after_rabbitmq_is_killed_and_restarts_empty() {
    let Some(mut rabbit) = Rabbit::try_start().await else { return };
    let options = FleetOptions { amqp_url: Some(rabbit.url()), ..FleetOptions::default() };
    let (fleet, erp) = fleet_with_running_campaign(options).await;
    rabbit.freeze().await;
    erp.send_accepted("notification", &batch("lote-b", 20)).await;
    rabbit.thaw().await;
    rabbit.kill().await;
    erp.send_accepted("notification", &batch("lote-c", 20)).await;
    rabbit.wipe().await;
    erp.send_accepted("notification", &batch("lote-d", 20)).await;
    assert_all_completed(&fleet, &[("lote-a", 300), ("lote-b", 20), ("lote-c", 20), ("lote-d", 20)]).await;
    fleet.assert_each_left_once(360);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn campaign_completes_after_postgresql_is_killed_and_restarted() {
    let Some(mut postgres) = Postgres::try_start().await else { return };
    let options = FleetOptions { database: Some(postgres.url()), ..FleetOptions::default() };
    let (fleet, erp) = fleet_with_running_campaign(options).await;

    // A batch posted while the server is killed is accepted or refused; repeated posts store it once.
    let kill_and_restart = async {
        postgres.kill().await;
        assert_unavailable(&erp, "lote-c", 20).await;
        postgres.start_again().await;
    };
    tokio::join!(post_until_accepted(&erp, "lote-b", 20), kill_and_restart);
    post_until_accepted(&erp, "lote-c", 20).await;
    let sent = fleet.sandbox.ledger().len();
    eventually("sending to continue", async || fleet.sandbox.ledger().len() > sent + 10).await;
    postgres.cut_connections().await;
    post_until_accepted(&erp, "lote-d", 20).await;
    post_until_accepted(&erp, "lote-c", 20).await;

    assert_all_completed(&fleet, &[("lote-a", 300), ("lote-b", 20), ("lote-c", 20), ("lote-d", 20)]).await;
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn campaign_completes_after_full_disk_is_freed() {
    let Some(postgres) = Postgres::with_small_disk().await else { return };
    let options = FleetOptions { database: Some(postgres.url()), ..FleetOptions::default() };
    let (fleet, erp) = fleet_with_running_campaign(options).await;
    postgres.fill_disk().await;
    assert_unavailable(&erp, "lote-b", 2000).await;
    assert_eq!(fleet.count("select count(*) from campaigns").await, 1, "the refused batch is not stored");
    assert_eq!(fleet.count("select count(*) from contacts").await, 300, "no contact of the refused batch is stored");
    // Some more messages are sent while table pages have free space. Then no mark can be committed, so none is sent.
    eventually("sending to stop", async || {
        let before = fleet.sandbox.ledger().len();
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        fleet.sandbox.ledger().len() == before
    })
    .await;
    assert!(fleet.sandbox.ledger().len() < 300, "sending stopped before the end");
    postgres.free_disk().await;
    post_until_accepted(&erp, "lote-b", 20).await;
    assert_all_completed(&fleet, &[("lote-a", 300), ("lote-b", 20)]).await;
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn campaign_completes_after_replica_is_promoted() {
    let Some(mut primary) = Postgres::try_start().await else { return };
    let mut replica = primary.replica().await;
    let (proxy, url) = Proxy::in_front_of(&primary.url(), true).await;
    let options = FleetOptions { database: Some(url), ..FleetOptions::default() };
    let (fleet, erp) = fleet_with_running_campaign(options).await;
    erp.send_accepted("notification", &batch("lote-b", 20)).await;
    primary.kill().await;
    assert_unavailable(&erp, "lote-c", 20).await;
    replica.promote().await;
    proxy.redirect(&replica.url());
    post_until_accepted(&erp, "lote-c", 20).await;
    assert_all_completed(&fleet, &[("lote-a", 300), ("lote-b", 20), ("lote-c", 20)]).await;
    fleet.end().await;
}
