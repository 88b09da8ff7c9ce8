//! Network faults between two programs: loss, delay, reset and half-closed connections. The campaign completes soon
//! after the fault ends.

use std::time::Duration;

use futures_util::future::join_all;
use regua_tests::{Client, Fleet, FleetOptions, Proxy, TenantOptions, batch, eventually};
use reqwest::StatusCode;

use super::{assert_all_completed, post_until_accepted};

#[derive(Clone, Copy, Debug)]
enum Fault {
    Loss,
    Delay,
    Reset,
    HalfClose,
}

const FAULTS: [Fault; 4] = [Fault::Loss, Fault::Delay, Fault::Reset, Fault::HalfClose];

impl Fault {
    fn inject(self, proxy: &Proxy) {
        match self {
            Self::Loss => proxy.drop_silently(),
            Self::Delay => proxy.delay(Duration::from_millis(100)),
            Self::Reset => proxy.reset(),
            Self::HalfClose => proxy.half_close(),
        }
    }
}

/// Injects the fault during a campaign and posts another batch before the fault ends.
async fn assert_survives(fleet: Fleet, erp: Client, proxy: Proxy, fault: Fault) {
    post_until_accepted(&erp, "lote-a", 60).await;
    eventually("some messages to be sent", async || fleet.sandbox.ledger().len() > 5).await;
    fault.inject(&proxy);
    let answer = erp.send("notification", &batch("lote-b", 20)).await;
    assert!(
        matches!(answer.status, StatusCode::ACCEPTED | StatusCode::SERVICE_UNAVAILABLE),
        "{fault:?}: {} {:#}",
        answer.status,
        answer.body
    );
    proxy.heal();
    post_until_accepted(&erp, "lote-b", 20).await;
    let is_down = "select count(*) from instances where state <> 'open'";
    eventually("the instance to be open and the queues to be finished", async || {
        let down = fleet.try_count(is_down).await;
        if down == Some(1) {
            // The instance is checked again after a minute.
            fleet.manual_clock.set(fleet.clock.now() + Duration::from_secs(61));
        }
        down == Some(0) && fleet.try_count("select count(*) from queues where finished_at is null").await == Some(0)
    })
    .await;
    assert_all_completed(&fleet, &[("lote-a", 60), ("lote-b", 20)]).await;
    fleet.end().await;
}

fn tenant() -> TenantOptions {
    TenantOptions { rate: 1200, ..TenantOptions::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn fleet_survives_network_faults_to_postgresql() {
    let server = std::env::var("DATABASE_URL").expect("DATABASE_URL");
    join_all(FAULTS.map(async |fault| {
        let (proxy, proxied) = Proxy::in_front_of(&server, true).await;
        let options = FleetOptions { proxied_database: Some(proxied), ..FleetOptions::default() };
        let (fleet, _, erp) = Fleet::with(options, tenant()).await;
        assert_survives(fleet, erp, proxy, fault).await;
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fleet_survives_network_faults_to_rabbitmq() {
    let Ok(server) = std::env::var("AMQP_URL") else {
        println!("AMQP_URL is not set: skipped");
        return;
    };
    join_all(FAULTS.map(async |fault| {
        let (proxy, proxied) = Proxy::in_front_of(&server, true).await;
        // A lost connection is detected after two missed heartbeats, by default after twenty seconds.
        let options = FleetOptions { amqp_url: Some(format!("{proxied}?heartbeat=2")), ..FleetOptions::default() };
        let (fleet, _, erp) = Fleet::with(options, tenant()).await;
        assert_survives(fleet, erp, proxy, fault).await;
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fleet_survives_network_faults_to_gateway() {
    join_all(FAULTS.map(async |fault| {
        let mut fleet =
            Fleet::start(FleetOptions { send_timeout: Duration::from_secs(2), ..FleetOptions::default() }).await;
        let (proxy, proxied) = Proxy::in_front_of(&fleet.gateway, true).await;
        fleet.gateway = proxied;
        let erp = Client::new(&fleet.api, &fleet.create_tenant(&tenant()).await.key);
        assert_survives(fleet, erp, proxy, fault).await;
    }))
    .await;
}
