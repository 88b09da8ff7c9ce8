//! Figures by stored contacts and by sending lanes: growth.json.

use std::path::Path;

use anyhow::Context;
use serde_json::{Value, json};

use crate::gateway::Gateway;
use crate::measures::{sends, stored};
use crate::report::{print, progress};
use crate::tenants::Pace;
use crate::testbed::Testbed;

const CONTACTS: [usize; 4] = [10_000, 100_000, 1_000_000, 10_000_000];
const LANES: [usize; 4] = [10, 100, 1000, 10_000];
/// Timed claims and status requests of each point.
const TIMED: usize = 300;
/// Accepted batches of 10,000 contacts of each point.
const INTAKE_BATCHES: usize = 5;
/// Messages of each point, but at least two for each lane.
const MESSAGES: usize = 30_000;

/// Measures, writes `growth.json` into the folder, and prints the figures. `only` (`contacts` or `lanes`) leaves the other curve of the file unchanged.
pub(crate) async fn measure(folder: &Path, only: &str, quick: bool) -> anyhow::Result<()> {
    let file = folder.join("growth.json");
    let mut document = match std::fs::read_to_string(&file) {
        Ok(text) => serde_json::from_str(&text).context("growth.json cannot be read")?,
        Err(_) => json!({}),
    };
    let points = if quick { 2 } else { 4 };
    for (place, &count) in LANES[..points].iter().enumerate().filter(|_| "lanes".contains(only)) {
        let point = with_lanes(count).await?;
        append(&mut document, "lanes", place, point, &file)?;
    }
    for (place, &count) in CONTACTS[..points].iter().enumerate().filter(|_| "contacts".contains(only)) {
        let point = with_contacts(count).await?;
        append(&mut document, "contacts", place, point, &file)?;
    }
    print(&format!("{document:#}"));
    Ok(())
}

/// Appends a point to its curve, whose first point clears it. Writes the file, because the next point may take minutes.
fn append(document: &mut Value, curve: &str, place: usize, point: Value, file: &Path) -> anyhow::Result<()> {
    progress(&point.to_string());
    let points = &mut document[curve];
    if place == 0 {
        *points = json!([]);
    }
    points.as_array_mut().context("growth.json has an unknown format")?.push(point);
    std::fs::write(file, format!("{document:#}\n"))?;
    Ok(())
}

async fn with_lanes(count: usize) -> anyhow::Result<Value> {
    let sends = Testbed::with("growth", Gateway::from_environment().await?, async |testbed| {
        let tenants = sends::create_tenants(testbed, count, Pace::UNTHROTTLED).await?;
        sends::run(testbed, &tenants, (MESSAGES / count).max(2)).await
    })
    .await?;
    Ok(json!({
        "lanes": count, "messages": sends.messages, "sends_per_second": sends.per_second,
        "worker_rss_mb": sends.worker_megabytes, "worker_cpu_seconds": sends.worker_cpu,
        "postgres_cpu_seconds": sends.postgres_cpu_of_sends,
    }))
}

async fn with_contacts(count: usize) -> anyhow::Result<Value> {
    let churned = (count / 20).clamp(500, 50_000);
    let stored = stored::run(count, churned, TIMED, INTAKE_BATCHES).await?;
    Ok(json!({
        "contacts_stored": count, "sent_before_claims": churned, "claims": stored.claims.both.len(),
        "claim_p50_ms": stored.claims.both.median(), "claim_p99_ms": stored.claims.both.p99(),
        "runnable_p50_ms": stored.claims.runnable.median(), "runnable_p99_ms": stored.claims.runnable.p99(),
        "status_p50_ms": stored.status.median(), "status_p99_ms": stored.status.p99(),
        "intake_per_second": stored.intake, "fill_seconds": stored.fill_seconds,
    }))
}
