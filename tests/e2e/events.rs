//! Events: each change writes its own, and a reader sees all of them once, in one order.

mod order;

use regua_domain::{EventKind, EventSeq, QueueId};
use regua_sandbox::{InstanceState, Numbers};
use regua_store::access;
use regua_store::events::{self, Event};
use regua_tests::{Fleet, FleetOptions, Tenant, TenantOptions, batch, eventually, number};
use reqwest::StatusCode;

/// All events of a tenant, read as the API reads.
async fn all(fleet: &Fleet, tenant: &Tenant) -> Vec<Event> {
    let mut transaction = access::begin(&fleet.database.pool, tenant.id).await.unwrap();
    let (mut found, mut after) = (Vec::new(), EventSeq::default());
    loop {
        let page = events::list_after(&mut transaction, tenant.id, after, 7).await.unwrap();
        let Some(last) = page.last() else { return found };
        after = last.seq;
        found.extend(page);
    }
}

/// The kinds of a queue's events and of its contacts', in order.
async fn kinds(fleet: &Fleet, tenant: &Tenant, queue: &str) -> Vec<&'static str> {
    let queue = Some(QueueId(queue.parse().unwrap()));
    all(fleet, tenant).await.iter().filter(|event| event.queue_id == queue).map(|event| event.kind.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn events_tell_what_happened_to_a_queue_and_its_contacts() {
    let options = FleetOptions { workers: 0, ..FleetOptions::default() };
    let (mut fleet, acme, erp) = Fleet::with(options, TenantOptions::default()).await;
    let numbers = Numbers { not_on_whatsapp: [number("lote-a", 0)].into(), ..Numbers::default() };
    fleet.sandbox.set_numbers(numbers);
    let queue = erp.send_accepted("overdue", &batch("lote-a", 3)).await;
    let cancelled = erp.send_accepted("overdue", &batch("lote-b", 2)).await;
    for (queue, action) in [(&queue, "pause"), (&queue, "pause"), (&queue, "resume"), (&cancelled, "cancel")] {
        assert_eq!(erp.control(queue, action).await.status, StatusCode::OK);
    }
    fleet.start_worker();
    erp.wait_for_status(&queue, "completed").await;

    let mut happened = kinds(&fleet, &acme, &queue).await;
    assert_eq!(happened[..2], ["queue.paused", "queue.resumed"]);
    assert_eq!(happened.pop(), Some("queue.completed"), "after the last contact");
    happened.drain(..2);
    happened.retain(|kind| !matches!(*kind, "contact.delivered" | "contact.read"));
    happened.sort_unstable();
    assert_eq!(happened, ["contact.failed", "contact.sent", "contact.sent"]);
    let expected = ["queue.cancelled", "contact.cancelled", "contact.cancelled"];
    assert_eq!(kinds(&fleet, &acme, &cancelled).await, expected);
    let contacts = all(&fleet, &acme).await.iter().filter(|event| event.contact_id.is_some()).count();
    assert_eq!(contacts, 5, "one event for each contact");
    fleet.assert_each_left_once(2);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_tell_that_an_instance_went_down_and_came_back() {
    let (fleet, acme, erp) = Fleet::with_tenant(TenantOptions { rate: 600, ..TenantOptions::default() }).await;
    let queue = erp.send_accepted("overdue", &batch("lote-a", 20)).await;
    erp.wait_until(&queue, "under way", |queue| queue["sent"].as_i64() > Some(2)).await;
    fleet.sandbox.set_state("matriz", InstanceState::Close);
    erp.wait_for_status(&queue, "instance_down").await;
    fleet.sandbox.set_state("matriz", InstanceState::Open);
    fleet.manual_clock.set(fleet.clock.now() + chrono::TimeDelta::seconds(61));
    erp.wait_for_status(&queue, "completed").await;

    let all = all(&fleet, &acme).await;
    let of_instance: Vec<_> = all.iter().filter(|event| event.instance_id.is_some()).map(|event| event.kind).collect();
    assert_eq!(of_instance, [EventKind::InstanceOpen, EventKind::InstanceClose, EventKind::InstanceOpen]);
    assert!(all.iter().filter_map(|event| event.instance_id).all(|instance| instance == acme.instances[0]));
    let of_queue: Vec<_> = kinds(&fleet, &acme, &queue).await;
    let of_queue: Vec<_> = of_queue.into_iter().filter(|kind| kind.starts_with("queue.")).collect();
    assert_eq!(of_queue, ["queue.instance_down", "queue.resumed", "queue.completed"]);
    fleet.end().await;
}

/// The names of the fields are the seed's.
#[tokio::test(flavor = "multi_thread")]
async fn message_that_left_is_one_log_line_with_its_ids() {
    let (fleet, acme, erp) = Fleet::with_tenant(TenantOptions::default()).await;
    let queue = erp.send_accepted("overdue", &batch("lote-a", 2)).await;
    erp.wait_for_status(&queue, "completed").await;
    let campaign = erp.status(&queue).await["campaign_id"].as_str().unwrap().to_owned();
    let contacts = erp.contacts(&queue).await;
    eventually("the log lines", async || {
        fleet.logged().matches(&format!("billing_campaign_id={campaign}")).count() >= 2
    })
    .await;
    let logged = fleet.logged();
    for contact in contacts {
        let contact = format!("billing_contact_id={}", contact["contact_id"].as_str().unwrap());
        let lines: Vec<_> =
            logged.lines().filter(|line| line.contains("regua::sent") && line.contains(&contact)).collect();
        assert_eq!(lines.len(), 1, "{lines:?}");
        let instance = format!("instance_id={}", acme.instances[0]);
        let fields = [&format!("billing_campaign_id={campaign}"), &format!("queue_id={queue}"), &instance];
        assert!(fields.iter().all(|field| lines[0].contains(field.as_str())), "{}", lines[0]);
        assert!(lines[0].contains("INFO") && lines[0].contains("template_type=\"overdue\""), "{}", lines[0]);
    }
    fleet.end().await;
}
