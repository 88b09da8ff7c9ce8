//! Reads the configurations of many lanes in one transaction.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use anyhow::Context;
use regua_domain::{Pacing, RetrySchedule, TenantId, TenantRules};
use regua_secrets::SecretKeys;
use regua_store::instances::Instance;
use regua_store::{calendars, instances, tenant_configs};
use sqlx::{Connection, PgConnection, PgPool};

use crate::group::{GroupSettings, Grouped};
use crate::health::{self, Address};
use crate::lease::LaneKey;

const GROUPS: GroupSettings<LaneKey> =
    GroupSettings { name: "lane configurations", tasks: 1, limit: 1000, is_repeated: |_| false };

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
    let mut tenants: Vec<_> = lanes.iter().map(|lane| lane.tenant).collect();
    tenants.sort_unstable();
    tenants.dedup();
    let mut transaction = conn.begin().await?;
    let configs = tenant_configs::get_all(&mut transaction, &tenants).await?;
    let mut calendars = calendars::get_all(&mut transaction, configs.values()).await?;
    let instances = instances::get_all(&mut transaction, &ids).await?;
    transaction.commit().await?;
    let mut tenants = HashMap::new();
    for (tenant, config) in configs {
        let max_attempts = u16::try_from(config.max_attempts)?;
        let calendar = calendars.remove(&tenant).context("a tenant without a calendar")?;
        tenants.insert(tenant, Arc::new(TenantRules { calendar, max_attempts, active: config.active }));
    }
    let read = instances.into_iter().map(|instance| lane_config(instance, &tenants, secrets));
    let configs = read.collect::<anyhow::Result<HashMap<_, _>>>()?;
    Ok(lanes.iter().map(|lane| configs.get(lane).cloned()).collect())
}

fn lane_config(
    instance: Instance,
    tenants: &HashMap<TenantId, Arc<TenantRules>>,
    secrets: &SecretKeys,
) -> anyhow::Result<(LaneKey, Arc<LaneConfig>)> {
    let key = LaneKey { tenant: instance.tenant_id, instance: instance.instance_id };
    let rules = tenants.get(&key.tenant).context("the tenant has no configuration")?;
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
