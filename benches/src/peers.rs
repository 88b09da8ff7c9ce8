//! The figures that other systems are compared by, with the gateway of the environment.

use anyhow::Context;
use serde_json::{Value, json};

use crate::gateway::Gateway;
use crate::measures::{intake, sends};
use crate::sizes::Sizes;
use crate::tenants::Pace;
use crate::testbed::Testbed;

const LANES: usize = 200;
/// Messages without MESSAGES.
const MESSAGES: usize = 10_000;

/// Measures intake and sends; the first tenth of the messages warms up.
pub(crate) async fn measure(sizes: Sizes) -> anyhow::Result<Value> {
    let messages = match std::env::var("MESSAGES") {
        Ok(count) => count.parse().context("MESSAGES is not a number")?,
        Err(_) => MESSAGES,
    };
    let intakes = Testbed::with("peers", Gateway::from_environment().await?, async |testbed| {
        intake::run(testbed, sizes.intake_batches).await
    })
    .await?;
    let sends = Testbed::with("peers", Gateway::from_environment().await?, async |testbed| {
        let tenants = sends::create_tenants(testbed, LANES, Pace::UNTHROTTLED).await?;
        sends::run(testbed, &tenants, messages.div_ceil(LANES)).await
    })
    .await?;
    Ok(json!({
        "sends_per_second": sends.per_second,
        "intake_per_second": intakes.over_http,
        "intake_below_http_per_second": intakes.below_http,
        "rss_mb": sends.worker_megabytes,
        "cpu_seconds": sends.worker_cpu + sends.api_cpu,
        "servers_cpu_seconds": sends.postgres_cpu,
        "messages": sends.messages,
    }))
}
