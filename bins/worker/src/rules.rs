//! A tenant's rules as the domain reads them, put together from its rows.

use std::num::NonZeroU32;

use anyhow::Context;
use regua_domain::{InstanceId, Pacing, RetrySchedule, TenantId, TenantRules};
use regua_store::instances::Instance;
use regua_store::{calendars, instances, tenant_configs};
use sqlx::PgConnection;

/// All that a lane must know of its tenant and its number.
#[derive(Clone, Debug)]
pub(crate) struct LaneRules {
    pub(crate) tenant: TenantRules,
    pub(crate) instance: Instance,
    pub(crate) pacing: Pacing,
    pub(crate) retry: RetrySchedule,
    pub(crate) daily_cap: Option<u32>,
    pub(crate) concurrency: usize,
}

/// Reads the rules of a lane.
pub(crate) async fn load(conn: &mut PgConnection, tenant: TenantId, instance: InstanceId) -> anyhow::Result<LaneRules> {
    let config = tenant_configs::get(conn, tenant).await?.context("the tenant has no configuration")?;
    let calendar = calendars::of(conn, tenant, &config).await?;
    let instance = instances::get(conn, tenant, instance).await?.context("the instance is gone")?;
    let max_attempts = u16::try_from(config.max_attempts)?;
    Ok(LaneRules {
        tenant: TenantRules { calendar, max_attempts, active: config.active },
        pacing: Pacing {
            per_minute: NonZeroU32::new(u32::try_from(instance.messages_per_minute)?).context("a rate of 0")?,
            jitter_percent: u8::try_from(instance.jitter_percent)?,
        },
        retry: RetrySchedule::new(max_attempts),
        daily_cap: instance.daily_cap.map(u32::try_from).transpose()?,
        concurrency: usize::try_from(instance.lane_concurrency)?.max(1),
        instance,
    })
}
