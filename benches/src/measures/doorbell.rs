//! The time from the answer 202 to the request at the gateway, on an idle fleet: relay, broker, lease, claim and mark
//! of one contact. The sandbox's ledger has the time of each request in whole milliseconds. Instances send unthrottled.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::Context;
use regua_boot::Clock;

use crate::erp::{Erp, batch, phone};
use crate::gateway::{Departure, Gateway};
use crate::report::{Figure, Goal};
use crate::samples::Samples;
use crate::sizes::Sizes;
use crate::tenants::{Pace, Tenant};
use crate::testbed::Testbed;

/// Instances in turn, so that the lane of each was released long before its next message.
const INSTANCES: usize = 20;
/// Doorbells before the timed ones.
const WARM_UP: usize = 5;

pub(crate) async fn measure(sizes: Sizes) -> anyhow::Result<Vec<Figure>> {
    let times =
        Testbed::with("doorbell", Gateway::sandbox().await?, async |testbed| run(testbed, sizes.single_batches).await)
            .await?;
    Ok(vec![
        Figure::new("doorbell to first send, p50", times.median(), "ms", "from the 202 to the gateway, idle"),
        Figure::new(
            "doorbell to first send, p99",
            times.p99(),
            "ms",
            format!("{} batches of one contact", times.len()),
        )
        .goal(Goal::AtMost(100.0)),
    ])
}

async fn run(testbed: &Testbed, doorbells: usize) -> anyhow::Result<Samples> {
    let tenant = Tenant::create(&testbed.pool, &testbed.gateway, "acme", INSTANCES, Pace::UNTHROTTLED).await?;
    let (api, url) = testbed.api().await?;
    let (periodic, worker) = (testbed.periodic().await?, testbed.worker().await?);
    let (erp, clock) = (Erp::new(&url, &tenant.api_key)?, Clock::system());
    let mut accepted = HashMap::new();
    for place in 0..doorbells + WARM_UP {
        let instance = &tenant.instances.get(place % INSTANCES).context("no instance")?.name;
        erp.post(batch(&format!("lote-{place}"), instance, 1, place)).await?;
        accepted.insert(phone(place).trim_start_matches('+').to_owned(), clock.now().timestamp_millis());
        testbed.until_sent(place + 1, Duration::from_secs(10)).await?;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let departures = testbed.gateway.departures().await?;
    worker.terminate()?;
    periodic.terminate()?;
    api.terminate()?;
    // 0 where the request reached the gateway before the 202 was read.
    let waited = |departure: &Departure| Some((departure.received_at - accepted.get(&departure.number)?).max(0) as f64);
    Ok(departures.iter().skip(WARM_UP).filter_map(waited).collect())
}
