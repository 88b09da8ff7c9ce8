//! What RabbitMQ promises besides: it may go away, and it may be set up otherwise.

use std::collections::HashSet;
use std::sync::Arc;

use lapin::options::{QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::FieldTable;
use regua_broker::{Broker, BrokerSettings, DoorbellKind, QueueType, RabbitAway, TopologyMismatch, connect};

use crate::fixture::{World, eventually, hear, hear_and_ack, run_rabbitmq};
use crate::proxy::{Line, Proxy};

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_with_other_arguments_is_reported_with_the_remedy() {
    run_rabbitmq(async |world: Arc<World>| {
        let name = DoorbellKind::Overdue.routing_key(&world.namespace);
        let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        let channel = world.channel().await;
        channel.queue_declare(name.clone().into(), durable, FieldTable::default()).await.unwrap();
        world.ring(&[world.doorbell(DoorbellKind::Overdue)]).await;

        let broker = world.broker();

        let error = broker.ping().await.unwrap_err();
        let mismatch = error.downcast_ref::<TopologyMismatch>().unwrap_or_else(|| panic!("{error:#}"));
        assert_eq!((mismatch.what, &mismatch.name), ("queue", &name));
        assert!(
            mismatch.difference.contains("x-dead-letter-exchange") || mismatch.difference.contains("x-max-priority")
        );
        let remedy = mismatch.to_string();
        assert!(remedy.contains("delete it when it is empty") && remedy.contains("AMQP_QUEUE_TYPE"), "{remedy}");
        assert!(broker.relay().await.unwrap_err().is::<TopologyMismatch>());
        assert_eq!(world.waiting().await, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_rung_while_rabbitmq_is_away_is_heard_when_it_is_back() {
    run_rabbitmq(async |world: Arc<World>| {
        let (proxy, broker) = behind_a_proxy(&world, Line::Cut).await;
        let mut deliveries = broker.consume(world.shutdown.clone()).await;
        let doorbell = world.doorbell(DoorbellKind::Overdue);
        world.ring(&[doorbell]).await;
        assert!(broker.relay().await.unwrap_err().is::<RabbitAway>());
        assert!(broker.ping().await.unwrap_err().is::<RabbitAway>());
        assert_eq!(world.waiting().await, 1);

        proxy.set(Line::Open);

        eventually("the outbox is published", async || broker.relay().await.is_ok()).await;
        hear_and_ack(&mut deliveries, doorbell).await;
        assert_eq!(world.waiting().await, 0);
        broker.ping().await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_cut_is_made_again_and_the_work_goes_on() {
    run_rabbitmq(async |world: Arc<World>| {
        goes_on_after(&world, Line::Cut).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_says_nothing_any_more_is_given_up_and_the_work_goes_on() {
    run_rabbitmq(async |world: Arc<World>| {
        goes_on_after(&world, Line::Frozen).await;
    })
    .await;
}

/// One doorbell is in the consumer's hands and one waits in RabbitMQ when it happens, and one is rung afterwards.
async fn goes_on_after(world: &World, mishap: Line) {
    let (proxy, broker) = behind_a_proxy(world, Line::Open).await;
    let mut deliveries = broker.consume(world.shutdown.clone()).await;
    let (held, after) = (world.doorbell(DoorbellKind::Overdue), world.doorbell(DoorbellKind::Notification));
    world.ring(&[held]).await;
    broker.relay().await.unwrap();
    let delivery = hear(&mut deliveries).await;

    proxy.set(mishap);
    world.ring(&[after]).await;
    eventually("it is noticed", async || broker.ping().await.is_err()).await;
    assert!(broker.relay().await.is_err());
    proxy.set(Line::Open);

    eventually("the outbox is published", async || broker.relay().await.is_ok()).await;
    let mut again = [hear(&mut deliveries).await, hear(&mut deliveries).await];
    again.sort_by_key(|delivery| std::cmp::Reverse(delivery.doorbell.kind.priority()));
    assert_eq!(again.each_ref().map(|delivery| delivery.doorbell), [held, after]);
    for delivery in again {
        delivery.ack().await.unwrap();
    }
    assert!(delivery.ack().await.is_err(), "what was heard on the lost connection cannot be acknowledged");
    assert_eq!(world.waiting().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_somebody_deleted_is_made_again_and_nothing_is_lost() {
    run_rabbitmq(async |world: Arc<World>| {
        let broker = world.broker();
        broker.ping().await.unwrap();
        let doorbell = world.doorbell(DoorbellKind::Overdue);
        let name = doorbell.kind.routing_key(&world.namespace);
        let channel = world.channel().await;
        channel.queue_delete(name.clone().into(), QueueDeleteOptions::default()).await.unwrap();

        world.ring(&[doorbell]).await;
        assert_eq!(broker.relay().await.unwrap().published, 1);
        let mut deliveries = broker.consume(world.shutdown.clone()).await;
        hear_and_ack(&mut deliveries, doorbell).await;

        // And under the feet of the consumer, too.
        channel.queue_delete(name.into(), QueueDeleteOptions::default()).await.unwrap();
        world.ring(&[doorbell]).await;
        broker.relay().await.unwrap();
        hear_and_ack(&mut deliveries, doorbell).await;
    })
    .await;
}

/// lapin puts a returned message into some confirmation, not into that of the message which was returned.
#[tokio::test(flavor = "multi_thread")]
async fn among_many_those_that_no_queue_took_are_known() {
    run_rabbitmq(async |world: Arc<World>| {
        let broker = world.broker();
        broker.ping().await.unwrap();
        let name = DoorbellKind::Upcoming.routing_key(&world.namespace);
        world.channel().await.queue_delete(name.into(), QueueDeleteOptions::default()).await.unwrap();
        let kinds = [DoorbellKind::Overdue, DoorbellKind::Upcoming, DoorbellKind::Notification];
        let doorbells: Vec<_> = kinds.iter().cycle().take(300).map(|kind| world.doorbell(*kind)).collect();
        world.ring(&doorbells).await;

        assert_eq!(broker.relay().await.unwrap().published, doorbells.len());

        let mut deliveries = broker.consume(world.shutdown.clone()).await;
        let mut heard = HashSet::new();
        while heard.len() < doorbells.len() {
            let delivery = hear(&mut deliveries).await;
            heard.insert(delivery.doorbell);
            delivery.ack().await.unwrap();
        }
        assert_eq!(heard, doorbells.into_iter().collect());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn queues_of_the_other_type_are_reported_with_the_remedy_until_they_are_deleted() {
    run_rabbitmq(async |world: Arc<World>| {
        let types = [QueueType::Classic, QueueType::Quorum];
        for (there, wanted) in [(types[0], types[1]), (types[1], types[0])] {
            let of = |queue_type| BrokerSettings { queue_type, ..world.settings() };
            connect(&of(there), world.pool.clone()).ping().await.unwrap();

            let error = connect(&of(wanted), world.pool.clone()).ping().await.unwrap_err();

            let mismatch = error.downcast_ref::<TopologyMismatch>().unwrap_or_else(|| panic!("{error:#}"));
            assert_eq!(mismatch.name, format!("{}.dead", world.namespace), "the first that is declared");
            assert!(mismatch.difference.contains("x-queue-type"), "{mismatch}");
            assert!(mismatch.to_string().contains("AMQP_QUEUE_TYPE"), "{mismatch}");
            world.remove_queues().await;
            connect(&of(wanted), world.pool.clone()).ping().await.unwrap();
            world.remove_queues().await;
        }
        connect(&world.settings(), world.pool.clone()).ping().await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_whose_node_is_gone_goes_to_another() {
    run_rabbitmq(async |world: Arc<World>| {
        for mishap in [Line::Cut, Line::Frozen] {
            let first = Proxy::new(world.amqp_url.as_deref().unwrap(), Line::Open).await;
            let second = Proxy::new(world.amqp_url.as_deref().unwrap(), Line::Cut).await;
            let amqp_urls = Some(format!("{},{}", first.url(), second.url()).parse().unwrap());
            let broker = connect(&BrokerSettings { amqp_urls, ..world.settings() }, world.pool.clone());
            let stop = world.shutdown.child_token();
            let mut deliveries = broker.consume(stop.clone()).await;
            let doorbells = [DoorbellKind::Overdue, DoorbellKind::Upcoming].map(|kind| world.doorbell(kind));
            world.ring(&doorbells[..1]).await;
            broker.relay().await.unwrap();
            hear_and_ack(&mut deliveries, doorbells[0]).await;

            second.set(Line::Open);
            first.set(mishap);
            world.ring(&doorbells[1..]).await;
            eventually("the outbox is published", async || broker.relay().await.is_ok() && world.waiting().await == 0)
                .await;
            // The first one comes again where its acknowledgement went down with the node.
            loop {
                let delivery = hear(&mut deliveries).await;
                let heard = delivery.doorbell;
                let _lost_with_its_node = delivery.ack().await;
                if heard == doorbells[1] {
                    break;
                }
                assert_eq!(heard, doorbells[0]);
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
