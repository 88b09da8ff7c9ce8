//! The reader of webhook events: a doorbell wakes it, a regular pass finds what no doorbell announced, and events of
//! other sources stay.

use futures_util::{StreamExt, stream};
use regua_store::access;
use sqlx::{AssertSqlSafe, Executor};

use super::webhooks::{post_stored, set_secret, status_event, until_matched};
use super::*;

/// A fleet with one sent message, its tenant, its queue, and the message's id.
async fn fleet_with_sent_message(periodic_tick: Duration) -> (Fleet, Tenant, Client, String, String) {
    let options = FleetOptions { periodic_tick, ..FleetOptions::default() };
    let (fleet, tenant, erp) = Fleet::with(options, TenantOptions::default()).await;
    let queue = erp.send_accepted("overdue", &batch("lote-a", 1)).await;
    erp.wait_for_status(&queue, "completed").await;
    let message_id = erp.contacts(&queue).await[0]["message_id"].as_str().unwrap().to_owned();
    (fleet, tenant, erp, queue, message_id)
}

#[tokio::test(flavor = "multi_thread")]
async fn webhook_event_wakes_its_reader_by_a_doorbell() {
    let an_hour = Duration::from_secs(3600);
    let (fleet, tenant, erp, queue, message_id) = fleet_with_sent_message(an_hour).await;
    let secret = set_secret(&fleet, &tenant, 0, 9).await;
    for (status, member) in [("DELIVERY_ACK", "delivered"), ("READ", "read")] {
        post_stored(&fleet.webhook_url(&tenant), &secret, &status_event(&message_id, status)).await;
        erp.wait_until(&queue, member, |queue| queue[member] == 1).await;
        until_matched(&fleet).await;
    }
    fleet.end().await;
}

/// So does an event that a program of v0.2.0 stores while the programs are updated: without a source, without a doorbell.
#[tokio::test(flavor = "multi_thread")]
async fn webhook_event_without_a_doorbell_is_read_by_the_regular_pass() {
    let (fleet, tenant, erp, queue, message_id) = fleet_with_sent_message(Duration::from_millis(20)).await;
    let mut transaction = access::begin(&fleet.database.pool, tenant.id).await.unwrap();
    let statement = format!(
        "insert into webhook_events (tenant_id, webhook_event_id, instance_id, event, data, received_at, next_match_at)
         values ('{}', gen_random_uuid(), '{}', 'messages.update', '{}', '{now}', '{now}')",
        tenant.id,
        tenant.instances[0],
        status_event(&message_id, "READ")["data"],
        now = fleet.clock.now()
    );
    transaction.execute(AssertSqlSafe(statement)).await.unwrap();
    transaction.commit().await.unwrap();
    erp.wait_until(&queue, "read", |queue| queue["read"] == 1).await;
    until_matched(&fleet).await;
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn event_of_a_source_without_a_reader_stays_and_delays_no_other() {
    let (fleet, tenant, erp, queue, message_id) = fleet_with_sent_message(Duration::from_millis(100)).await;
    let stored = "insert into webhook_events (webhook_event_id, source, event, data, received_at, next_match_at)
                  select gen_random_uuid(), 'paddle', 'transaction.completed', '{}', '2026-01-01Z', '2026-01-01Z'
                  from generate_series(1, 1000)";
    fleet.database.pool.execute(stored).await.unwrap();
    let secret = set_secret(&fleet, &tenant, 0, 9).await;
    post_stored(&fleet.webhook_url(&tenant), &secret, &status_event(&message_id, "READ")).await;
    erp.wait_until(&queue, "read", |queue| queue["read"] == 1).await;
    until_matched(&fleet).await;
    let waiting = "select count(*) from webhook_events where source = 'paddle' and next_match_at = '2026-01-01Z'";
    assert_eq!(fleet.count(waiting).await, 1000);
    assert_eq!(fleet.count("select count(*) from dead_letters").await, 0);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn flood_of_webhook_events_rings_few_doorbells() {
    const EVENTS: usize = 400;
    let (fleet, tenant, ..) = fleet_with_sent_message(Duration::from_millis(100)).await;
    let counting = "create sequence rung;
        create function count_doorbell() returns trigger language plpgsql security definer as
            $$ begin perform nextval('rung'); return null; end $$;
        create trigger counted after insert on doorbells for each row execute function count_doorbell()";
    fleet.database.pool.execute(counting).await.unwrap();
    let secret = set_secret(&fleet, &tenant, 0, 9).await;
    let url = fleet.webhook_url(&tenant);
    let event = json!({"event": "send.message", "data": {}});
    let started = std::time::Instant::now();
    stream::iter(0..EVENTS).for_each_concurrent(32, async |_| post_stored(&url, &secret, &event).await).await;
    until_matched(&fleet).await;
    let rung = fleet.count("select last_value from rung").await;
    // The API and periodic relay every 100 ms each.
    let bound = 4 + started.elapsed().as_millis() / 40;
    assert!(u128::try_from(rung).unwrap() <= bound, "{rung} doorbells for {EVENTS} events, more than {bound}");
    fleet.end().await;
}
