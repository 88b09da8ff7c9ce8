//! A contact that another transaction holds is left to a later mark; the other contacts do not wait for it.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::TimeDelta;
use regua_domain::{AttemptId, ContactId, ContactStatus, LaneKey, QueueId, Rule};
use regua_store::attempts::AttemptKey;
use regua_store::contacts::{self, NewAttempt, Quota};
use regua_store::lanes;
use regua_tests::{Client, Fleet, FleetOptions, TenantOptions, batch};
use sqlx::{AssertSqlSafe, PgConnection};

const WITHOUT_WORKER: fn() -> FleetOptions = || FleetOptions { workers: 0, ..FleetOptions::default() };

/// Locks a contact's row until the transaction ends. No program of the fleet does that without the queue's lock.
async fn lock(conn: &mut PgConnection, contact: &str) {
    let statements = format!(
        "set local idle_in_transaction_session_timeout = 0; select from contacts where contact_id = '{contact}' for update"
    );
    sqlx::raw_sql(AssertSqlSafe(statements)).execute(conn).await.unwrap();
}

async fn first_contact(erp: &Client, queue: &str) -> String {
    erp.contacts(queue).await[0]["contact_id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn locked_contact_is_sent_once_after_its_release_and_delays_no_other() {
    let (mut fleet, _, erp) = Fleet::with(WITHOUT_WORKER(), TenantOptions::default()).await;
    let queue = erp.send_accepted("overdue", &batch("lote-a", 30)).await;
    let contact = first_contact(&erp, &queue).await;
    let mut holder = fleet.database.pool.begin().await.unwrap();
    lock(&mut holder, &contact).await;
    fleet.start_worker();

    let others = erp.wait_until(&queue, "others sent", |queue| queue["sent"] == 29).await;
    assert_eq!((&others["pending"], &others["status"]), (&1.into(), &"running".into()), "{others:#}");
    // Contacts that become due later do not wait either.
    let later = erp.send_accepted("overdue", &batch("lote-b", 5)).await;
    erp.wait_for_status(&later, "completed").await;
    assert_eq!(fleet.count("select sum(sent_that_day) from lanes").await, 34, "the locked contact uses no slot");
    assert_eq!(erp.contact(&contact).await["status"], "pending");

    holder.rollback().await.unwrap();
    erp.wait_for_status(&queue, "completed").await;
    assert_eq!(fleet.count("select sum(sent_that_day) from lanes").await, 35);
    fleet.assert_each_left_once(35);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slot_of_locked_contact_goes_to_another_of_its_group() {
    let tenant = TenantOptions { daily_cap: Some(5), ..TenantOptions::default() };
    let (mut fleet, _, erp) = Fleet::with(WITHOUT_WORKER(), tenant).await;
    let queue = erp.send_accepted("overdue", &batch("lote-a", 6)).await;
    let mut holder = fleet.database.pool.begin().await.unwrap();
    lock(&mut holder, &first_contact(&erp, &queue).await).await;
    let six_at_once = "update instances set lane_concurrency = 6";
    sqlx::raw_sql(six_at_once).execute(&fleet.database.pool).await.unwrap();
    fleet.start_worker();

    let paused = erp.wait_for_status(&queue, "paused_hours").await;
    assert_eq!((&paused["sent"], &paused["pending"]), (&5.into(), &1.into()), "{paused:#}");
    holder.rollback().await.unwrap();
    fleet.manual_clock.set(fleet.clock.now() + TimeDelta::days(1));
    erp.wait_for_status(&queue, "completed").await;
    fleet.assert_each_left_once(6);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mark_leaves_out_contacts_that_are_locked_or_changed() {
    let options = FleetOptions { periodic: false, ..WITHOUT_WORKER() };
    let (fleet, tenant, erp) = Fleet::with(options, TenantOptions::default()).await;
    let queue = QueueId(erp.send_accepted("overdue", &batch("lote-a", 4)).await.parse().unwrap());
    let now = fleet.clock.now();
    let mut transaction = fleet.database.pool.begin().await.unwrap();
    let lane = LaneKey { tenant: tenant.id, instance: tenant.instances[0] };
    lanes::lease(&mut transaction, lane, "first", Duration::from_secs(60)).await.unwrap();
    let quota = [Quota { tenant_id: tenant.id, queue_id: queue, quota: 4 }];
    let claimed = contacts::claim(&mut transaction, &quota, now).await.unwrap();
    let ids: Vec<ContactId> = claimed.iter().map(|contact| contact.contact_id).collect();
    let mut attempts = Vec::new();
    for contact in &ids {
        let key = AttemptKey { tenant: tenant.id, contact: *contact, attempt: AttemptId::new(now) };
        attempts.push(NewAttempt { key, number: 1, lease_epoch: 1 });
    }
    // Another transaction holds the second contact. The number says that the fourth was attempted since the claim.
    attempts[3].number = 3;
    let mut holder = fleet.database.pool.begin().await.unwrap();
    lock(&mut holder, &ids[1].to_string()).await;

    let marked = contacts::mark_sending(&mut transaction, "first", &attempts, now).await.unwrap();
    assert_eq!(BTreeSet::from_iter(marked), BTreeSet::from([attempts[0].key.attempt, attempts[2].key.attempt]));
    let skips: Vec<_> = ids.iter().map(|contact| (tenant.id, *contact, Rule::AttemptsUsedUp)).collect();
    let skipped = contacts::skip(&mut transaction, &skips, now).await.unwrap();
    let skipped: Vec<_> = skipped.iter().map(|moved| (moved.tenant_id, moved.contact_id, moved.to)).collect();
    assert_eq!(skipped, [(tenant.id, ids[3], ContactStatus::Skipped)]);
    holder.rollback().await.unwrap();
    let marked = contacts::mark_sending(&mut transaction, "first", &attempts[1..2], now).await.unwrap();
    assert_eq!(marked, [attempts[1].key.attempt]);
    transaction.rollback().await.unwrap();
    fleet.end_unfinished().await;
}
