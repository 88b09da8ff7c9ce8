//! How long a batch takes to be accepted, by an API that has nothing else to do: of 1,000 contacts, and of one.

use std::time::Instant;

use anyhow::Context;

use crate::erp::{Erp, batch};
use crate::gateway::Gateway;
use crate::report::{Figure, Goal};
use crate::samples::Samples;
use crate::sizes::Sizes;
use crate::stage::Stage;
use crate::tenants::{Pace, Tenant};

/// Batches that are not timed.
const WARM_UP: usize = 5;

/// The table's rows.
pub(crate) async fn measure(sizes: Sizes) -> anyhow::Result<Vec<Figure>> {
    let (large, single) = Stage::with("latency", Gateway::sandbox().await?, async |stage| {
        let tenant = Tenant::create(&stage.pool, &stage.gateway, "acme", 1, Pace::UNTHROTTLED).await?;
        let number = &tenant.numbers.first().context("no number")?.name;
        let (api, url) = stage.api().await?;
        let erp = Erp::new(&url, &tenant.key)?;
        times(&erp, "before", number, 100, WARM_UP).await?;
        stage.settle().await?;
        let large = times(&erp, "lote", number, 1000, sizes.large_batches).await?;
        let single = times(&erp, "lote", number, 1, sizes.single_batches).await?;
        api.terminate()?;
        Ok((large, single))
    })
    .await?;
    Ok(vec![
        Figure::new("intake of 1,000 contacts, p50", large.median(), "ms", ""),
        Figure::new("intake of 1,000 contacts, p99", large.p99(), "ms", format!("{} batches", large.len()))
            .goal(Goal::AtMost(60.0)),
        Figure::new("intake of one contact, p50", single.median(), "ms", ""),
        Figure::new("intake of one contact, p99", single.p99(), "ms", format!("{} batches", single.len()))
            .goal(Goal::AtMost(10.0)),
    ])
}

async fn times(erp: &Erp, name: &str, number: &str, contacts: usize, batches: usize) -> anyhow::Result<Samples> {
    let mut times = Vec::with_capacity(batches);
    for place in 0..batches + WARM_UP {
        let body = batch(&format!("{name}-{contacts}-{place}"), number, contacts, place * contacts);
        let started = Instant::now();
        erp.post(body).await?;
        if place >= WARM_UP {
            times.push(started.elapsed());
        }
    }
    Ok(Samples::milliseconds(times))
}
