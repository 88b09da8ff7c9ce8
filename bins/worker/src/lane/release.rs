//! How a lane is let go. What it had claimed and not marked is pending as it was; only the lease goes back.

use chrono::{DateTime, Utc};
use fail::fail_point;
use regua_store::contacts;
use regua_store::lanes::{self, Released};

use super::{Lane, Stop};
use crate::health::{self, Unusable};
use crate::rules::LaneRules;

/// What became of letting a lane go.
pub(super) enum LetGo {
    Gone {
        next_due_at: Option<DateTime<Utc>>,
    },
    /// There is something to look at: somebody rang, or the number is another one than the one that was found down.
    Rung,
}

impl Lane {
    /// Gives the lease back; not when somebody rang while we looked away.
    pub(super) async fn let_go(&mut self, stop: Stop) -> anyhow::Result<LetGo> {
        let mut transaction = self.context.pool.begin().await?;
        let (tenant, instance, epoch) = (self.key.tenant, self.key.instance, self.hold.epoch);
        if lanes::lock(&mut transaction, &[(tenant, instance, epoch)]).await?.is_empty() {
            tracing::warn!(claimed = self.hand.len(), "the lane was taken over; its new owner settles what is left");
            return Ok(LetGo::Gone { next_due_at: None });
        }
        let mut next_due_at = None;
        let mut seen_bell = None;
        let is_given = matches!(stop, Stop::Given);
        // There may be more to do, and somebody else is to do it.
        let is_offered = matches!(stop, Stop::Given | Stop::Lost | Stop::Shutdown);
        match stop {
            Stop::Idle { next_due_at: next } => {
                next_due_at = next;
                seen_bell = Some(self.bell);
            }
            Stop::Down { asked, state, reason } => {
                let number = &asked.instance;
                if !health::note_down(tenant, number, &self.context, &mut transaction, state, &reason).await? {
                    (self.rules, self.seen_open) = (None, None);
                    self.hand.clear();
                    return Ok(LetGo::Rung);
                }
                tell_down(&asked, state, &reason);
            }
            Stop::Lost => tracing::warn!("the lane is not certainly ours any more; nothing more is sent"),
            Stop::Given | Stop::Shutdown => {}
        }
        if self.stumbled {
            contacts::settle_abandoned(&mut transaction, tenant, instance, self.context.clock.now()).await?;
        }
        let released = if is_offered {
            lanes::offer(&mut transaction, tenant, instance, epoch).await?
        } else {
            lanes::release(&mut transaction, tenant, instance, epoch, seen_bell).await?
        };
        fail_point!("release::before_commit");
        transaction.commit().await?;
        fail_point!("release::committed");
        self.hand.clear();
        self.stumbled = false;
        if is_given {
            self.context.metrics.lanes_given.inc();
        }
        Ok(match released {
            Released::Rung(bell) => {
                self.bell = bell;
                LetGo::Rung
            }
            Released::Free | Released::Lost => LetGo::Gone { next_due_at },
        })
    }
}

/// Says that the number is down, once: at the next looks its row says so already.
fn tell_down(asked: &LaneRules, state: &str, reason: &str) {
    if asked.instance.state == state && asked.instance.state_reason.as_deref() == Some(reason) {
        return tracing::debug!(state, reason, "the number is still down");
    }
    let why = asked.address.as_ref().err().map(Unusable::explanation);
    tracing::warn!(state, reason, why, "the number is down; its queues wait");
}
