//! Requests of a tenant's user to a gateway. The answer does not tell which hosts and ports exist inside the network of
//! this machine: neither by its reason nor by its time.

use std::time::Duration;

use regua_evolution::Reason;
use tokio::time::{Instant, sleep_until, timeout_at};

/// The longest time of a request, and the exact time of every request to a host that turns out to be no gateway.
const REQUEST_TIME: Duration = Duration::from_secs(3);

/// Awaits a request to a gateway. The error is [`Reason::disclosed`]; the log has the true reason.
pub(super) async fn ask<T>(request: impl Future<Output = Result<T, Reason>>) -> Result<T, Reason> {
    let end = Instant::now() + REQUEST_TIME;
    let reason = match timeout_at(end, request).await {
        Ok(Ok(answer)) => return Ok(answer),
        Ok(Err(reason)) => reason,
        Err(_) => Reason::NoAnswer,
    };
    tracing::info!(%reason, "a gateway did not do what a user asked for");
    if reason.disclosed() == Reason::GatewayUnreachable {
        sleep_until(end).await;
    }
    Err(reason.disclosed())
}
