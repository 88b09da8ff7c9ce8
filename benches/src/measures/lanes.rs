//! One worker with thousands of lanes at 20 messages a minute: its memory, and the lanes' pacing.
//!
//! Without jitter a lane sends every 3 s. The pacing error of a send is the difference between 3 s and the time since
//! the lane's previous send, by the sandbox's ledger. The first gap does not count, because a lane that rested sends at
//! once. A lane starves when it has contacts and sends nothing for three intervals. Measuring begins two intervals
//! after every lane has sent once.

use std::collections::HashMap;
use std::time::Duration;

use regua_boot::Clock;
use regua_domain::QueueId;

use crate::fill::{Fill, ring};
use crate::gateway::Gateway;
use crate::report::{Figure, Goal};
use crate::samples::Samples;
use crate::sizes::Sizes;
use crate::tenants::{Pace, Tenant};
use crate::testbed::Testbed;

/// Instances of a tenant.
const INSTANCES: usize = 100;
/// A lane's interval in milliseconds, at the default of 20 a minute.
const INTERVAL: i64 = 3000;
const PACE: Pace = Pace { per_minute: 20, concurrency: 1 };
/// How long all lanes may take to send once.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// Two intervals, from then to the measuring.
const SETTLING_TIME: Duration = Duration::from_secs(6);

struct Measured {
    all_sent_after: f64,
    worker_megabytes: f64,
    worker_cores: f64,
    postgres_cores: Option<f64>,
    per_second: f64,
    starved: usize,
    errors: Samples,
}

pub(crate) async fn measure(sizes: Sizes) -> anyhow::Result<Vec<Figure>> {
    let measured = Testbed::with("lanes", Gateway::sandbox().await?, async |testbed| run(testbed, sizes).await).await?;
    let seconds = sizes.watch.as_secs();
    let lanes = sizes.lanes;
    let mut figures = vec![
        Figure::new(
            "worker's memory with many lanes",
            measured.worker_megabytes,
            "MB",
            format!("{lanes} lanes, most resident"),
        )
        .goal(Goal::AtMost(150.0)),
        Figure::new(
            "lanes starved",
            measured.starved as f64,
            "",
            format!("of {lanes}, no send in 9 s, within {seconds} s"),
        )
        .goal(Goal::AtMost(0.0)),
        Figure::new("error of pacing, p50", measured.errors.median(), "ms", ""),
        Figure::new(
            "error of pacing, p99",
            measured.errors.p99(),
            "ms",
            format!("|gap - 3 s| of {} sends", measured.errors.len()),
        )
        .goal(Goal::AtMost(500.0)),
        Figure::new("sends of all these lanes", measured.per_second, "/s", format!("while watched for {seconds} s"))
            .beside("their pace", lanes as f64 / 3.0),
        Figure::new("until all lanes have sent once", measured.all_sent_after, "s", "from the worker's start"),
        Figure::new("CPU of the worker with many lanes", measured.worker_cores, "cores", "while watched"),
    ];
    figures.extend(
        measured
            .postgres_cores
            .map(|cores| Figure::new("CPU of PostgreSQL with many lanes", cores, "cores", "while watched")),
    );
    Ok(figures)
}

async fn run(testbed: &Testbed, sizes: Sizes) -> anyhow::Result<Measured> {
    let contacts = usize::try_from((sizes.watch + START_TIMEOUT + SETTLING_TIME).as_secs())? / 3 + 5;
    let mut tenants = Vec::new();
    let mut queues: Vec<Vec<QueueId>> = Vec::new();
    for place in 0..sizes.lanes.div_ceil(INSTANCES) {
        let instances = INSTANCES.min(sizes.lanes - place * INSTANCES);
        let tenant = Tenant::create(&testbed.pool, &testbed.gateway, &format!("acme-{place}"), instances, PACE).await?;
        queues.push(
            Fill { queues: instances, contacts, waiting: instances }.store_without_vacuum(testbed, &tenant).await?,
        );
        tenants.push(tenant);
    }
    Fill::vacuum(testbed).await?;
    let all_queues: Vec<_> = tenants
        .iter()
        .zip(&queues)
        .flat_map(|(tenant, queues)| queues.iter().map(move |queue| (tenant, *queue)))
        .collect();
    let (api, _) = testbed.api().await?;
    let clock = Clock::system();
    let (periodic, worker) = (testbed.periodic().await?, testbed.worker().await?);
    let started = clock.now().timestamp_millis();
    ring(testbed, &all_queues).await?;
    let all_have_sent = until_all_have_sent(testbed, sizes.lanes).await?;
    let all_sent_after = clock.now().timestamp_millis() - started;
    tokio::time::sleep(SETTLING_TIME).await;
    let began = clock.now().timestamp_millis();
    let (worker_before, before) = (worker.cpu_seconds()?, testbed.counters().await?);
    tokio::time::sleep(sizes.watch).await;
    let ended = clock.now().timestamp_millis();
    let (worker_after, after) = (worker.cpu_seconds()?, testbed.counters().await?);
    let worker_megabytes = worker.peak_megabytes()?;
    worker.terminate()?;
    periodic.terminate()?;
    api.terminate()?;
    let mut sends: HashMap<String, Vec<i64>> = HashMap::new();
    for departure in testbed.gateway.departures().await? {
        sends.entry(departure.instance).or_default().push(departure.received_at);
    }
    let within = |at: &i64| (began..=ended).contains(at);
    let count = sends.values().flatten().filter(|at| within(at)).count();
    let seconds = (ended - began) as f64 / 1000.0;
    let starved = sends.values().filter(|sends| starves(sends, began, ended)).count() + sizes.lanes - sends.len();
    let errors =
        sends.values().flat_map(|sends| sends.windows(2).skip(1)).filter(|pair| within(&pair[0]) && within(&pair[1]));
    Ok(Measured {
        all_sent_after: if all_have_sent { all_sent_after as f64 / 1000.0 } else { f64::INFINITY },
        worker_megabytes,
        worker_cores: (worker_after - worker_before) / seconds,
        postgres_cores: after.cpu_seconds.zip(before.cpu_seconds).map(|(after, before)| (after - before) / seconds),
        per_second: count as f64 / seconds,
        starved,
        errors: errors.map(|pair| (pair[1] - pair[0] - INTERVAL).abs() as f64).collect(),
    })
}

/// Whether all lanes have sent once within the time-out.
async fn until_all_have_sent(testbed: &Testbed, lanes: usize) -> anyhow::Result<bool> {
    let deadline = tokio::time::Instant::now() + START_TIMEOUT;
    while tokio::time::Instant::now() < deadline {
        let sent: i64 =
            sqlx::query_scalar("select count(*) from queues where sent > 0").fetch_one(&testbed.pool).await?;
        if usize::try_from(sent)? == lanes {
            return Ok(true);
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    Ok(false)
}

/// Whether a lane sent nothing for more than three intervals between two times.
fn starves(sends: &[i64], began: i64, ended: i64) -> bool {
    let mut last = began;
    let times = sends.iter().copied().filter(|at| (began..=ended).contains(at)).chain([ended]);
    times.into_iter().any(|at| {
        let gap = at - last;
        last = at;
        gap > 3 * INTERVAL
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lane_starves_after_three_intervals_without_a_send() {
        let regular: Vec<_> = (0..10).map(|n| 1000 + n * INTERVAL).collect();
        assert!(!starves(&regular, 0, 30_000));
        assert!(starves(&regular[..4], 0, 30_000), "the lane stopped");
        assert!(starves(&regular[5..], 0, 30_000), "the lane began late");
        assert!(starves(&[], 0, 10_000) && !starves(&[], 0, 9000));
    }
}
