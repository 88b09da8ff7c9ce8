//! From the answer 202 to the gateway, when nothing else is going on: relay, broker, lease, claim and mark of one contact.
//!
//! The sandbox's ledger tells when each request came, in whole milliseconds. Numbers have no pace to wait for.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::Context;
use regua_boot::Clock;

use crate::erp::{Erp, batch, phone};
use crate::gateway::Gateway;
use crate::report::{Figure, Goal};
use crate::samples::Samples;
use crate::sizes::Sizes;
use crate::stage::Stage;
use crate::tenants::{Pace, Tenant};

/// Numbers that take turns, so that the lane of each was let go long before.
const NUMBERS: usize = 20;
/// Doorbells that are not timed.
const WARM_UP: usize = 5;

/// The table's rows.
pub(crate) async fn measure(sizes: Sizes) -> anyhow::Result<Vec<Figure>> {
    let times =
        Stage::with("doorbell", Gateway::sandbox().await?, async |stage| run(stage, sizes.single_batches).await)
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

async fn run(stage: &Stage, rings: usize) -> anyhow::Result<Samples> {
    let tenant = Tenant::create(&stage.pool, &stage.gateway, "acme", NUMBERS, Pace::UNTHROTTLED).await?;
    let (api, url) = stage.api().await?;
    let (periodic, worker) = (stage.periodic().await?, stage.worker().await?);
    let (erp, clock) = (Erp::new(&url, &tenant.key)?, Clock::system());
    let mut accepted = HashMap::new();
    for place in 0..rings + WARM_UP {
        let number = &tenant.numbers.get(place % NUMBERS).context("no number")?.name;
        erp.post(batch(&format!("lote-{place}"), number, 1, place)).await?;
        accepted.insert(phone(place).trim_start_matches('+').to_owned(), clock.now().timestamp_millis());
        stage.until_sent(place + 1, Duration::from_secs(10)).await?;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let departures = stage.gateway.departures().await?;
    worker.terminate()?;
    periodic.terminate()?;
    api.terminate()?;
    // One that came before its 202 was read took no time.
    let waited =
        |place: &crate::gateway::Departure| Some((place.received_at - accepted.get(&place.number)?).max(0) as f64);
    Ok(departures.iter().skip(WARM_UP).filter_map(waited).collect())
}
