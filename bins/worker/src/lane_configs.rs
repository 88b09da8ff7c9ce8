//! Reads the configurations of many lanes in one transaction.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use anyhow::Context;
use chrono::TimeDelta;
use regua_domain::{LaneKey, Pacing, RetrySchedule, TenantId, TenantRules};
use regua_secrets::SecretKeys;
use regua_store::instances::Instance;
use regua_store::{instances, tenant_rules};
use sqlx::{Connection, PgConnection, PgPool};

use crate::group::{GroupSettings, Grouped};
use crate::health::{self, Address};
const GROUPS: GroupSettings<LaneKey> =
    GroupSettings { name: "lane configurations", tasks: 1, limit: 1000, is_repeated: |_| false };

/// How long before its slot an attempt is marked, where the lane sends several at once: about the time of a commit. The
/// slots of such a lane may be closer together than one commit takes.
const LEAD_TIME: TimeDelta = TimeDelta::milliseconds(50);

/// The settings of tenant and instance that a lane uses.
#[derive(Clone, Debug)]
pub(crate) struct LaneConfig {
    pub(crate) tenant: Arc<TenantRules>,
    pub(crate) instance: Instance,
    pub(crate) address: Address,
    pub(crate) pacing: Pacing,
    pub(crate) retry: RetrySchedule,
    pub(crate) daily_cap: Option<u32>,
    pub(crate) concurrency: usize,
}

impl LaneConfig {
    /// How long before its slot an attempt may be marked; the post waits for the slot.
    pub(crate) fn lead_time(&self) -> TimeDelta {
        if self.concurrency > 1 { LEAD_TIME } else { TimeDelta::zero() }
    }
}

/// Sends requests to the task that reads configurations. The answer is none if the instance was deleted.
pub(crate) struct LaneConfigs(Grouped<LaneKey, Option<Arc<LaneConfig>>>);

impl LaneConfigs {
    /// Starts the task, which ends when the `LaneConfigs` is dropped.
    pub(crate) fn start(pool: &PgPool, secrets: &SecretKeys) -> Self {
        let (grouped, _tasks) =
            Grouped::start(&GROUPS, pool, secrets.clone(), |secrets, conn, lanes| Box::pin(read(conn, secrets, lanes)));
        Self(grouped)
    }

    pub(crate) async fn get(&self, key: LaneKey) -> anyhow::Result<Arc<LaneConfig>> {
        self.0.ask(key.instance, key).await?.context("the instance is gone")
    }
}

async fn read(
    conn: &mut PgConnection,
    secrets: &SecretKeys,
    lanes: &[&LaneKey],
) -> anyhow::Result<Vec<Option<Arc<LaneConfig>>>> {
    let ids: Vec<_> = lanes.iter().map(|lane| (lane.tenant, lane.instance)).collect();
    let tenants: Vec<_> = lanes.iter().map(|lane| lane.tenant).collect();
    let mut transaction = conn.begin().await?;
    let rules = tenant_rules::get_all(&mut transaction, &tenants).await?;
    let instances = instances::get_all(&mut transaction, &ids).await?;
    transaction.commit().await?;
    let rules = rules.into_iter().map(|(tenant, rules)| (tenant, Arc::new(rules))).collect();
    let read = instances.into_iter().map(|instance| lane_config(instance, &rules, secrets));
    let configs = read.collect::<anyhow::Result<HashMap<_, _>>>()?;
    Ok(lanes.iter().map(|lane| configs.get(lane).cloned()).collect())
}

fn lane_config(
    instance: Instance,
    rules: &HashMap<TenantId, Arc<TenantRules>>,
    secrets: &SecretKeys,
) -> anyhow::Result<(LaneKey, Arc<LaneConfig>)> {
    let key = LaneKey { tenant: instance.tenant_id, instance: instance.instance_id };
    let rules = rules.get(&key.tenant).context("the tenant has no configuration")?;
    let config = LaneConfig {
        tenant: Arc::clone(rules),
        pacing: Pacing {
            per_minute: NonZeroU32::new(u32::try_from(instance.messages_per_minute)?).context("a rate of 0")?,
            jitter_percent: u8::try_from(instance.jitter_percent)?,
        },
        retry: RetrySchedule::new(rules.max_attempts),
        daily_cap: instance.daily_cap.map(u32::try_from).transpose()?,
        concurrency: usize::try_from(instance.lane_concurrency)?.max(1),
        address: health::address(&instance, secrets),
        instance,
    };
    Ok((key, Arc::new(config)))
}
