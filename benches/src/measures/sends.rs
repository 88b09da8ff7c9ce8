//! Unthrottled sends a second, each with mark and outcome, and PostgreSQL's work for one message.
//!
//! The API accepts all batches first, and their doorbells wait in the broker. Then one worker starts. The rate is that
//! of the last nine tenths; the first tenth warms up.

use std::time::Duration;

use anyhow::Context;
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::erp::{Erp, batch};
use crate::gateway::Gateway;
use crate::report::{Figure, Goal};
use crate::sizes::Sizes;
use crate::tenants::{Pace, Tenant};
use crate::testbed::Testbed;

/// Instances of the measure with many.
const INSTANCES: usize = 200;
/// Sends under way at once through the one fast instance.
const FAST: i16 = 32;
/// Requests under way at once in the bare loop beside many instances.
const BARE_TASKS: usize = 64;
/// Most contacts of a batch.
const BATCH: usize = 10_000;
/// Batches posted at once.
const CALLERS: usize = 4;
/// The fraction of the bare loop that sends through many instances reach today, with nginx as gateway. The aim is 0.3.
const MANY_OF_LOOP: f64 = 0.2;
/// The same for one instance.
const ONE_OF_LOOP: f64 = 0.1;
/// How long all messages may take.
const TIMEOUT: Duration = Duration::from_secs(240);

pub(crate) struct Sends {
    pub(crate) messages: f64,
    /// Of the last nine tenths.
    pub(crate) per_second: f64,
    /// The worker's peak of resident memory.
    pub(crate) worker_megabytes: f64,
    /// Seconds of the worker, from its start.
    pub(crate) worker_cpu: f64,
    /// Of the API, during intake.
    pub(crate) api_cpu: f64,
    /// Of PostgreSQL, from the first batch to the last outcome.
    pub(crate) postgres_cpu: Option<f64>,
    /// Of PostgreSQL, while the worker ran.
    pub(crate) postgres_cpu_of_sends: Option<f64>,
    /// Of the gateway, while the worker ran.
    pub(crate) gateway_cpu: Option<f64>,
    /// Transactions, from the first batch to the last outcome.
    pub(crate) commits: f64,
    /// Bytes of WAL, from the first batch to the last outcome.
    pub(crate) wal_bytes: f64,
}

/// Posts `each` contacts for every instance of these tenants, and sends them all.
pub(crate) async fn run(testbed: &Testbed, tenants: &[Tenant], each: usize) -> anyhow::Result<Sends> {
    let before_intake = testbed.counters().await?;
    let (api, url) = testbed.api().await?;
    let total = post_batches(&url, tenants, each).await?;
    testbed.until_published().await?;
    let api_cpu = api.cpu_seconds()?;
    api.terminate()?;
    let (before_sends, gateway_before) = (testbed.counters().await?, testbed.gateway.cpu_seconds()?);
    let (periodic, worker) = (testbed.periodic().await?, testbed.worker().await?);
    let (warm_at, warm) = testbed.until_sent((total / 10).max(1), TIMEOUT).await?;
    let (end, _) = testbed.until_sent(total, TIMEOUT).await?;
    let took = (end - warm_at).as_secs_f64();
    let (worker_megabytes, worker_cpu) = (worker.peak_megabytes()?, worker.cpu_seconds()?);
    let gateway_after = testbed.gateway.cpu_seconds()?;
    worker.terminate()?;
    periodic.terminate()?;
    let after = testbed.counters().await?;
    Ok(Sends {
        messages: total as f64,
        per_second: (total - warm) as f64 / took,
        worker_megabytes,
        worker_cpu,
        api_cpu,
        postgres_cpu: difference(after.cpu_seconds, before_intake.cpu_seconds),
        postgres_cpu_of_sends: difference(after.cpu_seconds, before_sends.cpu_seconds),
        gateway_cpu: difference(gateway_after, gateway_before),
        commits: after.commits - before_intake.commits,
        wal_bytes: after.wal_bytes - before_intake.wal_bytes,
    })
}

fn difference(after: Option<f64>, before: Option<f64>) -> Option<f64> {
    after.zip(before).map(|(after, before)| after - before)
}

async fn post_batches(url: &str, tenants: &[Tenant], each: usize) -> anyhow::Result<usize> {
    let (mut batches, mut total) = (Vec::new(), 0);
    for tenant in tenants {
        let erp = Erp::new(url, &tenant.api_key)?;
        for instance in &tenant.instances {
            for first in (0..each).step_by(BATCH) {
                let contacts = BATCH.min(each - first);
                batches.push((erp.clone(), instance.name.as_str(), contacts, total));
                total += contacts;
            }
        }
    }
    let posts = batches.into_iter().map(|(erp, instance, contacts, first)| async move {
        erp.post(batch(&format!("lote-{first}"), instance, contacts, first)).await
    });
    stream::iter(posts).buffer_unordered(CALLERS).try_for_each(async |_| Ok(())).await?;
    Ok(total)
}

/// `count` instances: of one tenant, or of a tenant each where the gateway has only one instance.
pub(crate) async fn create_tenants(testbed: &Testbed, count: usize, pace: Pace) -> anyhow::Result<Vec<Tenant>> {
    let (pool, gateway) = (&testbed.pool, &testbed.gateway);
    if gateway.instance.is_none() {
        return Ok(vec![Tenant::create(pool, gateway, "acme", count, pace).await?]);
    }
    let mut tenants = Vec::with_capacity(count);
    for place in 0..count {
        tenants.push(Tenant::create(pool, gateway, &format!("acme-{place}"), 1, pace).await?);
    }
    Ok(tenants)
}

/// Many instances, one send at a time each.
pub(crate) async fn many_instances(sizes: Sizes) -> anyhow::Result<Vec<Figure>> {
    let (sends, bare) = Testbed::with("sends", Gateway::from_environment().await?, async |testbed| {
        let bare = testbed.gateway.bare_loop(BARE_TASKS, Duration::from_secs(3)).await?;
        let tenants = create_tenants(testbed, INSTANCES, Pace::UNTHROTTLED).await?;
        Ok((run(testbed, &tenants, sizes.messages / INSTANCES).await?, bare))
    })
    .await?;
    let how = format!("{} messages, {INSTANCES} numbers, one worker", sends.messages);
    let per = |figure: f64| figure / sends.messages;
    let mut figures = vec![
        Figure::new("sends, many numbers", sends.per_second, "/s", &how)
            .beside("bare loop", bare)
            .goal(Goal::FractionOfLimit(MANY_OF_LOOP))
            .goal(Goal::AtLeast(10_000.0)),
        Figure::new("transactions for a message, end to end", per(sends.commits), "", "intake to outcome, reads too")
            .goal(Goal::AtMost(0.1)),
        Figure::new("WAL for a message, end to end", per(sends.wal_bytes), "bytes", "intake to outcome"),
        Figure::new("worker's memory while it sends", sends.worker_megabytes, "MB", "most resident"),
        Figure::new("CPU of the worker for 10,000 messages", per(sends.worker_cpu) * 1e4, "s", "from its start"),
    ];
    let others = [("PostgreSQL", sends.postgres_cpu_of_sends), ("the gateway", sends.gateway_cpu)];
    for (what, cpu) in others.into_iter().filter_map(|(what, cpu)| Some((what, cpu?))) {
        figures.push(Figure::new(
            format!("CPU of {what} for 10,000 messages"),
            per(cpu) * 1e4,
            "s",
            "while they are sent",
        ));
    }
    Ok(figures)
}

/// One fast instance.
pub(crate) async fn one_instance(sizes: Sizes) -> anyhow::Result<Vec<Figure>> {
    let pace = Pace { concurrency: FAST, ..Pace::UNTHROTTLED };
    let (sends, bare) = Testbed::with("one_number", Gateway::from_environment().await?, async |testbed| {
        let tasks = usize::try_from(FAST).context("a negative concurrency")?;
        let bare = testbed.gateway.bare_loop(tasks, Duration::from_secs(3)).await?;
        let tenants = create_tenants(testbed, 1, pace).await?;
        Ok((run(testbed, &tenants, sizes.messages_of_one_instance).await?, bare))
    })
    .await?;
    let rate = f64::from(pace.per_minute) / 60.0;
    let how = format!("{} messages, lane_concurrency {FAST}; the highest pace allows {rate}/s", sends.messages);
    let figure = Figure::new("sends, one fast number", sends.per_second, "/s", how);
    Ok(vec![figure.beside("bare loop", bare).goal(Goal::FractionOfLimit(ONE_OF_LOOP))])
}
