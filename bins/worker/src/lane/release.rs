//! The release of a lane. Contacts that are claimed and not marked need no write: they are still pending.

use chrono::{DateTime, Utc};
use fail::fail_point;
use regua_domain::InstanceState;
use regua_evolution::Reason;
use regua_store::contacts;
use regua_store::lanes::{self, Released};

use super::{Lane, StopReason};
use crate::lane_configs::LaneConfig;

pub(crate) enum ReleaseResult {
    Released {
        next_due_at: Option<DateTime<Utc>>,
    },
    /// The lane is not released: a doorbell rang meanwhile, or the instance that was found down has a new address or
    /// token.
    Continue,
}

impl Lane {
    /// Writes the reason of the stop and releases the lease in one transaction; [`ReleaseResult::Continue`] where the
    /// lane must work on.
    pub(crate) async fn release(&mut self, reason: StopReason) -> anyhow::Result<ReleaseResult> {
        let mut transaction = self.context.pool.begin().await?;
        let (lane, epoch) = (self.key, self.lease.epoch);
        if lanes::lock(&mut transaction, &[(lane, epoch)]).await?.is_empty() {
            tracing::warn!(
                claimed = self.claimed.len(),
                "the lane was taken over; its new owner closes abandoned attempts"
            );
            return Ok(ReleaseResult::Released { next_due_at: None });
        }
        let mut next_due_at = None;
        let mut seen_bell = None;
        let is_requested = matches!(reason, StopReason::ReleaseRequested);
        // Contacts may be due: an offer lets another worker take the lane without a doorbell.
        let is_offered = matches!(reason, StopReason::ReleaseRequested | StopReason::LeaseLost | StopReason::Shutdown);
        match reason {
            StopReason::Idle { next_due_at: next } => {
                next_due_at = next;
                seen_bell = Some(self.seen_bell);
            }
            StopReason::InstanceDown { config, state, reason, cause } => {
                if !self.context.mark_down(&mut transaction, &config.instance, state, &reason).await? {
                    (self.config, self.last_seen_open) = (None, None);
                    self.claimed.clear();
                    return Ok(ReleaseResult::Continue);
                }
                log_down(&config, state, &reason, cause);
            }
            StopReason::LeaseLost => tracing::warn!("the lease is no longer certain; the lane sends no more"),
            StopReason::ReleaseRequested | StopReason::Shutdown => {}
        }
        if self.may_have_open_attempts {
            contacts::close_abandoned(&mut transaction, lane, self.context.clock.now()).await?;
        }
        let released = if is_offered {
            lanes::offer(&mut transaction, lane, epoch).await?
        } else {
            lanes::release(&mut transaction, lane, epoch, seen_bell).await?
        };
        fail_point!("release::before_commit");
        transaction.commit().await?;
        fail_point!("release::committed");
        self.claimed.clear();
        self.may_have_open_attempts = false;
        if is_requested {
            self.context.metrics.lanes_given.inc();
        }
        Ok(match released {
            Released::Rung(bell) => {
                self.seen_bell = bell;
                ReleaseResult::Continue
            }
            Released::Free | Released::Lost => ReleaseResult::Released { next_due_at },
        })
    }
}

/// Warns once for each state: later checks find the state in the instance's row already.
fn log_down(config: &LaneConfig, state: InstanceState, reason: &str, cause: Option<Reason>) {
    if config.instance.state == state && config.instance.state_reason.as_deref() == Some(reason) {
        return tracing::debug!(%state, reason, "the instance is still down");
    }
    let cause = cause.map(Reason::as_str);
    let why = config.address.as_ref().err().map(ToString::to_string);
    tracing::warn!(%state, reason, cause, why, "the instance is down; its queues wait");
}
