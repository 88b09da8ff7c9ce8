//! The contract of every broker.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use regua_broker::{Doorbell, DoorbellKind, Program, ring, run_relay};
use regua_store::doorbells::{self, NewDoorbell};
use serde_json::json;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::fixture::{World, eventually, now, receive, receive_and_ack};

pub(crate) async fn doorbell_of_a_committed_transaction_is_delivered_once(world: Arc<World>) {
    let broker = world.broker();
    let mut deliveries = broker.consume(Program::Worker, world.shutdown.clone()).await;
    let (first, second) = (world.doorbell(DoorbellKind::Overdue), world.doorbell(DoorbellKind::Overdue));

    for doorbell in [first, second] {
        world.ring(&[doorbell]).await;
        broker.relay().await.unwrap();
        receive_and_ack(&mut deliveries, doorbell).await;
    }

    assert_eq!(world.waiting().await, 0);
    assert!(deliveries.try_recv().is_err());
}

pub(crate) async fn doorbell_of_a_rolled_back_transaction_is_never_delivered(world: Arc<World>) {
    let broker = world.broker();
    let mut deliveries = broker.consume(Program::Worker, world.shutdown.clone()).await;
    let mut transaction = world.pool.begin().await.unwrap();
    ring(&mut transaction, &world.doorbell(DoorbellKind::Upcoming), now()).await.unwrap();
    transaction.rollback().await.unwrap();

    let committed = world.doorbell(DoorbellKind::Upcoming);
    world.ring(&[committed]).await;
    broker.relay().await.unwrap();

    receive_and_ack(&mut deliveries, committed).await;
    assert_eq!(world.waiting().await, 0);
}

pub(crate) async fn dropped_doorbell_is_delivered_again(world: Arc<World>) {
    let broker = world.broker();
    let mut deliveries = broker.consume(Program::Worker, world.shutdown.clone()).await;
    let doorbell = world.doorbell(DoorbellKind::Resume);
    world.ring(&[doorbell]).await;
    broker.relay().await.unwrap();

    drop(receive(&mut deliveries).await);

    receive_and_ack(&mut deliveries, doorbell).await;
    assert_eq!(world.waiting().await, 0);
}

pub(crate) async fn requeued_doorbell_is_delivered_again(world: Arc<World>) {
    let broker = world.broker();
    let mut deliveries = broker.consume(Program::Worker, world.shutdown.clone()).await;
    let doorbell = world.doorbell(DoorbellKind::Overdue);
    world.ring(&[doorbell]).await;
    broker.relay().await.unwrap();

    receive(&mut deliveries).await.requeue();
    receive(&mut deliveries).await.requeue();

    receive_and_ack(&mut deliveries, doorbell).await;
}

pub(crate) async fn doorbells_of_a_stopped_consumer_go_to_another(world: Arc<World>) {
    let broker = world.broker();
    let gone = CancellationToken::new();
    let mut deliveries = broker.consume(Program::Worker, gone.clone()).await;
    let doorbells = [world.doorbell(DoorbellKind::Overdue), world.doorbell(DoorbellKind::Overdue)];
    world.ring(&doorbells).await;
    broker.relay().await.unwrap();
    let held = receive(&mut deliveries).await;

    gone.cancel();
    drop((held, deliveries));

    let mut others = broker.consume(Program::Worker, world.shutdown.clone()).await;
    let received = HashSet::from([receive(&mut others).await.doorbell, receive(&mut others).await.doorbell]);
    assert_eq!(received, HashSet::from(doorbells));
}

pub(crate) async fn most_urgent_waiting_doorbell_is_delivered_first(world: Arc<World>) {
    let broker = world.broker_with_prefetch(1);
    let kinds = [DoorbellKind::Notification, DoorbellKind::Overdue, DoorbellKind::Upcoming];
    let [notification, overdue, upcoming] = kinds.map(|kind| world.doorbell(kind));
    world.ring(&[notification, overdue, upcoming]).await;
    broker.relay().await.unwrap();

    let mut deliveries = broker.consume(Program::Worker, world.shutdown.clone()).await;

    for expected in [overdue, upcoming, notification] {
        receive_and_ack(&mut deliveries, expected).await;
    }
}

pub(crate) async fn unreadable_doorbells_go_to_the_dead_letters_and_the_others_arrive(world: Arc<World>) {
    let broker = world.broker();
    let mut deliveries = broker.consume(Program::Worker, world.shutdown.clone()).await;
    let mut conn = world.pool.acquire().await.unwrap();
    for body in [json!({"v": 2, "kind": "overdue"}), json!("not even an object")] {
        let unreadable = NewDoorbell { routing_key: "billing.overdue".to_owned(), priority: 10, body };
        doorbells::put(&mut conn, world.tenant, &unreadable, now()).await.unwrap();
    }
    let readable = world.doorbell(DoorbellKind::Overdue);
    world.ring(&[readable]).await;
    broker.relay().await.unwrap();

    receive_and_ack(&mut deliveries, readable).await;

    eventually("the unreadable doorbells are dead letters", async || world.count_dead_letters().await == 2).await;
    eventually("no doorbell waits", async || world.waiting().await == 0).await;
}

pub(crate) async fn two_consumers_divide_the_doorbells(world: Arc<World>) {
    let (one, other) = (world.broker_with_prefetch(2), world.broker_with_prefetch(2));
    let mut deliveries_of_one = one.consume(Program::Worker, world.shutdown.clone()).await;
    let mut deliveries_of_other = other.consume(Program::Worker, world.shutdown.clone()).await;
    let doorbells = [(); 4].map(|()| world.doorbell(DoorbellKind::Overdue));
    world.ring(&doorbells).await;
    one.relay().await.unwrap();

    // Each consumer receives its whole prefetch before the first ack.
    let mut held = Vec::new();
    for _ in 0..2 {
        held.push(receive(&mut deliveries_of_one).await);
        held.push(receive(&mut deliveries_of_other).await);
    }

    let received: HashSet<_> = held.iter().map(|delivery| delivery.doorbell).collect();
    assert_eq!(received, HashSet::from(doorbells));
    for delivery in held {
        delivery.ack().await.unwrap();
    }
    assert_eq!(world.waiting().await, 0);
}

pub(crate) async fn doorbell_rung_twice_before_its_delivery_is_delivered_once(world: Arc<World>) {
    let broker = world.broker();
    let (twice, once) = (world.doorbell(DoorbellKind::Overdue), world.doorbell(DoorbellKind::Upcoming));
    world.ring(&[twice, once]).await;
    world.ring(&[twice]).await;
    broker.relay().await.unwrap();

    let mut deliveries = broker.consume(Program::Worker, world.shutdown.clone()).await;

    receive_and_ack(&mut deliveries, twice).await;
    receive_and_ack(&mut deliveries, once).await;
    assert_eq!(world.waiting().await, 0);
}

pub(crate) async fn doorbell_rung_during_its_delivery_is_delivered_again(world: Arc<World>) {
    let broker = world.broker();
    let mut deliveries = broker.consume(Program::Worker, world.shutdown.clone()).await;
    let doorbell = world.doorbell(DoorbellKind::Overdue);
    world.ring(&[doorbell]).await;
    broker.relay().await.unwrap();
    let held = receive(&mut deliveries).await;

    world.ring(&[doorbell]).await;
    held.ack().await.unwrap();
    broker.relay().await.unwrap();

    receive_and_ack(&mut deliveries, doorbell).await;
    assert_eq!(world.waiting().await, 0);
}

pub(crate) async fn doorbell_of_webhook_events_is_stored_once_and_delivered_to_periodic(world: Arc<World>) {
    let broker = world.broker();
    let mut of_worker = broker.consume(Program::Worker, world.shutdown.clone()).await;
    let mut of_periodic = broker.consume(Program::Periodic, world.shutdown.clone()).await;
    for _ in 0..3 {
        world.ring(&[Doorbell::WebhookEvents; 3]).await;
        assert!(world.waiting().await <= 1, "a waiting doorbell is not stored again");
        broker.relay().await.unwrap();
        receive_and_ack(&mut of_periodic, Doorbell::WebhookEvents).await;
        eventually("the doorbell to be deleted", async || world.waiting().await == 0).await;
    }
    let of_queue = world.doorbell(DoorbellKind::Overdue);
    world.ring(&[of_queue]).await;
    broker.relay().await.unwrap();
    receive_and_ack(&mut of_worker, of_queue).await;
    assert!(of_periodic.try_recv().is_err());
}

pub(crate) async fn concurrent_relays_lose_no_doorbell(world: Arc<World>) {
    let (one, other) = (world.broker(), world.broker());
    let doorbells: Vec<_> = (0..1_200).map(|_| world.doorbell(DoorbellKind::Notification)).collect();
    world.ring(&doorbells).await;

    let (by_one, by_other) = tokio::join!(one.relay(), other.relay());
    by_one.unwrap();
    by_other.unwrap();

    let mut deliveries = one.consume(Program::Worker, world.shutdown.clone()).await;
    let mut received = HashSet::new();
    while received.len() < doorbells.len() {
        let delivery = receive(&mut deliveries).await;
        assert!(received.insert(delivery.doorbell), "delivered twice");
        delivery.ack().await.unwrap();
    }
    assert_eq!(received, doorbells.into_iter().collect());
    assert_eq!(world.waiting().await, 0);
}

pub(crate) async fn second_broker_connects_beside_the_first(world: Arc<World>) {
    for broker in [world.broker(), world.broker()] {
        broker.ping().await.unwrap();
        assert_eq!(broker.name(), if world.amqp_url.is_some() { "rabbitmq" } else { "embedded" });
    }
}

pub(crate) async fn woken_relay_publishes_at_once(world: Arc<World>) {
    let broker = world.broker();
    let wake = Arc::new(Notify::new());
    let an_hour = Duration::from_secs(3600);
    let relay = tokio::spawn(run_relay(broker.clone(), wake.clone(), an_hour, world.shutdown.clone()));
    let mut deliveries = broker.consume(Program::Worker, world.shutdown.clone()).await;

    for _ in 0..3 {
        let doorbell = world.doorbell(DoorbellKind::Overdue);
        world.ring(&[doorbell]).await;
        wake.notify_one();
        receive_and_ack(&mut deliveries, doorbell).await;
    }

    world.shutdown.cancel();
    relay.await.unwrap();
}
