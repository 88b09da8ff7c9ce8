//! Many messages over many lanes, with two workers and two periodics.

use regua_tests::{Fleet, FleetOptions, TenantOptions, batch};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_messages_over_twenty_lanes_each_leave_once() {
    let instances: Vec<_> = (0..20).map(|n| format!("filial-{n}")).collect();
    let options = FleetOptions { workers: 2, ..FleetOptions::default() };
    let (mut fleet, _, erp) =
        Fleet::with(options, TenantOptions { instances: instances.clone(), ..TenantOptions::default() }).await;
    fleet.start_periodic();
    let mut queues = Vec::new();
    for (n, instance) in instances.iter().enumerate() {
        let mut body = batch(&format!("lote-{}", char::from(b'A' + u8::try_from(n).unwrap())), 100);
        body["instance"] = json!(instance);
        queues.push(erp.send_accepted("overdue", &body).await);
    }
    for queue in &queues {
        let done = erp.wait_for_status(queue, "completed").await;
        assert_eq!(done["sent"], 100, "{done:#}");
    }
    fleet.assert_each_left_once(2000);
    fleet.end().await;
}
