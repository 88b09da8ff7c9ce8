//! The promises of every broker.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use regua_broker::{DoorbellKind, ring, run_relay};
use regua_store::outbox;
use serde_json::json;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::fixture::{World, eventually, hear, hear_and_ack, now};

pub(crate) async fn what_is_rung_in_a_committed_transaction_is_heard_once(world: Arc<World>) {
    let broker = world.broker();
    let mut deliveries = broker.consume(world.shutdown.clone()).await;
    let (first, second) = (world.doorbell(DoorbellKind::Overdue), world.doorbell(DoorbellKind::Overdue));

    for doorbell in [first, second] {
        world.ring(&[doorbell]).await;
        broker.relay().await.unwrap();
        hear_and_ack(&mut deliveries, doorbell).await;
    }

    assert_eq!(world.waiting().await, 0);
    assert!(deliveries.try_recv().is_err());
}

pub(crate) async fn what_was_rolled_back_is_never_heard(world: Arc<World>) {
    let broker = world.broker();
    let mut deliveries = broker.consume(world.shutdown.clone()).await;
    let mut transaction = world.pool.begin().await.unwrap();
    ring(&mut transaction, &world.doorbell(DoorbellKind::Upcoming), now()).await.unwrap();
    transaction.rollback().await.unwrap();

    let committed = world.doorbell(DoorbellKind::Upcoming);
    world.ring(&[committed]).await;
    broker.relay().await.unwrap();

    hear_and_ack(&mut deliveries, committed).await;
    assert_eq!(world.waiting().await, 0);
}

pub(crate) async fn a_doorbell_dropped_without_an_ack_is_heard_again(world: Arc<World>) {
    let broker = world.broker();
    let mut deliveries = broker.consume(world.shutdown.clone()).await;
    let doorbell = world.doorbell(DoorbellKind::Resume);
    world.ring(&[doorbell]).await;
    broker.relay().await.unwrap();

    drop(hear(&mut deliveries).await);

    hear_and_ack(&mut deliveries, doorbell).await;
    assert_eq!(world.waiting().await, 0);
}

pub(crate) async fn a_doorbell_that_was_given_back_is_heard_again(world: Arc<World>) {
    let broker = world.broker();
    let mut deliveries = broker.consume(world.shutdown.clone()).await;
    let doorbell = world.doorbell(DoorbellKind::Overdue);
    world.ring(&[doorbell]).await;
    broker.relay().await.unwrap();

    hear(&mut deliveries).await.retry().await;
    hear(&mut deliveries).await.retry().await;

    hear_and_ack(&mut deliveries, doorbell).await;
}

pub(crate) async fn what_a_consumer_held_when_it_went_away_is_heard_by_another(world: Arc<World>) {
    let broker = world.broker();
    let gone = CancellationToken::new();
    let mut deliveries = broker.consume(gone.clone()).await;
    let doorbells = [world.doorbell(DoorbellKind::Overdue), world.doorbell(DoorbellKind::Overdue)];
    world.ring(&doorbells).await;
    broker.relay().await.unwrap();
    let held = hear(&mut deliveries).await;

    gone.cancel();
    drop((held, deliveries));

    let mut others = broker.consume(world.shutdown.clone()).await;
    let heard = HashSet::from([hear(&mut others).await.doorbell, hear(&mut others).await.doorbell]);
    assert_eq!(heard, HashSet::from(doorbells));
}

pub(crate) async fn the_most_urgent_of_those_waiting_is_heard_first(world: Arc<World>) {
    let broker = world.broker_with_prefetch(1);
    let kinds = [DoorbellKind::Notification, DoorbellKind::Overdue, DoorbellKind::Upcoming];
    let [notification, overdue, upcoming] = kinds.map(|kind| world.doorbell(kind));
    world.ring(&[notification, overdue, upcoming]).await;
    broker.relay().await.unwrap();

    let mut deliveries = broker.consume(world.shutdown.clone()).await;

    for expected in [overdue, upcoming, notification] {
        hear_and_ack(&mut deliveries, expected).await;
    }
}

pub(crate) async fn what_cannot_be_read_goes_to_the_dead_letters_and_the_others_arrive(world: Arc<World>) {
    let broker = world.broker();
    let mut deliveries = broker.consume(world.shutdown.clone()).await;
    let mut conn = world.pool.acquire().await.unwrap();
    for body in [json!({"v": 2, "kind": "overdue"}), json!("not even an object")] {
        outbox::put(&mut conn, world.tenant, "billing.overdue", 10, &body, now()).await.unwrap();
    }
    let readable = world.doorbell(DoorbellKind::Overdue);
    world.ring(&[readable]).await;
    broker.relay().await.unwrap();

    hear_and_ack(&mut deliveries, readable).await;

    eventually("the unreadable ones are among the dead letters", async || world.dead().await == 2).await;
    eventually("nothing waits", async || world.waiting().await == 0).await;
}

pub(crate) async fn two_consumers_share_the_work(world: Arc<World>) {
    let (one, other) = (world.broker_with_prefetch(2), world.broker_with_prefetch(2));
    let mut deliveries_of_one = one.consume(world.shutdown.clone()).await;
    let mut deliveries_of_other = other.consume(world.shutdown.clone()).await;
    let doorbells = [(); 4].map(|()| world.doorbell(DoorbellKind::Overdue));
    world.ring(&doorbells).await;
    one.relay().await.unwrap();

    // Nobody acknowledges before both hold what they may hold.
    let mut held = Vec::new();
    for _ in 0..2 {
        held.push(hear(&mut deliveries_of_one).await);
        held.push(hear(&mut deliveries_of_other).await);
    }

    let heard: HashSet<_> = held.iter().map(|delivery| delivery.doorbell).collect();
    assert_eq!(heard, HashSet::from(doorbells));
    for delivery in held {
        delivery.ack().await.unwrap();
    }
    assert_eq!(world.waiting().await, 0);
}

pub(crate) async fn ringing_twice_before_it_is_heard_is_ringing_once(world: Arc<World>) {
    let broker = world.broker();
    let (twice, once) = (world.doorbell(DoorbellKind::Overdue), world.doorbell(DoorbellKind::Upcoming));
    world.ring(&[twice, once]).await;
    world.ring(&[twice]).await;
    broker.relay().await.unwrap();

    let mut deliveries = broker.consume(world.shutdown.clone()).await;

    hear_and_ack(&mut deliveries, twice).await;
    hear_and_ack(&mut deliveries, once).await;
    assert_eq!(world.waiting().await, 0);
}

pub(crate) async fn ringing_while_it_is_held_is_heard_again(world: Arc<World>) {
    let broker = world.broker();
    let mut deliveries = broker.consume(world.shutdown.clone()).await;
    let doorbell = world.doorbell(DoorbellKind::Overdue);
    world.ring(&[doorbell]).await;
    broker.relay().await.unwrap();
    let held = hear(&mut deliveries).await;

    world.ring(&[doorbell]).await;
    held.ack().await.unwrap();
    broker.relay().await.unwrap();

    hear_and_ack(&mut deliveries, doorbell).await;
    assert_eq!(world.waiting().await, 0);
}

pub(crate) async fn relays_that_run_at_once_lose_nothing(world: Arc<World>) {
    let (one, other) = (world.broker(), world.broker());
    let doorbells: Vec<_> = (0..1_200).map(|_| world.doorbell(DoorbellKind::Notification)).collect();
    world.ring(&doorbells).await;

    let (by_one, by_other) = tokio::join!(one.relay(), other.relay());
    by_one.unwrap();
    by_other.unwrap();

    let mut deliveries = one.consume(world.shutdown.clone()).await;
    let mut heard = HashSet::new();
    while heard.len() < doorbells.len() {
        let delivery = hear(&mut deliveries).await;
        assert!(heard.insert(delivery.doorbell), "heard twice");
        delivery.ack().await.unwrap();
    }
    assert_eq!(heard, doorbells.into_iter().collect());
    assert_eq!(world.waiting().await, 0);
}

pub(crate) async fn a_broker_may_be_made_twice(world: Arc<World>) {
    for broker in [world.broker(), world.broker()] {
        broker.ping().await.unwrap();
        assert_eq!(broker.name(), if world.amqp_url.is_some() { "rabbitmq" } else { "embedded" });
    }
}

pub(crate) async fn a_relay_that_was_woken_publishes_at_once(world: Arc<World>) {
    let broker = world.broker();
    let wake = Arc::new(Notify::new());
    let an_hour = Duration::from_secs(3600);
    let relay = tokio::spawn(run_relay(broker.clone(), wake.clone(), an_hour, world.shutdown.clone()));
    let mut deliveries = broker.consume(world.shutdown.clone()).await;

    for _ in 0..3 {
        let doorbell = world.doorbell(DoorbellKind::Overdue);
        world.ring(&[doorbell]).await;
        wake.notify_one();
        hear_and_ack(&mut deliveries, doorbell).await;
    }

    world.shutdown.cancel();
    relay.await.unwrap();
}
