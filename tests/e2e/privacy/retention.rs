//! Retention: each tenant's data is erased and later deleted at its time, also if periodic crashes in between.

use chrono::{DateTime, TimeDelta, Utc};
use regua_tests::Process;

use super::*;

const BINARY: &str = env!("CARGO_BIN_EXE_regua-test-process");

/// The tenant's rows of the table of contacts, as text.
async fn contacts(fleet: &Fleet, tenant: &Tenant) -> Vec<String> {
    let all = dump(fleet, &format!("tenant_id = '{}'", tenant.id)).await;
    all.into_iter().filter(|row| row.starts_with("contacts ")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn data_is_erased_and_deleted_when_its_retention_ends_and_not_before() {
    let (fleet, acme, erp) = fleet_without_periodic().await;
    let (other, their) = other_tenant(&fleet).await;
    let owner = User::logged_in(&fleet, &acme, "acme", "owner").await;
    let body = json!({"personal_data_days": 30, "proof_days": 60});
    let set = owner.call(Method::PUT, "/retention", &body).await;
    assert_eq!((set.status, &set.body), (StatusCode::OK, &body));
    let mut ended = None;
    for erp in [&their, &erp] {
        let queue = erp.send_accepted("overdue", &batch_with_debtor("lote-a", 3, PHONE)).await;
        let finished_at = erp.wait_for_status(&queue, "completed").await["finished_at"].clone();
        ended = finished_at.as_str().and_then(|at| at.parse::<DateTime<Utc>>().ok());
    }
    let ended = ended.expect("the time when the queue finished");
    let mut scheduled = batch("lote-b", 1);
    scheduled["scheduled_for"] = json!("2027-10-01T13:00:00Z");
    let scheduled = erp.send_accepted("overdue", &scheduled).await;
    fleet.wait_for_free_lanes().await;
    let theirs = contacts(&fleet, &other).await;

    let periodic = fleet.manual_periodic();
    fleet.manual_clock.set(ended + TimeDelta::days(30) - TimeDelta::minutes(1));
    assert_eq!(periodic.run_retention().await.unwrap(), 0, "one minute before its end");
    assert_eq!(fleet.count("select count(*) from contacts where erased_at is not null").await, 0);
    fleet.manual_clock.set(ended + TimeDelta::days(30) + TimeDelta::seconds(1));
    assert_eq!(periodic.run_retention().await.unwrap(), 3);
    assert_eq!(periodic.run_retention().await.unwrap(), 0, "nothing is left to erase");
    let campaign = format!("from campaigns where tenant_id = '{}' and external_id = 'lote-a'", acme.id);
    assert_eq!(fleet.count(&format!("select count(*) {campaign} and metadata = '{{}}'")).await, 1);
    let (sent, traces) = ("status = 'sent' and message_id is not null and phone_hash is not null", &TRACES[..]);
    assert_eq!(fleet.count(&format!("select count(*) from contacts where erased_at is not null and {sent}")).await, 3);
    for row in contacts(&fleet, &acme).await {
        assert!(traces.iter().all(|trace| !row.contains(trace)), "{row}");
    }
    assert_eq!(contacts(&fleet, &other).await, theirs, "the other tenant retains its data for a year");
    assert_eq!(erp.status(&scheduled).await["pending"], 1, "an unfinished queue is not erased");
    let owner = User { token: owner.login_again("acme").await, ..owner };
    let found = owner.export(&json!({"phone": PHONE})).await;
    assert_eq!(found["contacts"].as_array().unwrap().len(), 1, "the phone number still finds the proof: {found:#}");

    fleet.manual_clock.set(ended + TimeDelta::days(60) - TimeDelta::minutes(1));
    assert_eq!(periodic.run_retention().await.unwrap(), 0);
    fleet.manual_clock.set(ended + TimeDelta::days(60) + TimeDelta::seconds(1));
    assert_eq!(periodic.run_retention().await.unwrap(), 1, "one batch is deleted");
    assert_eq!(fleet.count(&format!("select count(*) {campaign}")).await, 0);
    let left = format!("select count(*) from contacts where tenant_id = '{}'", acme.id);
    assert_eq!((fleet.count(&left).await, fleet.count("select count(*) from attempts").await), (1, 3));
    assert_eq!(contacts(&fleet, &other).await, theirs);
    fleet.end_unfinished().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn retention_outside_its_bounds_is_refused() {
    let (fleet, acme, _) = fleet_without_periodic().await;
    let owner = User::logged_in(&fleet, &acme, "acme", "owner").await;
    let viewer = User::logged_in(&fleet, &acme, "acme", "viewer").await;
    let defaults = json!({"personal_data_days": 365, "proof_days": 1826});
    assert_eq!(viewer.call(Method::GET, "/retention", &json!({})).await.body, defaults);
    assert_eq!(viewer.call(Method::PUT, "/retention", &defaults).await.status, StatusCode::FORBIDDEN);
    for (personal, proof) in [(0, 10), (10, 9), (1, 36_501)] {
        let body = json!({"personal_data_days": personal, "proof_days": proof});
        let answer = owner.call(Method::PUT, "/retention", &body).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}: {:#}", answer.body);
    }
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn old_sessions_and_login_failures_are_deleted() {
    let (fleet, acme, _) = fleet_without_periodic().await;
    let owner = User::logged_in(&fleet, &acme, "acme", "owner").await;
    let wrong = json!({"tenant": "acme", "email": "owner@acme.example", "password": "falsch"});
    let refused = owner.api.call(Method::POST, "/api/v1/auth/login", Some(&wrong)).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    let (begun, periodic) = (fleet.clock.now(), fleet.manual_periodic());
    let left = async || {
        (fleet.count("select count(*) from sessions").await, fleet.count("select count(*) from login_failures").await)
    };
    // Login failures are kept for a day. A session lasts 30 days, and its network is kept for another 90.
    for (days, seconds, expected) in [(1, -60, (1, 1)), (1, 1, (1, 0)), (120, -60, (1, 0)), (120, 1, (0, 0))] {
        fleet.manual_clock.set(begun + TimeDelta::days(days) + TimeDelta::seconds(seconds));
        periodic.run_retention().await.unwrap();
        assert_eq!(left().await, expected, "after {days} days and {seconds} s");
    }
    fleet.end().await;
}

/// Periodic dies during an erasure, and another one completes it.
async fn periodic_dies_at(failpoint: &str) {
    let long_ago = regua_boot::Clock::system().now() - TimeDelta::days(400);
    let options = FleetOptions { periodic: false, now: long_ago, ..FleetOptions::default() };
    let (fleet, acme, erp) = Fleet::with(options, TenantOptions::default()).await;
    let mut body = batch_with_debtor("lote-a", 3, PHONE);
    // The campaign's name contains no personal data and remains.
    body["name"] = json!("Cobrança de outubro");
    for contact in body["contacts"].as_array_mut().unwrap() {
        contact["due_date"] = json!((long_ago - TimeDelta::days(5)).date_naive().to_string());
    }
    let queue = erp.send_accepted("overdue", &body).await;
    erp.wait_for_status(&queue, "completed").await;
    fleet.wait_for_free_lanes().await;
    Process::for_fleet(&fleet, BINARY, "periodic", &[("REGUA_DIE_AT", failpoint)]).wait_for_exit().await;
    let periodic = Process::for_fleet(&fleet, BINARY, "periodic", &[("RUST_LOG", "error")]);
    eventually("all contacts and the queue to be erased", async || {
        fleet.count("select count(*) from contacts where erased_at is not null").await == 3
            && fleet.count("select count(*) from queues where erased_at is not null").await == 1
    })
    .await;
    periodic.kill();
    assert_no_trace(&fleet, &acme).await;
    assert_eq!(erp.status(&queue).await["sent"], 3);
    fleet.end_without_the_ledger().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn periodic_dies_before_erasure_is_committed() {
    periodic_dies_at("retention::before_commit:1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn periodic_dies_after_erasure_is_committed() {
    periodic_dies_at("retention::committed:1").await;
}
