//! Events and a debtor's rights: the export contains them, an erasure leaves ids alone, and they last 14 days.

use chrono::TimeDelta;
use regua_domain::EventKind;
use regua_store::{PoolMode, PoolSettings, Role};

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn export_contains_events_of_the_debtor_and_erasure_leaves_ids_alone() {
    let (fleet, acme, erp) = fleet_without_periodic().await;
    let queue = erp.send_accepted("overdue", &batch_with_debtor("lote-a", 3, PHONE)).await;
    erp.wait_for_status(&queue, "completed").await;
    fleet.wait_for_free_lanes().await;
    let owner = User::logged_in(&fleet, &acme, "acme", "owner").await;
    let found = owner.export(&json!({"phone": PHONE})).await;
    let events = found["contacts"][0]["events"].as_array().unwrap().clone();
    assert_eq!(events.len(), 1, "{found:#}");
    assert_eq!(events[0]["kind"], EventKind::ContactSent.as_str());
    assert!(events[0]["at"].is_string() && events[0]["seq"].is_number(), "{found:#}");

    owner.erase(&json!({"phone": PHONE, "reason": "requested"})).await;
    assert_no_trace(&fleet, &acme).await;
    let erased = owner.export(&json!({"phone": PHONE})).await;
    assert_eq!(erased["contacts"][0]["events"].as_array().unwrap(), &events, "readers of events miss none: {erased:#}");
    fleet.end_without_the_ledger().await;
}

/// No column can hold a text or a number: ids, times and the kinds of an enum.
#[tokio::test(flavor = "multi_thread")]
async fn columns_of_events_hold_ids_kinds_and_times_alone() {
    let (fleet, acme, erp) = fleet_without_periodic().await;
    let queue = erp.send_accepted("overdue", &batch_with_debtor("lote-a", 3, PHONE)).await;
    erp.wait_for_status(&queue, "completed").await;
    let columns = "select a.attname || ' ' || a.atttypid::regtype from pg_attribute a
                   where a.attrelid = 'events'::regclass and a.attnum > 0 and not a.attisdropped order by a.attnum";
    let columns: Vec<String> =
        fleet.database.pool.fetch_all(columns).await.unwrap().iter().map(|row| sqlx::Row::get(row, 0)).collect();
    let expected = [
        "tenant_id uuid",
        "seq bigint",
        "kind text",
        "at timestamp with time zone",
        "queue_id uuid",
        "contact_id uuid",
        "instance_id uuid",
    ];
    assert_eq!(columns, expected);
    let rows = dump(&fleet, &format!("tenant_id = '{}'", acme.id)).await;
    let events: Vec<_> = rows.iter().filter_map(|row| row.strip_prefix("events ")).collect();
    assert!(events.len() > 3, "{events:?}");
    for event in events {
        let event: Value = serde_json::from_str(event).unwrap();
        assert!(event["kind"].as_str().unwrap().parse::<EventKind>().is_ok(), "{event:#}");
    }
    let phone = "insert into events (tenant_id, kind, at) values (gen_random_uuid(), '+5585987654321', now())";
    assert!(fleet.database.pool.execute(phone).await.is_err(), "a number is no kind");
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_deleted_after_14_days_and_not_before() {
    // PostgreSQL's own clock guards younger events, so the first batch must be old by that clock too.
    let begun = regua_boot::Clock::system().now() - TimeDelta::days(15);
    let options = FleetOptions { periodic: false, now: begun, ..FleetOptions::default() };
    let (fleet, acme, erp) = Fleet::with(options, TenantOptions::default()).await;
    let (other, their) = other_tenant(&fleet).await;
    let mut events = Vec::new();
    for erp in [&erp, &their] {
        let mut batch = batch("lote-a", 4);
        for contact in batch["contacts"].as_array_mut().unwrap() {
            contact["due_date"] = json!((begun - TimeDelta::days(5)).date_naive().to_string());
        }
        let queue = erp.send_accepted("overdue", &batch).await;
        erp.wait_for_status(&queue, "completed").await;
    }
    fleet.wait_for_free_lanes().await;
    for tenant in [&acme, &other] {
        events.push(fleet.count(&format!("select count(*) from events where tenant_id = '{}'", tenant.id)).await);
    }
    let written = fleet.clock.now();
    assert!(events[0] >= 5 && events[0] == events[1], "{events:?}");

    let periodic = fleet.manual_periodic();
    fleet.manual_clock.set(begun + TimeDelta::days(14) - TimeDelta::minutes(1));
    assert_eq!(periodic.delete_old_events().await.unwrap(), 0, "one minute before their end");
    fleet.manual_clock.set(written + TimeDelta::days(14) - TimeDelta::seconds(1));
    let young = format!(
        "insert into events (tenant_id, kind, at) values ('{}', 'queue.paused', now() - interval '13 days')",
        acme.id
    );
    fleet.database.pool.execute(AssertSqlSafe(young)).await.unwrap();
    fleet.manual_clock.set(written + TimeDelta::days(14) + TimeDelta::seconds(1));
    let deleted = periodic.delete_old_events().await.unwrap();
    assert_eq!(i64::try_from(deleted).unwrap(), events[0] + events[1], "the events of both tenants");
    assert_eq!(fleet.count("select count(*) from events").await, 1, "a younger event remains");
    assert_eq!(periodic.delete_old_events().await.unwrap(), 0);

    // Whatever a program asks for: its role deletes no event that is younger.
    let settings = PoolSettings {
        database_url: fleet.database.url.clone(),
        application_name: "regua-events",
        role: Role::Fleet,
        pool_mode: PoolMode::Session,
        max_connections: 1,
        acquire_timeout: std::time::Duration::from_secs(3),
    };
    let pool = regua_store::pool(&settings).unwrap();
    assert_eq!(pool.execute("delete from events").await.unwrap().rows_affected(), 0);
    assert!(pool.execute("update events set at = at - interval '30 days'").await.is_err(), "events do not change");
    assert!(pool.execute("truncate events").await.is_err());
    fleet.database.pool.execute("delete from events").await.unwrap();
    fleet.end().await;
}
