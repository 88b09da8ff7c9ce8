//! Operator decisions on unconfirmed contacts, and cancelled queues with unconfirmed contacts.

use regua_sandbox::InstanceState;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn operator_decides_unconfirmed_contacts() {
    let (fleet, _, erp) = fleet().await;
    fleet.sandbox.set_faults((0..3).map(|n| unknown(n, n == 0)).chain([blind()]).collect()).unwrap();
    let queue = erp.send_accepted("overdue", &batch("lote-a", 4)).await;
    erp.wait_until(&queue, "unconfirmed", |queue| queue["unconfirmed"] == 3 && queue["sent"] == 1).await;
    let contacts = erp.contacts(&queue).await;
    let id = |n: usize| contacts[n]["contact_id"].as_str().unwrap().to_owned();
    let reference = |n: usize| contacts[n]["reference"].as_str().unwrap().to_owned();

    let answer = erp.decide(&id(0), "confirm").await;
    assert_eq!((answer.status, &answer.body["status"]), (StatusCode::OK, &json!("sent")), "{:#}", answer.body);
    let answer = erp.decide(&reference(1).to_lowercase(), "resend").await;
    assert_eq!((answer.status, &answer.body["resends"]), (StatusCode::OK, &json!(1)), "{:#}", answer.body);
    let answer = erp.decide(&id(2), "give_up").await;
    assert_eq!((answer.status, &answer.body["status"]), (StatusCode::OK, &json!("failed")), "{:#}", answer.body);
    assert_eq!(
        (&answer.body["reason"], &answer.body["history"][0]["settled_by"]),
        (&json!("given_up"), &json!("operator"))
    );

    erp.wait_until(&queue, "decided", |queue| queue["sent"] == 3 && queue["status"] == "completed").await;
    let status = erp.status(&queue).await;
    assert_eq!((&status["failed"], &status["unconfirmed"]), (&json!(1), &json!(0)), "{status:#}");

    let refused = erp.decide(&id(2), "confirm").await;
    assert_eq!((refused.status, &refused.body["code"]), (StatusCode::CONFLICT, &json!("state_conflict")));
    assert_eq!(erp.decide(&id(0), "perhaps").await.status, StatusCode::UNPROCESSABLE_ENTITY);
    for unknown in ["ZZZZZZ", "nonsense", "019a9f3c-0000-7000-8000-000000000000"] {
        assert_eq!(erp.decide(unknown, "confirm").await.status, StatusCode::NOT_FOUND, "{unknown}");
    }
    let other = fleet
        .create_tenant(&TenantOptions { slug: "outra", instances: vec!["b".into()], ..TenantOptions::default() })
        .await;
    let other = erp.with_key(&other.key);
    for name in [id(0), reference(0)] {
        assert_eq!(other.decide(&name, "confirm").await.status, StatusCode::NOT_FOUND);
    }

    fleet.sandbox.set_faults(Vec::new()).unwrap();
    assert_eq!(fleet.count("select count(*) from evidence where source = 'operator' and said_by = 'Ana'").await, 2);
    fleet.assert_each_left_once(3);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelled_queue_resends_nothing() {
    let (fleet, _, erp) = fleet().await;
    fleet.sandbox.set_faults(vec![unknown(0, false)]).unwrap();
    let queue = erp.send_accepted("notification", &batch("lote-a", 1)).await;
    erp.wait_until(&queue, "unconfirmed", |queue| queue["unconfirmed"] == 1).await;
    // A completed queue cannot be cancelled; a queue that continues because of a resend can.
    let contact = erp.contacts(&queue).await[0]["contact_id"].as_str().unwrap().to_owned();
    fleet.sandbox.set_faults(vec![Fault { latency_ms: 300, ..unknown(0, false) }]).unwrap();
    assert_eq!(erp.decide(&contact, "resend").await.status, StatusCode::OK);
    erp.wait_until(&queue, "sending again", |queue| queue["sending"] == 1).await;
    assert_eq!(erp.control(&queue, "cancel").await.status, StatusCode::OK);
    erp.wait_until(&queue, "unconfirmed again", |queue| queue["unconfirmed"] == 1).await;
    let refused = erp.decide(&contact, "resend").await;
    assert_eq!(refused.status, StatusCode::CONFLICT, "{:#}", refused.body);
    run_all_looks(&fleet).await;
    assert_eq!(erp.contact(&contact).await["status"], "unconfirmed");
    assert!(fleet.sandbox.ledger().is_empty());
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn contact_cancelled_before_its_resend_stays_unconfirmed() {
    let (fleet, _, erp) = fleet().await;
    fleet.sandbox.set_faults(vec![unknown(0, true), blind()]).unwrap();
    let queue = erp.send_accepted("overdue", &batch("lote-a", 1)).await;
    erp.wait_until(&queue, "unconfirmed", |queue| queue["unconfirmed"] == 1).await;
    assert!(fleet.sandbox.set_state("matriz", InstanceState::Close));
    let contact = erp.contacts(&queue).await[0]["contact_id"].as_str().unwrap().to_owned();
    assert_eq!(erp.decide(&contact, "resend").await.status, StatusCode::OK);
    erp.wait_for_status(&queue, "instance_down").await;
    assert_eq!(erp.control(&queue, "cancel").await.status, StatusCode::OK);
    let status = erp.status(&queue).await;
    assert_eq!(
        (&status["cancelled"], &status["unconfirmed"]),
        (&json!(0), &json!(1)),
        "the message did leave: {status:#}"
    );
    // The next look sees the gateway's history.
    fleet.sandbox.set_faults(Vec::new()).unwrap();
    fleet.manual_clock.set(fleet.clock.now() + TimeDelta::seconds(16));
    erp.wait_until(&queue, "found", |queue| queue["sent"] == 1).await;
    fleet.assert_each_left_once(1);
    fleet.end().await;
}
