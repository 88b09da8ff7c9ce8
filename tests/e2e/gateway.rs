//! The gateway is not trusted: a number whose gateway may not be where it is waits, and nothing of it is lost.

use chrono::TimeDelta;
use regua_evolution::AllowedNetworks;
use regua_store::{access, instances};
use regua_tests::{Fleet, FleetOptions, TenantOptions, batch, eventually};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_number_whose_gateway_is_at_an_address_that_is_not_allowed_waits() {
    let options = FleetOptions { networks: AllowedNetworks::default(), ..FleetOptions::default() };
    let (fleet, _, erp) = Fleet::with(options, TenantOptions::default()).await;
    let queue = erp.accepted("overdue", &batch("lote-a", 3)).await;
    let down = erp.until(&queue, "instance_down").await;
    assert_eq!((&down["reason"], &down["pending"]), (&json!("address_not_allowed"), &json!(3)), "{down:#}");
    let shown = "select count(*) from instances where state = 'unreachable' and state_reason = 'address_not_allowed'";
    assert_eq!(fleet.count(shown).await, 1);
    // It is looked at again as any other, and still nobody is connected to.
    let checked = "select extract(epoch from max(state_checked_at))::bigint from instances";
    let before = fleet.count(checked).await;
    fleet.hands.set(fleet.clock.now() + TimeDelta::seconds(61));
    eventually("another look", async || fleet.count(checked).await > before).await;
    assert!(fleet.sandbox.calls().is_empty(), "{:?}", fleet.sandbox.calls());
    assert_eq!(fleet.count("select count(*) from attempts").await, 0);
    fleet.until_lanes_are_free().await;
    fleet.end_unfinished().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_belongs_to_one_tenant_however_its_server_is_written() {
    let (fleet, tenant, _) = Fleet::with_tenant(TenantOptions::default()).await;
    let other = TenantOptions { slug: "outra", instances: vec!["filial".to_owned()], ..TenantOptions::default() };
    let other = fleet.tenant(&other).await;
    for (who, server, name, expected) in [
        (other.id, fleet.gateway.clone(), "matriz", true),
        (other.id, fleet.gateway.to_uppercase().replace("HTTP", "http"), "matriz", true),
        (tenant.id, fleet.gateway.clone(), "matriz", false),
        (other.id, fleet.gateway.clone(), "matriz-2", false),
        (other.id, "http://elsewhere.example".to_owned(), "matriz", false),
    ] {
        let mut transaction = access::begin(&fleet.database.pool, who).await.unwrap();
        let is_taken = instances::is_taken_by_another(&mut transaction, who, &server, name).await.unwrap();
        assert_eq!(is_taken, expected, "{server} {name}");
        let seen = instances::list(&mut transaction, tenant.id).await.unwrap().len();
        assert_eq!(seen, usize::from(who == tenant.id), "and nothing else of it is seen");
        transaction.commit().await.unwrap();
    }
    fleet.end().await;
}
