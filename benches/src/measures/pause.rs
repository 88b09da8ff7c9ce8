//! How long messages of a queue still leave after its pause was answered, while everything sends as fast as it can.
//!
//! Many numbers have one long queue each. Queues are paused one after the other; the sandbox's ledger tells when the last
//! message of each left. One that left before the answer counts as 0.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::ensure;
use regua_boot::Clock;

use crate::erp::Erp;
use crate::fill::{Fill, ring};
use crate::gateway::Gateway;
use crate::report::{Figure, Goal};
use crate::samples::Samples;
use crate::sizes::Sizes;
use crate::stage::Stage;
use crate::tenants::{Pace, Tenant};

/// Numbers, each with one queue.
const NUMBERS: usize = 200;
/// Contacts of each queue: more than can leave meanwhile.
const CONTACTS: usize = 1500;

/// The table's rows.
pub(crate) async fn measure(sizes: Sizes) -> anyhow::Result<Vec<Figure>> {
    let times = Stage::with("pause", Gateway::sandbox().await?, async |stage| run(stage, sizes.pauses).await).await?;
    let note = format!("{} queues paused while {NUMBERS} numbers send unthrottled", times.len());
    Ok(vec![
        Figure::new("pause answered to last send, p50", times.median() / 1000.0, "s", ""),
        Figure::new("pause answered to last send, p99", times.p99() / 1000.0, "s", note).goal(Goal::AtMost(1.0)),
    ])
}

async fn run(stage: &Stage, pauses: usize) -> anyhow::Result<Samples> {
    let tenant = Tenant::create(&stage.pool, &stage.gateway, "acme", NUMBERS, Pace::UNTHROTTLED).await?;
    let fill = Fill { queues: NUMBERS, contacts: CONTACTS, waiting: NUMBERS };
    let queues = fill.store(stage, &tenant).await?;
    ring(stage, &queues.iter().map(|queue| (&tenant, *queue)).collect::<Vec<_>>()).await?;
    let (api, url) = stage.api().await?;
    let (periodic, worker) = (stage.periodic().await?, stage.worker().await?);
    stage.until_sent(2 * NUMBERS, Duration::from_secs(30)).await?;
    let (erp, clock) = (Erp::new(&url, &tenant.key)?, Clock::system());
    let mut answered = HashMap::new();
    for (queue, number) in queues.iter().zip(&tenant.numbers).take(pauses) {
        erp.pause(&queue.to_string()).await?;
        answered.insert(number.name.as_str(), clock.now().timestamp_millis());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // A message that wrongly leaves late is to be seen.
    tokio::time::sleep(Duration::from_secs(2)).await;
    worker.terminate()?;
    periodic.terminate()?;
    api.terminate()?;
    for queue in queues.iter().take(pauses) {
        let (status, pending): (String, i32) = sqlx::query_as("select status, pending from queues where queue_id = $1")
            .bind(queue.0)
            .fetch_one(&stage.pool)
            .await?;
        ensure!(status == "paused" && pending > 0, "a queue was {status} with {pending} contacts left");
    }
    let mut last: HashMap<_, _> = answered.keys().map(|name| (*name, i64::MIN)).collect();
    for departure in &stage.gateway.departures().await? {
        if let Some(left_at) = last.get_mut(departure.instance.as_str()) {
            *left_at = departure.left_at.max(*left_at);
        }
    }
    Ok(last.iter().map(|(name, left_at)| left_at.saturating_sub(answered[name]).max(0) as f64).collect())
}
