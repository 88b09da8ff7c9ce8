//! How long messages of a queue still leave after its pause was answered, while all instances send unthrottled.
//!
//! Many instances have one long queue each. Queues are paused one after the other; the sandbox's ledger has the time of
//! each queue's last message. A last message before the answer counts as 0.

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
use crate::tenants::{Pace, Tenant};
use crate::testbed::Testbed;

/// Instances, each with one queue.
const INSTANCES: usize = 200;
/// Contacts of each queue: more than can be sent meanwhile.
const CONTACTS: usize = 1500;

pub(crate) async fn measure(sizes: Sizes) -> anyhow::Result<Vec<Figure>> {
    let times =
        Testbed::with("pause", Gateway::sandbox().await?, async |testbed| run(testbed, sizes.pauses).await).await?;
    let how = format!("{} queues paused while {INSTANCES} numbers send unthrottled", times.len());
    Ok(vec![
        Figure::new("pause answered to last send, p50", times.median() / 1000.0, "s", ""),
        Figure::new("pause answered to last send, p99", times.p99() / 1000.0, "s", how).goal(Goal::AtMost(1.0)),
    ])
}

async fn run(testbed: &Testbed, pauses: usize) -> anyhow::Result<Samples> {
    let tenant = Tenant::create(&testbed.pool, &testbed.gateway, "acme", INSTANCES, Pace::UNTHROTTLED).await?;
    let fill = Fill { queues: INSTANCES, contacts: CONTACTS, waiting: INSTANCES };
    let queues = fill.store(testbed, &tenant).await?;
    ring(testbed, &queues.iter().map(|queue| (&tenant, *queue)).collect::<Vec<_>>()).await?;
    let (api, url) = testbed.api().await?;
    let (periodic, worker) = (testbed.periodic().await?, testbed.worker().await?);
    testbed.until_sent(2 * INSTANCES, Duration::from_secs(30)).await?;
    let (erp, clock) = (Erp::new(&url, &tenant.api_key)?, Clock::system());
    let mut answered = HashMap::new();
    for (queue, instance) in queues.iter().zip(&tenant.instances).take(pauses) {
        erp.pause(&queue.to_string()).await?;
        answered.insert(instance.name.as_str(), clock.now().timestamp_millis());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Time in which a message may wrongly leave late.
    tokio::time::sleep(Duration::from_secs(2)).await;
    worker.terminate()?;
    periodic.terminate()?;
    api.terminate()?;
    for queue in queues.iter().take(pauses) {
        let (status, pending): (String, i32) = sqlx::query_as("select status, pending from queues where queue_id = $1")
            .bind(queue.0)
            .fetch_one(&testbed.pool)
            .await?;
        ensure!(status == "paused" && pending > 0, "a queue was {status} with {pending} contacts left");
    }
    let mut last: HashMap<_, _> = answered.keys().map(|name| (*name, i64::MIN)).collect();
    for departure in &testbed.gateway.departures().await? {
        if let Some(left_at) = last.get_mut(departure.instance.as_str()) {
            *left_at = departure.left_at.max(*left_at);
        }
    }
    Ok(last.iter().map(|(name, left_at)| left_at.saturating_sub(answered[name]).max(0) as f64).collect())
}
