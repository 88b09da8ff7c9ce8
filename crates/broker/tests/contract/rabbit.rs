//! RabbitMQ alone: outages, and queues with other arguments.

use std::collections::HashSet;
use std::sync::Arc;

use lapin::options::{QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::FieldTable;
use regua_broker::{Broker, BrokerSettings, DoorbellKind, Outage, Program, QueueType, connect};

use crate::fixture::{World, eventually, receive, receive_and_ack, run_rabbitmq};
use crate::proxy::{Line, Proxy};

/// What RabbitMQ has with other arguments, its name, and the difference.
fn mismatch(error: &anyhow::Error) -> (&'static str, &str, &str) {
    match error.downcast_ref() {
        Some(Outage::Mismatch { what, name, difference }) => (what, name, difference),
        _ => panic!("{error:#}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn queue_with_other_arguments_is_reported_with_the_remedy() {
    run_rabbitmq(async |world: Arc<World>| {
        let name = format!("{}.{}", world.namespace, DoorbellKind::Overdue);
        let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        let channel = world.channel().await;
        channel.queue_declare(name.clone().into(), durable, FieldTable::default()).await.unwrap();
        world.ring(&[world.doorbell(DoorbellKind::Overdue)]).await;

        let broker = world.broker();

        let error = broker.ping().await.unwrap_err();
        let (what, mismatched, difference) = mismatch(&error);
        assert_eq!((what, mismatched), ("queue", name.as_str()));
        assert!(difference.contains("x-dead-letter-exchange") || difference.contains("x-max-priority"));
        let remedy = error.to_string();
        assert!(remedy.contains("delete it when it is empty") && remedy.contains("AMQP_QUEUE_TYPE"), "{remedy}");
        mismatch(&broker.relay().await.unwrap_err());
        assert_eq!(world.waiting().await, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn doorbell_rung_while_rabbitmq_is_away_is_delivered_afterwards() {
    run_rabbitmq(async |world: Arc<World>| {
        let (proxy, broker) = behind_a_proxy(&world, Line::Cut).await;
        let mut deliveries = broker.consume(Program::Worker, world.shutdown.clone()).await;
        let doorbell = world.doorbell(DoorbellKind::Overdue);
        world.ring(&[doorbell]).await;
        let is_away = |error: anyhow::Error| matches!(error.downcast_ref(), Some(Outage::Away(_)));
        assert!(is_away(broker.relay().await.unwrap_err()));
        assert!(is_away(broker.ping().await.unwrap_err()));
        assert_eq!(world.waiting().await, 1);

        proxy.set(Line::Open);

        eventually("doorbells are published", async || broker.relay().await.is_ok()).await;
        receive_and_ack(&mut deliveries, doorbell).await;
        assert_eq!(world.waiting().await, 0);
        broker.ping().await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_connection_is_reopened_and_deliveries_continue() {
    run_rabbitmq(async |world: Arc<World>| {
        check_recovery(&world, Line::Cut).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_connection_is_replaced_and_deliveries_continue() {
    run_rabbitmq(async |world: Arc<World>| {
        check_recovery(&world, Line::Frozen).await;
    })
    .await;
}

/// One doorbell is delivered before the failure and one is rung after it.
async fn check_recovery(world: &World, failure: Line) {
    let (proxy, broker) = behind_a_proxy(world, Line::Open).await;
    let mut deliveries = broker.consume(Program::Worker, world.shutdown.clone()).await;
    let (held, after) = (world.doorbell(DoorbellKind::Overdue), world.doorbell(DoorbellKind::Notification));
    world.ring(&[held]).await;
    broker.relay().await.unwrap();
    let delivery = receive(&mut deliveries).await;

    proxy.set(failure);
    world.ring(&[after]).await;
    eventually("the failure is noticed", async || broker.ping().await.is_err()).await;
    assert!(broker.relay().await.is_err());
    proxy.set(Line::Open);

    eventually("doorbells are published", async || broker.relay().await.is_ok()).await;
    let mut again = [receive(&mut deliveries).await, receive(&mut deliveries).await];
    again.sort_by_key(|delivery| delivery.doorbell != held);
    assert_eq!(again.each_ref().map(|delivery| delivery.doorbell), [held, after]);
    for delivery in again {
        delivery.ack().await.unwrap();
    }
    assert!(delivery.ack().await.is_err(), "a delivery of the lost connection cannot be acknowledged");
    assert_eq!(world.waiting().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_queue_is_declared_again_and_no_doorbell_is_lost() {
    run_rabbitmq(async |world: Arc<World>| {
        let broker = world.broker();
        broker.ping().await.unwrap();
        let doorbell = world.doorbell(DoorbellKind::Overdue);
        let name = format!("{}.{}", world.namespace, DoorbellKind::Overdue);
        let channel = world.channel().await;
        channel.queue_delete(name.clone().into(), QueueDeleteOptions::default()).await.unwrap();

        world.ring(&[doorbell]).await;
        assert_eq!(broker.relay().await.unwrap().published, 1);
        let mut deliveries = broker.consume(Program::Worker, world.shutdown.clone()).await;
        receive_and_ack(&mut deliveries, doorbell).await;

        // Once more while the consumer runs.
        channel.queue_delete(name.into(), QueueDeleteOptions::default()).await.unwrap();
        world.ring(&[doorbell]).await;
        broker.relay().await.unwrap();
        receive_and_ack(&mut deliveries, doorbell).await;
    })
    .await;
}

/// lapin attaches a returned message to the confirmation of another message.
#[tokio::test(flavor = "multi_thread")]
async fn returned_doorbells_of_a_batch_are_published_again() {
    run_rabbitmq(async |world: Arc<World>| {
        let broker = world.broker();
        broker.ping().await.unwrap();
        let name = format!("{}.{}", world.namespace, DoorbellKind::Upcoming);
        world.channel().await.queue_delete(name.into(), QueueDeleteOptions::default()).await.unwrap();
        let kinds = [DoorbellKind::Overdue, DoorbellKind::Upcoming, DoorbellKind::Notification];
        let doorbells: Vec<_> = kinds.iter().cycle().take(300).map(|kind| world.doorbell(*kind)).collect();
        world.ring(&doorbells).await;

        assert_eq!(broker.relay().await.unwrap().published, doorbells.len());

        let mut deliveries = broker.consume(Program::Worker, world.shutdown.clone()).await;
        let mut received = HashSet::new();
        while received.len() < doorbells.len() {
            let delivery = receive(&mut deliveries).await;
            received.insert(delivery.doorbell);
            delivery.ack().await.unwrap();
        }
        assert_eq!(received, doorbells.into_iter().collect());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn queues_of_the_other_type_are_reported_until_they_are_deleted() {
    run_rabbitmq(async |world: Arc<World>| {
        let types = [QueueType::Classic, QueueType::Quorum];
        for (there, wanted) in [(types[0], types[1]), (types[1], types[0])] {
            let of = |queue_type| BrokerSettings { queue_type, ..world.settings() };
            connect(&of(there), world.pool.clone()).ping().await.unwrap();

            let error = connect(&of(wanted), world.pool.clone()).ping().await.unwrap_err();

            let (_, name, difference) = mismatch(&error);
            assert_eq!(name, format!("{}.dead", world.namespace), "the first that is declared");
            assert!(difference.contains("x-queue-type"), "{error}");
            assert!(error.to_string().contains("AMQP_QUEUE_TYPE"), "{error}");
            world.remove_queues().await;
            connect(&of(wanted), world.pool.clone()).ping().await.unwrap();
            world.remove_queues().await;
        }
        connect(&world.settings(), world.pool.clone()).ping().await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn client_of_a_dead_node_connects_to_another_node() {
    run_rabbitmq(async |world: Arc<World>| {
        for failure in [Line::Cut, Line::Frozen] {
            let first = Proxy::new(world.amqp_url.as_deref().unwrap(), Line::Open).await;
            let second = Proxy::new(world.amqp_url.as_deref().unwrap(), Line::Cut).await;
            let amqp_urls = Some(format!("{},{}", first.url(), second.url()).parse().unwrap());
            let broker = connect(&BrokerSettings { amqp_urls, ..world.settings() }, world.pool.clone());
            let stop = world.shutdown.child_token();
            let mut deliveries = broker.consume(Program::Worker, stop.clone()).await;
            let doorbells = [DoorbellKind::Overdue, DoorbellKind::Upcoming].map(|kind| world.doorbell(kind));
            world.ring(&doorbells[..1]).await;
            broker.relay().await.unwrap();
            receive_and_ack(&mut deliveries, doorbells[0]).await;

            second.set(Line::Open);
            first.set(failure);
            world.ring(&doorbells[1..]).await;
            eventually("doorbells are published", async || broker.relay().await.is_ok() && world.waiting().await == 0)
                .await;
            // The first doorbell comes again when its acknowledgement was lost with the node.
            loop {
                let delivery = receive(&mut deliveries).await;
                let received = delivery.doorbell;
                let _lost_with_its_node = delivery.ack().await;
                if received == doorbells[1] {
                    break;
                }
                assert_eq!(received, doorbells[0]);
            }
            stop.cancel();
        }
    })
    .await;
}

async fn behind_a_proxy(world: &World, line: Line) -> (Proxy, Arc<dyn Broker>) {
    let proxy = Proxy::new(world.amqp_url.as_deref().unwrap(), line).await;
    let settings = BrokerSettings { amqp_urls: Some(proxy.url().parse().unwrap()), ..world.settings() };
    (proxy, connect(&settings, world.pool.clone()))
}
