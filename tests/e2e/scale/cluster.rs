//! Three RabbitMQ nodes with quorum queues, of which any one may be lost.

use regua_broker::QueueType;
use regua_tests::{Client, Fleet, FleetOptions, RabbitCluster, TenantOptions, batch, eventually};

/// Periodic does not run: a doorbell that the cluster lost would be missed by nobody else.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_three_is_lost_in_mid_campaign_and_then_another() {
    let Some(mut cluster) = RabbitCluster::try_start().await else { return };
    let options = FleetOptions {
        amqp_url: Some(cluster.url()),
        queue_type: QueueType::Quorum,
        workers: 2,
        periodic: false,
        ..FleetOptions::default()
    };
    let tenant = TenantOptions { rate: 3000, ..TenantOptions::default() };
    let (fleet, _, erp) = Fleet::with(options, tenant.clone()).await;
    let other = fleet.tenant(&TenantOptions { slug: "outra", instances: vec!["filial".to_owned()], ..tenant }).await;
    let other = Client::new(&fleet.api, &other.key);
    let first = erp.accepted("notification", &batch("lote-a", 300)).await;
    eventually("some to be sent", async || fleet.sandbox.ledger().len() > 30).await;

    // All of the fleet's connections go to the first node, and with them the leaders of its queues. One batch is posted
    // while it dies, and one when it is dead.
    assert!(fleet.sandbox.ledger().len() < 300, "it is lost in mid-campaign");
    let during = batch("lote-b", 20);
    let (second, ()) = tokio::join!(other.accepted("notification", &during), cluster.kill(0));
    other.until(&second, "completed").await;
    let third = other.accepted("notification", &batch("lote-c", 20)).await;
    other.until(&third, "completed").await;
    erp.until(&first, "completed").await;

    // It has come back for good when the cluster can do without another.
    cluster.start_again(0).await;
    cluster.kill(1).await;
    let fourth = erp.accepted("notification", &batch("lote-d", 20)).await;
    erp.until(&fourth, "completed").await;
    fleet.assert_each_left_once(360);
    fleet.end().await;
}
