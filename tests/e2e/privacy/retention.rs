//! Data that is over: erased, and later deleted, by the clock; tenant by tenant; once, whoever dies in between.

use chrono::{DateTime, TimeDelta, Utc};
use regua_evolution::EvolutionClient;
use regua_periodic::PeriodicSettings;
use regua_periodic::protocol::Replica;
use regua_store::{PoolMode, PoolSettings, Role};
use regua_tests::Process;

use super::*;

const BINARY: &str = env!("CARGO_BIN_EXE_regua-test-process");

/// A periodic that does what it is told, with no more rights than it has.
fn periodic(fleet: &Fleet) -> Replica {
    let settings = PoolSettings {
        database_url: fleet.database.url.clone(),
        application_name: "regua-retention",
        role: Role::Fleet,
        pool_mode: PoolMode::Session,
        max_connections: 2,
        acquire_timeout: std::time::Duration::from_secs(3),
    };
    let pool = regua_store::pool(&settings).unwrap();
    let gateway = EvolutionClient::new(regua_tests::gateway_settings()).unwrap();
    let (secrets, settings) = (regua_boot::SecretKeys::development(), PeriodicSettings::default());
    Replica::new(pool, fleet.clock.clone(), fleet.metrics.clone(), gateway, secrets, settings)
}

/// Its first contact, with all that says who it was and what was kept of it.
async fn contacts(fleet: &Fleet, tenant: &Tenant) -> Vec<String> {
    let all = dump(fleet, &format!("tenant_id = '{}'", tenant.id)).await;
    all.into_iter().filter(|row| row.starts_with("contacts ")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn data_is_erased_when_its_time_is_over_and_not_before() {
    let (fleet, acme, erp) = without_periodic().await;
    let (other, their) = other_tenant(&fleet).await;
    let owner = Owner::of(&fleet, &acme, "acme", "owner").await;
    let body = json!({"personal_data_days": 30, "proof_days": 60});
    let set = owner.call(Method::PUT, "/retention", &body).await;
    assert_eq!((set.status, &set.body), (StatusCode::OK, &body));
    let mut ended = None;
    for erp in [&their, &erp] {
        let queue = erp.accepted("overdue", &with_her("lote-a", 3, PHONE)).await;
        let finished_at = erp.until(&queue, "completed").await["finished_at"].clone();
        ended = finished_at.as_str().and_then(|at| at.parse::<DateTime<Utc>>().ok());
    }
    let ended = ended.expect("when the batch ended");
    let mut waits = batch("lote-b", 1);
    waits["scheduled_for"] = json!("2027-10-01T13:00:00Z");
    let waits = erp.accepted("overdue", &waits).await;
    fleet.until_lanes_are_free().await;
    let theirs = contacts(&fleet, &other).await;

    let periodic = periodic(&fleet);
    fleet.hands.set(ended + TimeDelta::days(30) - TimeDelta::minutes(1));
    assert_eq!(periodic.retain().await.unwrap(), 0, "a minute is left");
    assert_eq!(fleet.count("select count(*) from contacts where erased_at is not null").await, 0);
    fleet.hands.set(ended + TimeDelta::days(30) + TimeDelta::seconds(1));
    assert_eq!(periodic.retain().await.unwrap(), 3);
    assert_eq!(periodic.retain().await.unwrap(), 0, "there is no more");
    let campaign = format!("from campaigns where tenant_id = '{}' and external_id = 'lote-a'", acme.id);
    assert_eq!(fleet.count(&format!("select count(*) {campaign} and metadata = '{{}}'")).await, 1);
    let (sent, traces) = ("status = 'sent' and message_id is not null and phone_hash is not null", &TRACES[..]);
    assert_eq!(fleet.count(&format!("select count(*) from contacts where erased_at is not null and {sent}")).await, 3);
    for row in contacts(&fleet, &acme).await {
        assert!(traces.iter().all(|trace| !row.contains(trace)), "{row}");
    }
    assert_eq!(contacts(&fleet, &other).await, theirs, "another tenant's, which keeps it for a year");
    assert_eq!(erp.status(&waits).await["pending"], 1, "a batch that is not finished");
    let owner = Owner { token: owner.login_again("acme").await, ..owner };
    let found = owner.export(&json!({"phone": PHONE})).await;
    assert_eq!(found["contacts"].as_array().unwrap().len(), 1, "her number still finds the proof: {found:#}");

    fleet.hands.set(ended + TimeDelta::days(60) - TimeDelta::minutes(1));
    assert_eq!(periodic.retain().await.unwrap(), 0);
    fleet.hands.set(ended + TimeDelta::days(60) + TimeDelta::seconds(1));
    assert_eq!(periodic.retain().await.unwrap(), 1, "one batch");
    assert_eq!(fleet.count(&format!("select count(*) {campaign}")).await, 0);
    let left = format!("select count(*) from contacts where tenant_id = '{}'", acme.id);
    assert_eq!((fleet.count(&left).await, fleet.count("select count(*) from attempts").await), (1, 3));
    assert_eq!(contacts(&fleet, &other).await, theirs);
    fleet.end_unfinished().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bounds_of_retention_are_held() {
    let (fleet, acme, _) = without_periodic().await;
    let owner = Owner::of(&fleet, &acme, "acme", "owner").await;
    let viewer = Owner::of(&fleet, &acme, "acme", "viewer").await;
    let usual = json!({"personal_data_days": 365, "proof_days": 1826});
    assert_eq!(viewer.call(Method::GET, "/retention", &json!({})).await.body, usual);
    assert_eq!(viewer.call(Method::PUT, "/retention", &usual).await.status, StatusCode::FORBIDDEN);
    for (personal, proof) in [(0, 10), (10, 9), (1, 36_501)] {
        let body = json!({"personal_data_days": personal, "proof_days": proof});
        let answer = owner.call(Method::PUT, "/retention", &body).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}: {:#}", answer.body);
    }
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn logins_that_are_long_over_are_forgotten() {
    let (fleet, acme, _) = without_periodic().await;
    let owner = Owner::of(&fleet, &acme, "acme", "owner").await;
    let wrong = json!({"tenant": "acme", "email": "owner@acme.example", "password": "falsch"});
    let refused = owner.api.call(Method::POST, "/api/v1/auth/login", Some(&wrong)).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    let (begun, periodic) = (fleet.clock.now(), periodic(&fleet));
    let left = async || {
        (fleet.count("select count(*) from sessions").await, fleet.count("select count(*) from login_failures").await)
    };
    // The login lasts for 30 days, and where it came from counts for another 90. Both were a moment ago.
    for (days, seconds, expected) in [(1, -60, (1, 1)), (1, 1, (1, 0)), (120, -60, (1, 0)), (120, 1, (0, 0))] {
        fleet.hands.set(begun + TimeDelta::days(days) + TimeDelta::seconds(seconds));
        periodic.retain().await.unwrap();
        assert_eq!(left().await, expected, "after {days} days and {seconds} s");
    }
    fleet.end().await;
}

/// Periodic dies in the middle; another one ends what it began.
async fn periodic_dies_at(place: &str) {
    let long_ago = regua_boot::Clock::system().now() - TimeDelta::days(400);
    let options = FleetOptions { periodic: false, now: long_ago, ..FleetOptions::default() };
    let (fleet, acme, erp) = Fleet::with(options, TenantOptions::default()).await;
    let mut body = with_her("lote-a", 3, PHONE);
    // It names the batch for as long as there is one.
    body["name"] = json!("Cobrança de outubro");
    for contact in body["contacts"].as_array_mut().unwrap() {
        contact["due_date"] = json!((long_ago - TimeDelta::days(5)).date_naive().to_string());
    }
    let queue = erp.accepted("overdue", &body).await;
    erp.until(&queue, "completed").await;
    fleet.until_lanes_are_free().await;
    Process::of(&fleet, BINARY, "periodic", &[("REGUA_DIE_AT", place)]).died().await;
    let periodic = Process::of(&fleet, BINARY, "periodic", &[("RUST_LOG", "error")]);
    eventually("all is erased", async || {
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
async fn periodic_dies_before_an_erasure_stands() {
    periodic_dies_at("retention::before_commit:1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn periodic_dies_when_an_erasure_stands() {
    periodic_dies_at("retention::committed:1").await;
}
