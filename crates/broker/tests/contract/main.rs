//! The contract of the brokers: one suite for all (RabbitMQ with both queue types), and tests of RabbitMQ alone.
//!
//! Each test creates a database on the server of `DATABASE_URL`. Without `AMQP_URL` RabbitMQ's tests are skipped, which is
//! reported. `scripts/with-services cargo test -p regua-broker` sets both.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test ends with a panic where it cannot go on")]

mod fixture;
mod proxy;
mod rabbit;
mod suite;

macro_rules! contract {
    ($($test:ident),+ $(,)?) => {
        mod embedded {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                crate::fixture::run_embedded(crate::suite::$test).await;
            })+
        }

        mod rabbitmq {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                crate::fixture::run_rabbitmq(crate::suite::$test).await;
            })+
        }

        mod quorum {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                crate::fixture::run_quorum(crate::suite::$test).await;
            })+
        }
    };
}

contract! {
    doorbell_of_a_committed_transaction_is_delivered_once,
    doorbell_of_a_rolled_back_transaction_is_never_delivered,
    dropped_doorbell_is_delivered_again,
    requeued_doorbell_is_delivered_again,
    doorbells_of_a_stopped_consumer_go_to_another,
    most_urgent_waiting_doorbell_is_delivered_first,
    unreadable_doorbells_go_to_the_dead_letters_and_the_others_arrive,
    two_consumers_divide_the_doorbells,
    doorbell_rung_twice_before_its_delivery_is_delivered_once,
    doorbell_rung_during_its_delivery_is_delivered_again,
    concurrent_relays_lose_no_doorbell,
    second_broker_connects_beside_the_first,
    woken_relay_publishes_at_once,
    doorbell_of_webhook_events_is_stored_once_and_delivered_to_periodic,
}
