//! Rules on gateways: an instance at a disallowed address sends nothing and loses nothing, and belongs to one tenant.

use chrono::TimeDelta;
use regua_evolution::AllowedNetworks;
use regua_store::{access, instances};
use regua_tests::{Fleet, FleetOptions, TenantOptions, batch, eventually};
use serde_json::json;
use sqlx::Executor;

#[tokio::test(flavor = "multi_thread")]
async fn instance_with_disallowed_gateway_address_is_down_and_never_called() {
    let options = FleetOptions { networks: AllowedNetworks::default(), ..FleetOptions::default() };
    let (fleet, _, erp) = Fleet::with(options, TenantOptions::default()).await;
    let queue = erp.send_accepted("overdue", &batch("lote-a", 3)).await;
    let down = erp.wait_for_status(&queue, "instance_down").await;
    assert_eq!((&down["reason"], &down["pending"]), (&json!("gateway_unreachable"), &json!(3)), "{down:#}");
    let shown = "select count(*) from instances where state = 'unreachable' and state_reason = 'gateway_unreachable'";
    assert_eq!(fleet.count(shown).await, 1);
    // The reconciler checks the instance again, and still makes no request.
    let checked = "select extract(epoch from max(state_checked_at))::bigint from instances";
    let before = fleet.count(checked).await;
    fleet.manual_clock.set(fleet.clock.now() + TimeDelta::seconds(61));
    eventually("another check", async || fleet.count(checked).await > before).await;
    assert!(fleet.sandbox.calls().is_empty(), "{:?}", fleet.sandbox.calls());
    assert_eq!(fleet.count("select count(*) from attempts").await, 0);
    fleet.wait_for_free_lanes().await;
    fleet.end_unfinished().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_of_a_number_at_other_tenants_are_all_that_becomes_visible() {
    let (fleet, tenant, _) = Fleet::with_tenant(TenantOptions::default()).await;
    let other = TenantOptions { slug: "outra", instances: vec!["filial".to_owned()], ..TenantOptions::default() };
    let other = fleet.create_tenant(&other).await;
    fleet.database.pool.execute("update instances set verified_at = now()").await.unwrap();
    for (tenant_id, name, expected) in [
        (other.id, "matriz", vec![fleet.gateway.clone()]),
        (tenant.id, "matriz", Vec::new()),
        (other.id, "matriz-2", Vec::new()),
    ] {
        let mut transaction = access::begin(&fleet.database.pool, tenant_id).await.unwrap();
        let name = name.parse().unwrap();
        let servers = instances::servers_of_other_tenants(&mut transaction, tenant_id, &name).await.unwrap();
        assert_eq!(servers, expected, "{name}");
        let seen = instances::list(&mut transaction, tenant.id).await.unwrap().len();
        assert_eq!(seen, usize::from(tenant_id == tenant.id), "the rows of another tenant stay invisible");
        transaction.commit().await.unwrap();
    }
    fleet.end().await;
}
