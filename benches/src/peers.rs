//! The few figures that other systems are compared by, on the gateway that the environment names.

use anyhow::Context;
use serde_json::{Value, json};

use crate::gateway::Gateway;
use crate::measures::{intake, sends};
use crate::sizes::Sizes;
use crate::stage::Stage;
use crate::tenants::Pace;

/// Lanes that send.
const LANES: usize = 200;
/// Messages that are sent where MESSAGES does not say.
const MESSAGES: usize = 10_000;

/// Takes in and sends; the first tenth of the messages warms up.
pub(crate) async fn measure(sizes: Sizes) -> anyhow::Result<Value> {
    let messages = match std::env::var("MESSAGES") {
        Ok(count) => count.parse().context("MESSAGES is no number")?,
        Err(_) => MESSAGES,
    };
    let intakes =
        Stage::with("peers", Gateway::given().await?, async |stage| intake::run(stage, sizes.intake_batches).await)
            .await?;
    let sends = Stage::with("peers", Gateway::given().await?, async |stage| {
        let tenants = sends::numbers(stage, LANES, Pace::UNTHROTTLED).await?;
        sends::run(stage, &tenants, messages.div_ceil(LANES)).await
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
