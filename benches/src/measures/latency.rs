//! How long an idle API takes to accept a batch: of 1,000 contacts, and of one.

use std::time::Instant;

use anyhow::Context;

use crate::erp::{Erp, batch};
use crate::gateway::Gateway;
use crate::report::{Figure, Goal};
use crate::samples::Samples;
use crate::sizes::Sizes;
use crate::tenants::{Pace, Tenant};
use crate::testbed::Testbed;

/// Batches before the timed ones.
const WARM_UP: usize = 5;

pub(crate) async fn measure(sizes: Sizes) -> anyhow::Result<Vec<Figure>> {
    let (large, single) = Testbed::with("latency", Gateway::sandbox().await?, async |testbed| {
        let tenant = Tenant::create(&testbed.pool, &testbed.gateway, "acme", 1, Pace::UNTHROTTLED).await?;
        let instance = &tenant.instances.first().context("no instance")?.name;
        let (api, url) = testbed.api().await?;
        let erp = Erp::new(&url, &tenant.api_key)?;
        times(&erp, "before", instance, 100, WARM_UP).await?;
        testbed.prepare_postgres().await?;
        let large = times(&erp, "lote", instance, 1000, sizes.large_batches).await?;
        let single = times(&erp, "lote", instance, 1, sizes.single_batches).await?;
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

async fn times(erp: &Erp, name: &str, instance: &str, contacts: usize, batches: usize) -> anyhow::Result<Samples> {
    let mut times = Vec::with_capacity(batches);
    for place in 0..batches + WARM_UP {
        let body = batch(&format!("{name}-{contacts}-{place}"), instance, contacts, place * contacts);
        let started = Instant::now();
        erp.post(body).await?;
        if place >= WARM_UP {
            times.push(started.elapsed());
        }
    }
    Ok(Samples::milliseconds(times))
}
