//! Passes of the reader of webhook events: bounded, fair by tenant, and with dead letters for events that it cannot
//! apply.

use chrono::{DateTime, Utc};
use regua_domain::{GatewayEventName, TenantId};
use regua_store::webhook_events::{self, PassBudget};
use regua_store::{access, dead_letters};
use regua_tests::Database;
use sqlx::{AssertSqlSafe, Executor, PgPool};

use super::webhooks::{post_stored, set_secret, status_event};
use super::*;

/// Stores statuses of unknown messages by SQL. They have waited for a minute.
async fn store_statuses(pool: &PgPool, tenant: TenantId, count: usize, bytes: &str, now: DateTime<Utc>) {
    let statement = format!(
        "insert into webhook_events (tenant_id, webhook_event_id, instance_id, event, data, received_at, next_match_at,
             bytes)
         select tenant_id, gen_random_uuid(), instance_id, 'messages.update',
                '{{\"keyId\": \"unknown\", \"fromMe\": true, \"status\": \"READ\"}}',
                '{now}'::timestamptz - interval '1 minute', '{now}'::timestamptz - interval '1 minute', {bytes}
         from instances, generate_series(1, {count}) where tenant_id = '{tenant}'"
    );
    pool.execute(AssertSqlSafe(statement)).await.unwrap();
}

#[tokio::test]
async fn pass_takes_turns_among_tenants_and_a_limited_number_of_bytes() {
    let database = Database::fresh().await;
    let (pool, now) = (&database.pool, regua_tests::monday_ten_o_clock());
    let mut ids = Vec::new();
    for slug in ["a", "b", "c"] {
        let options = TenantOptions { slug, instances: vec![slug.to_owned()], ..TenantOptions::default() };
        ids.push(Tenant::create(pool, "http://127.0.0.1:1", &options, now).await.id);
    }
    for (tenant, count) in ids.iter().zip([50, 3, 1]) {
        store_statuses(pool, *tenant, count, "1000", now).await;
    }
    // Each look sees the same rows, because nothing is committed.
    let take = async |events, events_of_tenant, bytes| {
        let mut transaction = pool.begin().await.unwrap();
        let budget = PassBudget { events, events_of_tenant, bytes };
        let pause = Duration::from_secs(30);
        let taken = webhook_events::take_due_gateway_events(&mut transaction, now, pause, budget).await.unwrap();
        transaction.rollback().await.unwrap();
        let count = |tenant| taken.iter().filter(|event| event.tenant_id == tenant).count();
        let is_followed = taken.iter().all(|event| event.is_followed);
        (ids.iter().map(|tenant| count(*tenant)).collect::<Vec<_>>(), is_followed)
    };
    assert_eq!(take(100, 10, 1 << 20).await, (vec![50, 3, 1], false), "no more are due than one pass takes");
    assert_eq!(take(20, 10, 1 << 20).await, (vec![10, 3, 1], true));
    assert_eq!(take(5, 10, 1 << 20).await, (vec![2, 2, 1], true), "the tenants take turns");
    let (taken, is_followed) = take(100, 10, 4500).await;
    assert_eq!((taken.iter().sum::<usize>(), is_followed), (5, true), "the event that exceeds the bytes is the last");
    pool.execute("delete from webhook_events").await.unwrap();
    store_statuses(pool, ids[0], 50, "null", now).await;
    assert_eq!(take(100, 10, 16 << 20).await.0, [16, 0, 0], "an event without its bytes counts as the largest");
}

#[tokio::test(flavor = "multi_thread")]
async fn event_of_one_tenant_is_read_beside_many_of_another() {
    let options = FleetOptions { periodic: false, ..FleetOptions::default() };
    let (fleet, tenant, erp) = Fleet::with(options, TenantOptions::default()).await;
    let greedy = TenantOptions { slug: "greedy", instances: vec!["greedy".to_owned()], ..TenantOptions::default() };
    let greedy = fleet.create_tenant(&greedy).await;
    let queue = erp.send_accepted("overdue", &batch("lote-a", 1)).await;
    erp.wait_for_status(&queue, "completed").await;
    let message_id = erp.contacts(&queue).await[0]["message_id"].as_str().unwrap().to_owned();
    store_statuses(&fleet.database.pool, greedy.id, 1200, "80", fleet.clock.now()).await;
    let secret = set_secret(&fleet, &tenant, 0, 9).await;
    post_stored(&fleet.webhook_url(&tenant), &secret, &status_event(&message_id, "READ")).await;
    assert_eq!(fleet.manual_periodic().match_webhooks().await.unwrap(), 1, "the first pass applies it");
    assert_eq!(erp.status(&queue).await["read"], 1);
    fleet.database.pool.execute("delete from webhook_events").await.unwrap();
    fleet.end_unfinished().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn event_that_fails_three_passes_becomes_a_dead_letter() {
    let options = FleetOptions { periodic: false, ..FleetOptions::default() };
    let (fleet, tenant, erp) = Fleet::with(options, TenantOptions::default()).await;
    let queue = erp.send_accepted("overdue", &batch("lote-a", 1)).await;
    erp.wait_for_status(&queue, "completed").await;
    let message_id = erp.contacts(&queue).await[0]["message_id"].as_str().unwrap().to_owned();
    // The reader postpones the status of an unknown message, and the database refuses that for this one.
    let refusal = "create function refuse() returns trigger language plpgsql as $$ begin raise 'refused'; end $$;
        create trigger refused before update of failures on webhook_events for each row
            when (new.failures = 0 and new.data ->> 'keyId' = 'poison') execute function refuse()";
    fleet.database.pool.execute(refusal).await.unwrap();
    let (secret, url) = (set_secret(&fleet, &tenant, 0, 9).await, fleet.webhook_url(&tenant));
    post_stored(&url, &secret, &status_event("poison", "READ")).await;
    post_stored(&url, &secret, &status_event(&message_id, "READ")).await;
    let periodic = fleet.manual_periodic();
    let dead = "select count(*) from dead_letters where body -> 'data' ->> 'keyId' = 'poison'";
    for pass in 1..=3 {
        assert_eq!((fleet.count(dead).await, fleet.count("select count(*) from dead_letters").await), (0, 0));
        assert_eq!(periodic.match_webhooks().await.unwrap(), u64::from(pass == 1), "the other event is applied");
        fleet.manual_clock.set(fleet.clock.now() + TimeDelta::seconds(31));
    }
    assert_eq!((fleet.count(dead).await, fleet.count("select count(*) from webhook_events").await), (1, 0));
    assert_eq!(fleet.metrics.periodic.webhook_events_dead.get(), 1);
    let mut transaction = fleet.database.pool.begin().await.unwrap();
    assert_eq!(dead_letters::count(&mut transaction).await.unwrap(), 1, "regua doctor shows it");
    transaction.rollback().await.unwrap();

    fleet.manual_clock.set(fleet.clock.now() + TimeDelta::hours(23));
    periodic.run_retention().await.unwrap();
    assert_eq!(fleet.count(dead).await, 1, "the body is stored for a day");
    fleet.manual_clock.set(fleet.clock.now() + TimeDelta::hours(2));
    periodic.run_retention().await.unwrap();
    assert_eq!(fleet.count("select count(*) from dead_letters where body = '{}'").await, 1);
    fleet.end_unfinished().await;
}

/// A failure of the database is not the event's.
#[tokio::test(flavor = "multi_thread")]
async fn event_is_not_counted_as_failed_while_the_database_is_unavailable() {
    let options = FleetOptions { periodic: false, ..FleetOptions::default() };
    let (fleet, tenant, _) = Fleet::with(options, TenantOptions::default()).await;
    let refusal = "create function refuse() returns trigger language plpgsql as
            $$ begin raise 'a deadlock' using errcode = '40P01'; end $$;
        create trigger refused before update of failures on webhook_events for each row
            when (new.failures = 0) execute function refuse()";
    fleet.database.pool.execute(refusal).await.unwrap();
    let secret = set_secret(&fleet, &tenant, 0, 9).await;
    post_stored(&fleet.webhook_url(&tenant), &secret, &status_event("3EB0", "READ")).await;
    let periodic = fleet.manual_periodic();
    for _ in 0..4 {
        periodic.match_webhooks().await.unwrap();
        fleet.manual_clock.set(fleet.clock.now() + TimeDelta::seconds(31));
    }
    assert_eq!(fleet.count("select count(*) from webhook_events where failures = 0").await, 1);
    assert_eq!(fleet.count("select count(*) from dead_letters").await, 0);
    fleet.database.pool.execute("delete from webhook_events").await.unwrap();
    fleet.end_unfinished().await;
}

#[tokio::test]
async fn export_and_erasure_reach_dead_webhook_events() {
    let database = Database::fresh().await;
    let (pool, now) = (&database.pool, regua_tests::monday_ten_o_clock());
    let tenant = Tenant::create(pool, "http://127.0.0.1:1", &TenantOptions::default(), now).await;
    let mut conn = pool.begin().await.unwrap();
    for number in ["5585987654321", "5511900000000"] {
        let data = json!({"key": {"id": "3EB0", "remoteJid": format!("{number}@s.whatsapp.net")}}).to_string();
        let (instance, event) = (tenant.instances[0], GatewayEventName::SendMessage);
        webhook_events::insert_gateway_event(&mut conn, tenant.id, instance, event, &data, true, now).await.unwrap();
    }
    conn.commit().await.unwrap();
    let mut fleet = pool.begin_with("begin; set local role regua_fleet").await.unwrap();
    let due = PassBudget { events: 10, events_of_tenant: 10, bytes: 1 << 20 };
    let taken = webhook_events::take_due_gateway_events(&mut fleet, now, Duration::ZERO, due).await.unwrap();
    for event in taken {
        dead_letters::move_event(&mut fleet, event.tenant_id, event.id, "a test", now).await.unwrap();
    }
    fleet.commit().await.unwrap();
    let needles = ["5585987654321".to_owned()];
    let mut api = access::begin(pool, tenant.id).await.unwrap();
    assert_eq!(webhook_events::list_containing(&mut api, tenant.id, &needles).await.unwrap().len(), 1);
    assert_eq!(webhook_events::delete_containing(&mut api, tenant.id, &needles).await.unwrap(), 1);
    assert!(webhook_events::list_containing(&mut api, tenant.id, &needles).await.unwrap().is_empty());
    api.rollback().await.unwrap();
}
