//! What every broker promises, as one suite that runs against all (RabbitMQ with both types of queues), and what RabbitMQ
//! promises besides.
//!
//! `DATABASE_URL` names the server on which each test makes a database of its own. Without `AMQP_URL` RabbitMQ's tests
//! are left out, and say so. `scripts/with-services cargo test -p regua-broker` provides both.

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
    what_is_rung_in_a_committed_transaction_is_heard_once,
    what_was_rolled_back_is_never_heard,
    a_doorbell_dropped_without_an_ack_is_heard_again,
    a_doorbell_that_was_given_back_is_heard_again,
    what_a_consumer_held_when_it_went_away_is_heard_by_another,
    the_most_urgent_of_those_waiting_is_heard_first,
    what_cannot_be_read_goes_to_the_dead_letters_and_the_others_arrive,
    two_consumers_share_the_work,
    ringing_twice_before_it_is_heard_is_ringing_once,
    ringing_while_it_is_held_is_heard_again,
    relays_that_run_at_once_lose_nothing,
    a_broker_may_be_made_twice,
    a_relay_that_was_woken_publishes_at_once,
}
