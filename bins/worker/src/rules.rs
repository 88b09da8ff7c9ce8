//! Tenants' rules as the domain reads them, put together from their rows: of all lanes that ask at the same time at once.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use regua_boot::SecretKeys;
use regua_domain::{Pacing, RetrySchedule, TenantId, TenantRules};
use regua_store::instances::Instance;
use regua_store::{PATIENCE, calendars, instances, tenant_configs, within};
use sqlx::PgPool;
use tokio::sync::{mpsc, oneshot};

use crate::health::{self, Address};
use crate::lane::Key;

/// Most lanes whose rules are read at once.
const GROUP: usize = 1000;

/// All that a lane must know of its tenant and its number.
#[derive(Clone, Debug)]
pub(crate) struct LaneRules {
    pub(crate) tenant: Arc<TenantRules>,
    pub(crate) instance: Instance,
    /// Where it is reached.
    pub(crate) address: Address,
    pub(crate) pacing: Pacing,
    pub(crate) retry: RetrySchedule,
    pub(crate) daily_cap: Option<u32>,
    pub(crate) concurrency: usize,
}

type Answer = anyhow::Result<Arc<LaneRules>>;

/// The way to the task that reads rules: while it reads some, others' questions gather, so that ten thousand lanes cost
/// hardly more than one.
#[derive(Clone)]
pub(crate) struct Rulebook {
    questions: mpsc::Sender<(Key, oneshot::Sender<Answer>)>,
}

impl Rulebook {
    /// Starts the task, which ends with the last `Rulebook`.
    pub(crate) fn open(pool: PgPool, secrets: SecretKeys) -> Self {
        let (questions, mut asked) = mpsc::channel::<(Key, oneshot::Sender<Answer>)>(GROUP);
        tokio::spawn(async move {
            let mut group = Vec::with_capacity(GROUP);
            while asked.recv_many(&mut group, GROUP).await > 0 {
                let keys: Vec<_> = group.iter().map(|(key, _)| *key).collect();
                let all = within(PATIENCE, read(&pool, &secrets, &keys)).await;
                for (key, answer) in group.drain(..) {
                    let of_lane = |rules: &HashMap<_, _>| rules.get(&key).cloned().context("the instance is gone");
                    let rules = match &all {
                        Ok(rules) => of_lane(rules),
                        Err(error) if is_away(error) => Err(anyhow!("{error:#}")),
                        // So that one tenant whose rules cannot be read does not take the others with it.
                        Err(_) => {
                            within(PATIENCE, read(&pool, &secrets, &[key])).await.and_then(|rules| of_lane(&rules))
                        }
                    };
                    let _gone = answer.send(rules);
                }
            }
        });
        Self { questions }
    }

    /// The rules of a lane as they stand now.
    pub(crate) async fn look_up(&self, key: Key) -> Answer {
        let (answer, answered) = oneshot::channel();
        self.questions.send((key, answer)).await.map_err(|_| anyhow!("nobody reads rules any more"))?;
        answered.await.context("nobody reads rules any more")?
    }
}

/// Whether the database is away: then nothing is wrong with what was asked.
pub(crate) fn is_away(error: &anyhow::Error) -> bool {
    error.downcast_ref().is_some_and(regua_store::is_unavailable)
}

async fn read(pool: &PgPool, secrets: &SecretKeys, lanes: &[Key]) -> anyhow::Result<HashMap<Key, Arc<LaneRules>>> {
    let mut transaction = pool.begin().await?;
    let conn = &mut *transaction;
    let ids: Vec<_> = lanes.iter().map(|lane| (lane.tenant, lane.instance)).collect();
    let mut tenants: Vec<_> = lanes.iter().map(|lane| lane.tenant).collect();
    tenants.sort_unstable();
    tenants.dedup();
    let configs = tenant_configs::get_all(conn, &tenants).await?;
    let mut calendars = calendars::of_all(conn, configs.iter().map(|(tenant, config)| (*tenant, config))).await?;
    let instances = instances::get_all(conn, &ids).await?;
    transaction.commit().await?;
    let mut tenants = HashMap::new();
    for (tenant, config) in configs {
        let max_attempts = u16::try_from(config.max_attempts)?;
        let calendar = calendars.remove(&tenant).context("a tenant without a calendar")?;
        tenants.insert(tenant, Arc::new(TenantRules { calendar, max_attempts, active: config.active }));
    }
    instances.into_iter().map(|(tenant, instance)| rules_of(tenant, instance, &tenants, secrets)).collect()
}

fn rules_of(
    tenant: TenantId,
    instance: Instance,
    tenants: &HashMap<TenantId, Arc<TenantRules>>,
    secrets: &SecretKeys,
) -> anyhow::Result<(Key, Arc<LaneRules>)> {
    let rules = tenants.get(&tenant).context("the tenant has no configuration")?;
    let lane = LaneRules {
        tenant: Arc::clone(rules),
        pacing: Pacing {
            per_minute: NonZeroU32::new(u32::try_from(instance.messages_per_minute)?).context("a rate of 0")?,
            jitter_percent: u8::try_from(instance.jitter_percent)?,
        },
        retry: RetrySchedule::new(rules.max_attempts),
        daily_cap: instance.daily_cap.map(u32::try_from).transpose()?,
        concurrency: usize::try_from(instance.lane_concurrency)?.max(1),
        address: health::address(tenant, &instance, secrets),
        instance,
    };
    Ok((Key { tenant, instance: lane.instance.instance_id }, Arc::new(lane)))
}
