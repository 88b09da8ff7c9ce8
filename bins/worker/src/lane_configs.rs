//! Reads lane configurations, those of many lanes in one transaction: ten thousand lanes cost hardly more than one.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use regua_domain::{Pacing, RetrySchedule, TenantId, TenantRules};
use regua_secrets::SecretKeys;
use regua_store::instances::Instance;
use regua_store::{calendars, instances, tenant_configs, transact};
use sqlx::PgPool;
use tokio::sync::{mpsc, oneshot};

use crate::health::{self, Address};
use crate::lease::LaneKey;

/// Most lanes of one transaction.
const GROUP: usize = 1000;

/// What a lane must know of its tenant and its instance.
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

type Answer = anyhow::Result<Arc<LaneConfig>>;

type Request = (LaneKey, oneshot::Sender<Answer>);

/// Requests to the task that reads configurations. While it reads one group, the next one gathers.
#[derive(Clone)]
pub(crate) struct LaneConfigs {
    requests: mpsc::Sender<Request>,
}

impl LaneConfigs {
    /// Starts the task, which ends when every `LaneConfigs` is dropped.
    pub(crate) fn start(pool: PgPool, secrets: SecretKeys) -> Self {
        let (requests, inbox) = mpsc::channel(GROUP);
        tokio::spawn(serve(inbox, pool, secrets));
        Self { requests }
    }

    /// The lane's present configuration.
    pub(crate) async fn get(&self, key: LaneKey) -> Answer {
        let (answer, answered) = oneshot::channel();
        self.requests.send((key, answer)).await.map_err(|_| anyhow!("lane configurations are read no more"))?;
        answered.await.context("lane configurations are read no more")?
    }
}

async fn serve(mut inbox: mpsc::Receiver<Request>, pool: PgPool, secrets: SecretKeys) {
    let mut group = Vec::with_capacity(GROUP);
    while inbox.recv_many(&mut group, GROUP).await > 0 {
        let keys: Vec<_> = group.iter().map(|(key, _)| *key).collect();
        let all = read(&pool, &secrets, &keys).await;
        for (key, answer) in group.drain(..) {
            let of_lane = |configs: &HashMap<_, _>| configs.get(&key).cloned().context("the instance is gone");
            let config = match &all {
                Ok(configs) => of_lane(configs),
                Err(error) if is_unavailable(error) => Err(anyhow!("{error:#}")),
                // One by one, so that a tenant whose configuration cannot be read does not fail the others.
                Err(_) => read(&pool, &secrets, &[key]).await.and_then(|configs| of_lane(&configs)),
            };
            let _gone = answer.send(config);
        }
    }
}

/// Whether the database is unavailable: then the requests of a group are not tried one by one.
pub(crate) fn is_unavailable(error: &anyhow::Error) -> bool {
    error.downcast_ref().is_some_and(regua_store::is_unavailable)
}

async fn read(
    pool: &PgPool,
    secrets: &SecretKeys,
    lanes: &[LaneKey],
) -> anyhow::Result<HashMap<LaneKey, Arc<LaneConfig>>> {
    let ids: Vec<_> = lanes.iter().map(|lane| (lane.tenant, lane.instance)).collect();
    let mut tenants: Vec<_> = lanes.iter().map(|lane| lane.tenant).collect();
    tenants.sort_unstable();
    tenants.dedup();
    let reading = transact(pool, async |conn| -> Result<_, sqlx::Error> {
        let configs = tenant_configs::get_all(conn, &tenants).await?;
        let calendars = calendars::get_all(conn, configs.values()).await?;
        Ok((configs, calendars, instances::get_all(conn, &ids).await?))
    });
    let (configs, mut calendars, instances) = reading.await?;
    let mut tenants = HashMap::new();
    for (tenant, config) in configs {
        let max_attempts = u16::try_from(config.max_attempts)?;
        let calendar = calendars.remove(&tenant).context("a tenant without a calendar")?;
        tenants.insert(tenant, Arc::new(TenantRules { calendar, max_attempts, active: config.active }));
    }
    instances.into_iter().map(|instance| lane_config(instance, &tenants, secrets)).collect()
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
