//! The way between two programs fails: what is sent gets lost, comes late, is reset, or arrives in one direction only.
//! Whatever it was, everything is done soon after it has passed.

use std::time::Duration;

use futures_util::future::join_all;
use regua_tests::{Client, Fleet, FleetOptions, Proxy, TenantOptions, batch, eventually};
use reqwest::StatusCode;

use super::{all_is_done, post_until_taken};

#[derive(Clone, Copy, Debug)]
enum Fault {
    Loss,
    Delay,
    Reset,
    HalfClose,
}

const FAULTS: [Fault; 4] = [Fault::Loss, Fault::Delay, Fault::Reset, Fault::HalfClose];

impl Fault {
    fn befalls(self, proxy: &Proxy) {
        match self {
            Self::Loss => proxy.drop_silently(),
            Self::Delay => proxy.delay(Duration::from_millis(100)),
            Self::Reset => proxy.reset(),
            Self::HalfClose => proxy.half_close(),
        }
    }
}

/// A campaign is under way when it happens, and another batch is posted before it has passed.
async fn survives(fleet: Fleet, erp: Client, proxy: Proxy, fault: Fault) {
    erp.accepted("notification", &batch("lote-a", 60)).await;
    eventually("some to be sent", async || fleet.sandbox.ledger().len() > 5).await;
    fault.befalls(&proxy);
    let answer = erp.send("notification", &batch("lote-b", 20)).await;
    assert!(
        matches!(answer.status, StatusCode::ACCEPTED | StatusCode::SERVICE_UNAVAILABLE),
        "{fault:?}: {} {:#}",
        answer.status,
        answer.body
    );
    proxy.heal();
    post_until_taken(&erp, "lote-b", 20).await;
    let is_down = "select count(*) from instances where state <> 'open'";
    eventually("the number to be seen up", async || {
        let down = fleet.try_count(is_down).await;
        if down == Some(1) {
            // It is looked at again after a minute.
            fleet.hands.set(fleet.clock.now() + Duration::from_secs(61));
        }
        down == Some(0) && fleet.try_count("select count(*) from queues where finished_at is null").await == Some(0)
    })
    .await;
    all_is_done(&fleet, &[("lote-a", 60), ("lote-b", 20)]).await;
    fleet.end().await;
}

fn tenant() -> TenantOptions {
    TenantOptions { rate: 1200, ..TenantOptions::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn between_all_programs_and_postgresql() {
    let server = std::env::var("DATABASE_URL").expect("DATABASE_URL");
    join_all(FAULTS.map(async |fault| {
        let (proxy, proxied) = Proxy::before(&server, true).await;
        let options = FleetOptions { proxied_database: Some(proxied), ..FleetOptions::default() };
        let (fleet, _, erp) = Fleet::with(options, tenant()).await;
        survives(fleet, erp, proxy, fault).await;
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn between_all_programs_and_rabbitmq() {
    let Ok(server) = std::env::var("AMQP_URL") else {
        println!("AMQP_URL is not set: left out");
        return;
    };
    join_all(FAULTS.map(async |fault| {
        let (proxy, proxied) = Proxy::before(&server, true).await;
        // A lost connection is noticed when two heartbeats are missing; by default that takes twenty seconds.
        let options = FleetOptions { amqp_url: Some(format!("{proxied}?heartbeat=2")), ..FleetOptions::default() };
        let (fleet, _, erp) = Fleet::with(options, tenant()).await;
        survives(fleet, erp, proxy, fault).await;
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn between_the_worker_and_the_gateway() {
    join_all(FAULTS.map(async |fault| {
        let mut fleet =
            Fleet::start(FleetOptions { send_timeout: Duration::from_secs(2), ..FleetOptions::default() }).await;
        let (proxy, proxied) = Proxy::before(&fleet.gateway, true).await;
        fleet.gateway = proxied;
        let erp = Client::new(&fleet.api, &fleet.tenant(&tenant()).await.key);
        survives(fleet, erp, proxy, fault).await;
    }))
    .await;
}
