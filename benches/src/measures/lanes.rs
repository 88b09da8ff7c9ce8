//! One worker with thousands of lanes at 20 messages a minute: its memory, and how well each lane keeps its pace.
//!
//! Without jitter a lane may send every 3 s. The error of a send is how far the time since the lane's send before strays
//! from that, by the sandbox's ledger; the first one does not count, because a lane that rested sends at once and finds
//! its place in time only then. A lane starves when it has contacts and sends nothing for three intervals. Both are
//! looked at from two intervals after the moment at which every lane has sent once.

use std::collections::HashMap;
use std::time::Duration;

use regua_boot::Clock;
use regua_domain::QueueId;

use crate::fill::{Fill, ring};
use crate::gateway::Gateway;
use crate::report::{Figure, Goal};
use crate::samples::Samples;
use crate::sizes::Sizes;
use crate::stage::Stage;
use crate::tenants::{Pace, Tenant};

/// Numbers of a tenant.
const NUMBERS: usize = 100;
/// A lane's interval in milliseconds, at the product's own 20 a minute.
const INTERVAL: i64 = 3000;
const PACE: Pace = Pace { per_minute: 20, concurrency: 1 };
/// How long all lanes may take to send for the first time.
const BEGIN_WITHIN: Duration = Duration::from_secs(60);

/// Between that and the watch: two intervals.
const SETTLE: Duration = Duration::from_secs(6);

struct Watched {
    began_after: f64,
    worker_megabytes: f64,
    worker_cores: f64,
    postgres_cores: Option<f64>,
    per_second: f64,
    starved: usize,
    errors: Samples,
}

/// The table's rows.
pub(crate) async fn measure(sizes: Sizes) -> anyhow::Result<Vec<Figure>> {
    let watched = Stage::with("lanes", Gateway::sandbox().await?, async |stage| run(stage, sizes).await).await?;
    let seconds = sizes.watch.as_secs();
    let lanes = sizes.lanes;
    let mut figures = vec![
        Figure::new(
            "worker's memory with many lanes",
            watched.worker_megabytes,
            "MB",
            format!("{lanes} lanes, most resident"),
        )
        .goal(Goal::AtMost(150.0)),
        Figure::new(
            "lanes starved",
            watched.starved as f64,
            "",
            format!("of {lanes}, no send in 9 s, within {seconds} s"),
        )
        .goal(Goal::AtMost(0.0)),
        Figure::new("error of pacing, p50", watched.errors.median(), "ms", ""),
        Figure::new(
            "error of pacing, p99",
            watched.errors.p99(),
            "ms",
            format!("|gap - 3 s| of {} sends", watched.errors.len()),
        )
        .goal(Goal::AtMost(500.0)),
        Figure::new("sends of all these lanes", watched.per_second, "/s", format!("while watched for {seconds} s"))
            .beside("their pace", lanes as f64 / 3.0),
        Figure::new("until all lanes have sent once", watched.began_after, "s", "from the worker's start"),
        Figure::new("CPU of the worker with many lanes", watched.worker_cores, "cores", "while watched"),
    ];
    figures.extend(
        watched
            .postgres_cores
            .map(|cores| Figure::new("CPU of PostgreSQL with many lanes", cores, "cores", "while watched")),
    );
    Ok(figures)
}

async fn run(stage: &Stage, sizes: Sizes) -> anyhow::Result<Watched> {
    let contacts = usize::try_from((sizes.watch + BEGIN_WITHIN + SETTLE).as_secs())? / 3 + 5;
    let mut tenants = Vec::new();
    let mut queues: Vec<Vec<QueueId>> = Vec::new();
    for place in 0..sizes.lanes.div_ceil(NUMBERS) {
        let numbers = NUMBERS.min(sizes.lanes - place * NUMBERS);
        let tenant = Tenant::create(&stage.pool, &stage.gateway, &format!("acme-{place}"), numbers, PACE).await?;
        queues.push(Fill { queues: numbers, contacts, waiting: numbers }.store_untidied(stage, &tenant).await?);
        tenants.push(tenant);
    }
    Fill::tidy(stage).await?;
    let rings: Vec<_> = tenants
        .iter()
        .zip(&queues)
        .flat_map(|(tenant, queues)| queues.iter().map(move |queue| (tenant, *queue)))
        .collect();
    let (api, _) = stage.api().await?;
    let clock = Clock::system();
    let (periodic, worker) = (stage.periodic().await?, stage.worker().await?);
    let started = clock.now().timestamp_millis();
    ring(stage, &rings).await?;
    let all_began = all_begin(stage, sizes.lanes).await?;
    let began_after = clock.now().timestamp_millis() - started;
    tokio::time::sleep(SETTLE).await;
    let began = clock.now().timestamp_millis();
    let (worker_before, before) = (worker.cpu_seconds()?, stage.counters().await?);
    tokio::time::sleep(sizes.watch).await;
    let ended = clock.now().timestamp_millis();
    let (worker_after, after) = (worker.cpu_seconds()?, stage.counters().await?);
    let worker_megabytes = worker.peak_megabytes()?;
    worker.terminate()?;
    periodic.terminate()?;
    api.terminate()?;
    let mut sends: HashMap<String, Vec<i64>> = HashMap::new();
    for departure in stage.gateway.departures().await? {
        sends.entry(departure.instance).or_default().push(departure.received_at);
    }
    let within = |at: &i64| (began..=ended).contains(at);
    let count = sends.values().flatten().filter(|at| within(at)).count();
    let seconds = (ended - began) as f64 / 1000.0;
    let starved = sends.values().filter(|sends| starves(sends, began, ended)).count() + sizes.lanes - sends.len();
    let errors =
        sends.values().flat_map(|sends| sends.windows(2).skip(1)).filter(|pair| within(&pair[0]) && within(&pair[1]));
    Ok(Watched {
        began_after: if all_began { began_after as f64 / 1000.0 } else { f64::INFINITY },
        worker_megabytes,
        worker_cores: (worker_after - worker_before) / seconds,
        postgres_cores: after.cpu_seconds.zip(before.cpu_seconds).map(|(after, before)| (after - before) / seconds),
        per_second: count as f64 / seconds,
        starved,
        errors: errors.map(|pair| (pair[1] - pair[0] - INTERVAL).abs() as f64).collect(),
    })
}

/// Whether all lanes have sent in time.
async fn all_begin(stage: &Stage, lanes: usize) -> anyhow::Result<bool> {
    let deadline = tokio::time::Instant::now() + BEGIN_WITHIN;
    while tokio::time::Instant::now() < deadline {
        let begun: i64 =
            sqlx::query_scalar("select count(*) from queues where sent > 0").fetch_one(&stage.pool).await?;
        if usize::try_from(begun)? == lanes {
            return Ok(true);
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    Ok(false)
}

/// Whether a lane sent nothing for three intervals between two instants.
fn starves(sends: &[i64], began: i64, ended: i64) -> bool {
    let mut last = began;
    let seen = sends.iter().copied().filter(|at| (began..=ended).contains(at)).chain([ended]);
    seen.into_iter().any(|at| {
        let gap = at - last;
        last = at;
        gap > 3 * INTERVAL
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_starves_after_three_intervals_without_a_send() {
        let regular: Vec<_> = (0..10).map(|n| 1000 + n * INTERVAL).collect();
        assert!(!starves(&regular, 0, 30_000));
        assert!(starves(&regular[..4], 0, 30_000), "it stopped");
        assert!(starves(&regular[5..], 0, 30_000), "it began late");
        assert!(starves(&[], 0, 10_000) && !starves(&[], 0, 9000));
    }
}
