//! A cluster of three RabbitMQ nodes with quorum queues, which survives the loss of any one node.

use regua_broker::QueueType;
use regua_tests::{Client, Fleet, FleetOptions, RabbitCluster, TenantOptions, batch, eventually};

/// Periodic does not run, so nothing else replaces a doorbell that the cluster loses.
#[tokio::test(flavor = "multi_thread")]
async fn campaign_completes_after_two_rabbitmq_nodes_are_lost_in_turn() {
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
    let other =
        fleet.create_tenant(&TenantOptions { slug: "outra", instances: vec!["filial".to_owned()], ..tenant }).await;
    let other = Client::new(&fleet.api, &other.key);
    let first = erp.send_accepted("notification", &batch("lote-a", 300)).await;
    eventually("some messages to be sent", async || fleet.sandbox.ledger().len() > 30).await;

    // All connections of the fleet go to the first node, which therefore leads the queues. One batch is posted while
    // the node is killed, and one after that.
    assert!(fleet.sandbox.ledger().len() < 300, "the node is lost in mid-campaign");
    let during = batch("lote-b", 20);
    let (second, ()) = tokio::join!(other.send_accepted("notification", &during), cluster.kill(0));
    other.wait_for_status(&second, "completed").await;
    let third = other.send_accepted("notification", &batch("lote-c", 20)).await;
    other.wait_for_status(&third, "completed").await;
    erp.wait_for_status(&first, "completed").await;

    // The restarted node is a full member again: the cluster now survives the loss of another node.
    cluster.start_again(0).await;
    cluster.kill(1).await;
    let fourth = erp.send_accepted("notification", &batch("lote-d", 20)).await;
    erp.wait_for_status(&fourth, "completed").await;
    fleet.assert_each_left_once(360);
    fleet.end().await;
}
