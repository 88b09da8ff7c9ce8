//! Sends a second with nothing held back, each written down before and after, and what PostgreSQL does for one message.
//!
//! Everything is taken in by the API first, and its doorbells wait in the broker. Then one worker starts. The rate is
//! that of the last nine tenths: the first tenth warms it up.

use std::time::Duration;

use anyhow::Context;
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::erp::{Erp, batch};
use crate::gateway::Gateway;
use crate::report::{Figure, Goal};
use crate::sizes::Sizes;
use crate::stage::Stage;
use crate::tenants::{Pace, Tenant};

/// Numbers of the measure with many.
const NUMBERS: usize = 200;
/// Sends under way at once of a number that may send fast.
const FAST: i16 = 32;
/// Requests under way at once in the bare loop beside many numbers.
const BARE_TASKS: usize = 64;
/// Contacts of a batch at most.
const BATCH: usize = 10_000;
/// Batches that are posted at once.
const CALLERS: usize = 4;
/// How long everything may take to leave.
const PATIENCE: Duration = Duration::from_secs(240);

/// What a run of sends came to.
pub(crate) struct Sends {
    /// Messages.
    pub(crate) messages: f64,
    /// Of the last nine tenths.
    pub(crate) per_second: f64,
    /// The worker's most resident memory.
    pub(crate) worker_megabytes: f64,
    /// Of the worker, from its start.
    pub(crate) worker_cpu: f64,
    /// Of the API, while it took everything in.
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

/// Takes in `each` contacts for every number of these tenants, and sends them all.
pub(crate) async fn run(stage: &Stage, tenants: &[Tenant], each: usize) -> anyhow::Result<Sends> {
    let at_first = stage.counters().await?;
    let (api, url) = stage.api().await?;
    let total = take_in(&url, tenants, each).await?;
    stage.until_rung().await?;
    let api_cpu = api.cpu_seconds()?;
    api.terminate()?;
    let (before, gateway_before) = (stage.counters().await?, stage.gateway.cpu_seconds()?);
    let (periodic, worker) = (stage.periodic().await?, stage.worker().await?);
    let (warm_at, warm) = stage.until_sent((total / 10).max(1), PATIENCE).await?;
    let (end, _) = stage.until_sent(total, PATIENCE).await?;
    let took = (end - warm_at).as_secs_f64();
    let (worker_megabytes, worker_cpu) = (worker.peak_megabytes()?, worker.cpu_seconds()?);
    let gateway_after = stage.gateway.cpu_seconds()?;
    worker.terminate()?;
    periodic.terminate()?;
    let after = stage.counters().await?;
    Ok(Sends {
        messages: total as f64,
        per_second: (total - warm) as f64 / took,
        worker_megabytes,
        worker_cpu,
        api_cpu,
        postgres_cpu: difference(after.cpu_seconds, at_first.cpu_seconds),
        postgres_cpu_of_sends: difference(after.cpu_seconds, before.cpu_seconds),
        gateway_cpu: difference(gateway_after, gateway_before),
        commits: after.commits - at_first.commits,
        wal_bytes: after.wal_bytes - at_first.wal_bytes,
    })
}

fn difference(after: Option<f64>, before: Option<f64>) -> Option<f64> {
    after.zip(before).map(|(after, before)| after - before)
}

async fn take_in(url: &str, tenants: &[Tenant], each: usize) -> anyhow::Result<usize> {
    let (mut batches, mut taken) = (Vec::new(), 0);
    for tenant in tenants {
        let erp = Erp::new(url, &tenant.key)?;
        for number in &tenant.numbers {
            for first in (0..each).step_by(BATCH) {
                let contacts = BATCH.min(each - first);
                batches.push((erp.clone(), number.name.as_str(), contacts, taken));
                taken += contacts;
            }
        }
    }
    let posts = batches.into_iter().map(|(erp, number, contacts, first)| async move {
        erp.post(batch(&format!("lote-{first}"), number, contacts, first)).await
    });
    stream::iter(posts).buffer_unordered(CALLERS).try_for_each(async |_| Ok(())).await?;
    Ok(taken)
}

/// Numbers without a limit: of one tenant, or of a tenant each where the gateway has one number only.
pub(crate) async fn numbers(stage: &Stage, count: usize, pace: Pace) -> anyhow::Result<Vec<Tenant>> {
    let (pool, gateway) = (&stage.pool, &stage.gateway);
    if gateway.number.is_none() {
        return Ok(vec![Tenant::create(pool, gateway, "acme", count, pace).await?]);
    }
    let mut tenants = Vec::with_capacity(count);
    for place in 0..count {
        tenants.push(Tenant::create(pool, gateway, &format!("acme-{place}"), 1, pace).await?);
    }
    Ok(tenants)
}

/// Many numbers, one send at a time each.
pub(crate) async fn many_numbers(sizes: Sizes) -> anyhow::Result<Vec<Figure>> {
    let (sends, bare) = Stage::with("sends", Gateway::given().await?, async |stage| {
        let bare = stage.gateway.bare_loop(BARE_TASKS, Duration::from_secs(3)).await?;
        let tenants = numbers(stage, NUMBERS, Pace::UNTHROTTLED).await?;
        Ok((run(stage, &tenants, sizes.messages / NUMBERS).await?, bare))
    })
    .await?;
    let note = format!("{} messages, {NUMBERS} numbers, one worker", sends.messages);
    let per = |figure: f64| figure / sends.messages;
    let mut figures = vec![
        Figure::new("sends, many numbers", sends.per_second, "/s", &note)
            .beside("bare loop", bare)
            .goal(Goal::ShareOfLimit(0.3))
            .goal(Goal::AtLeast(10_000.0)),
        Figure::new("transactions for a message, end to end", per(sends.commits), "", "intake to outcome, reads too")
            .goal(Goal::AtMost(0.1)),
        Figure::new("WAL for a message, end to end", per(sends.wal_bytes), "bytes", "intake to outcome"),
        Figure::new("worker's memory while it sends", sends.worker_megabytes, "MB", "most resident"),
        Figure::new("CPU of the worker for 10,000 messages", per(sends.worker_cpu) * 1e4, "s", "from its start"),
    ];
    let beside = [("PostgreSQL", sends.postgres_cpu_of_sends), ("the gateway", sends.gateway_cpu)];
    for (what, cpu) in beside.into_iter().filter_map(|(what, cpu)| Some((what, cpu?))) {
        figures.push(Figure::new(
            format!("CPU of {what} for 10,000 messages"),
            per(cpu) * 1e4,
            "s",
            "while they are sent",
        ));
    }
    Ok(figures)
}

/// One number that may send fast.
pub(crate) async fn one_number(sizes: Sizes) -> anyhow::Result<Vec<Figure>> {
    let pace = Pace { concurrency: FAST, ..Pace::UNTHROTTLED };
    let (sends, bare) = Stage::with("one_number", Gateway::given().await?, async |stage| {
        let tasks = usize::try_from(FAST).context("a concurrency below zero")?;
        let bare = stage.gateway.bare_loop(tasks, Duration::from_secs(3)).await?;
        let tenants = numbers(stage, 1, pace).await?;
        Ok((run(stage, &tenants, sizes.messages_of_one).await?, bare))
    })
    .await?;
    let rate = f64::from(pace.per_minute) / 60.0;
    let note = format!("{} messages, lane_concurrency {FAST}; the highest pace allows {rate}/s", sends.messages);
    let figure = Figure::new("sends, one fast number", sends.per_second, "/s", note);
    Ok(vec![figure.beside("bare loop", bare).goal(Goal::ShareOfLimit(0.2))])
}
