//! What all lanes of a worker use.

use regua_boot::Clock;
use regua_domain::InstanceState;
use regua_evolution::EvolutionClient;
use regua_secrets::SecretKeys;
use regua_store::instances::{self, Instance};
use sqlx::{PgConnection, PgPool};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::attempt::AttemptWriter;
use crate::claims::Claims;
use crate::config::WorkerSettings;
use crate::health::HealthChecks;
use crate::lane_configs::LaneConfigs;
use crate::metrics::WorkerMetrics;
use crate::send_budget::SendBudget;

pub(crate) struct Context {
    pub(crate) pool: PgPool,
    pub(crate) clock: Clock,
    pub(crate) metrics: WorkerMetrics,
    pub(crate) gateway: EvolutionClient,
    pub(crate) secrets: SecretKeys,
    pub(crate) health_checks: HealthChecks,
    pub(crate) send_budget: SendBudget,
    pub(crate) attempt_writer: AttemptWriter,
    pub(crate) lane_configs: LaneConfigs,
    pub(crate) claims: Claims,
    pub(crate) settings: WorkerSettings,
    pub(crate) shutdown: CancellationToken,
    pub(crate) tasks: TaskTracker,
}

impl Context {
    /// Marks an instance as down, with its queues; false when its address or token was replaced since `checked` was
    /// read.
    pub(crate) async fn mark_down(
        &self,
        conn: &mut PgConnection,
        checked: &Instance,
        state: InstanceState,
        reason: &str,
    ) -> Result<bool, sqlx::Error> {
        let now = self.clock.now();
        let next_check_at = now + self.settings.recheck_after;
        instances::mark_down(conn, checked, state, reason, now, next_check_at).await
    }
}
