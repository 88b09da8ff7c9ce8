//! The rate of changes: each is an entry of the audit log, which is never deleted.

use std::num::NonZeroU32;

use chrono::TimeDelta;
use regua_domain::UserRole;
use regua_tests::{Client, Fleet, TenantOptions, TestUser, batch};
use serde_json::json;

use super::only_the_api;

/// Sets a holiday this many times. Returns the statuses.
async fn change(person: &TestUser, times: usize) -> Vec<u16> {
    let mut statuses = Vec::new();
    for number in 0..times {
        let body = json!({"name": format!("feriado {number}")});
        statuses.push(person.put("/api/v1/admin/holidays/2026-12-24", &body).await.status.as_u16());
    }
    statuses
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_limited_for_each_person_and_for_the_tenant() {
    // Two at once and one in fifteen seconds for a person; four at once and one in seven for all of a tenant.
    let options = only_the_api(|api| api.limits.changes_per_minute = NonZeroU32::new(4).unwrap());
    let (fleet, tenant, erp) = Fleet::with(options, TenantOptions::default()).await;
    let other = TenantOptions { slug: "other", instances: vec!["filial".to_owned()], ..TenantOptions::default() };
    let other = fleet.create_tenant(&other).await;
    let other = Client::new(&fleet.api, &other.key);
    let queues = [
        erp.send_accepted("overdue", &batch("lote-a", 1)).await,
        other.send_accepted("overdue", &batch("lote-b", 1)).await,
    ];
    let ana = TestUser::logged_in(&fleet, &tenant, UserRole::Operator, "ana").await;
    let bia = TestUser::logged_in(&fleet, &tenant, UserRole::Operator, "bia").await;
    // An invitation and a login are changes.
    fleet.manual_clock.set(fleet.clock.now() + TimeDelta::minutes(1));
    let entries = "select count(*) from audit_log";
    let before = fleet.count(entries).await;

    assert_eq!(change(&ana, 3).await, [200, 200, 429]);
    let refused = ana.put("/api/v1/admin/holidays/2026-12-24", &json!({"name": "feriado"})).await;
    let seconds: u64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=15).contains(&seconds), "{seconds}");
    assert_eq!(change(&bia, 2).await, [200, 200], "another person has a rate of its own");
    assert_eq!(erp.control(&queues[0], "pause").await.status, 429, "an API key shares the tenant's rate");
    assert_eq!(fleet.count(entries).await, before + 4);
    assert_eq!(erp.status(&queues[0]).await["status"], "pending", "a refused change changes nothing");
    assert_eq!(other.control(&queues[1], "pause").await.status, 200, "another tenant");
    let counted = |layer| fleet.metrics.api.requests_refused.with_label_values(&[layer]).get();
    assert_eq!((counted("changes"), counted("tenants_changes")), (2, 1));
    fleet.manual_clock.set(fleet.clock.now() + TimeDelta::seconds(15));
    assert_eq!(change(&ana, 1).await, [200]);
    fleet.end_unfinished().await;
}
