//! A lane's requests to its gateway within the budget of sends under way, and while this machine has no socket.

use std::sync::Arc;
use std::time::Duration;

use super::{Lane, StopReason};
use crate::health::Health;
use crate::lane_configs::LaneConfig;
use crate::send_budget::SendPermit;

/// How often a waiting lane looks whether it must stop, and asks again after it got no socket.
const PERIOD: Duration = Duration::from_secs(1);

impl Lane {
    /// Waits for a permit; a reason when the lane must stop. The contacts that the lane has claimed are not marked yet,
    /// so a pause holds for them while the lane waits.
    pub(super) async fn acquire_permit(&self) -> Result<SendPermit, StopReason> {
        let acquiring = self.context.send_budget.acquire(self.key.tenant);
        tokio::pin!(acquiring);
        loop {
            if let Some(reason) = self.stop_reason() {
                return Err(reason);
            }
            tokio::select! {
                permit = &mut acquiring => return self.stop_reason().map_or(Ok(permit), Err),
                () = self.period() => {}
            }
        }
    }

    /// The health of the instance. Asks until this machine has a socket, or the lane must stop.
    pub(super) async fn health(&self, config: &Arc<LaneConfig>) -> Result<Health, StopReason> {
        loop {
            let health = self.context.health_checks.check(&self.context.gateway, &config.address).await;
            if let Some(health) = health {
                return Ok(health);
            }
            self.context.send_budget.count_without_socket();
            self.period().await;
            if let Some(reason) = self.stop_reason() {
                return Err(reason);
            }
        }
    }

    async fn period(&self) {
        tokio::select! {
            () = tokio::time::sleep(PERIOD) => {}
            () = self.lease.release_requested.cancelled() => {}
            () = self.context.shutdown.cancelled() => {}
        }
    }
}
