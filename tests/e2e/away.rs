//! RabbitMQ and PostgreSQL go away and come back.

use regua_tests::{Client, Fleet, FleetOptions, Proxy, TenantOptions, batch};
use reqwest::StatusCode;

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_posted_while_rabbitmq_is_away_is_taken_and_sent_when_it_returns() {
    let Ok(amqp_url) = std::env::var("AMQP_URL") else {
        println!("AMQP_URL is not set: left out");
        return;
    };
    let (proxy, amqp_url) = Proxy::before(&amqp_url, false).await;
    let options = FleetOptions { amqp_url: Some(amqp_url), ..FleetOptions::default() };
    let (fleet, _, erp) = Fleet::with(options, TenantOptions::default()).await;
    let queue = erp.accepted("overdue", &batch("lote-a", 10)).await;
    let ready = erp.call(reqwest::Method::GET, "/readyz", None).await;
    assert_eq!(ready.status, StatusCode::SERVICE_UNAVAILABLE, "{:#}", ready.body);
    assert!(fleet.sandbox.ledger().is_empty());
    assert_eq!(erp.status(&queue).await["status"], "pending");
    proxy.open();
    erp.until(&queue, "completed").await;

    // Cut in the middle of its life, too.
    proxy.close();
    let second = erp.accepted("overdue", &batch("lote-b", 10)).await;
    proxy.open();
    erp.until(&second, "completed").await;
    fleet.assert_each_left_once(20);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_posted_while_postgresql_is_away_is_refused_with_503_and_taken_when_it_returns() {
    let server = std::env::var("DATABASE_URL").expect("DATABASE_URL");
    let (proxy, proxied) = Proxy::before(&server, true).await;
    let options = FleetOptions { proxied_database: Some(proxied), ..FleetOptions::default() };
    let (fleet, tenant, erp) = Fleet::with(options, TenantOptions::default()).await;
    let before = erp.accepted("overdue", &batch("lote-a", 3)).await;
    erp.until(&before, "completed").await;

    proxy.close();
    let erp_client = Client::new(&fleet.api, &tenant.key);
    let refused = erp_client.send("overdue", &batch("lote-b", 3)).await;
    assert_eq!((refused.status, refused.body["code"].as_str()), (StatusCode::SERVICE_UNAVAILABLE, Some("unavailable")));
    assert!(refused.headers.contains_key("retry-after"), "{:?}", refused.headers);
    assert_eq!(fleet.count("select count(*) from campaigns").await, 1, "nothing was taken");

    proxy.open();
    let queue = erp.accepted("overdue", &batch("lote-b", 3)).await;
    erp.until(&queue, "completed").await;
    fleet.assert_each_left_once(6);
    fleet.end().await;
}
