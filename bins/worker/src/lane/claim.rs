//! A lane's claims, and the hold of queues whose contacts were claimed.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use regua_domain::{QueueId, Rule};
use regua_store::transact;

use super::{Lane, StopReason};
use crate::claims::{self, ClaimRequest};
use crate::lane_configs::LaneConfig;

/// Most contacts of one claim, however fast the instance sends.
const MAX_CLAIM: u32 = 1000;

/// Pause of the lane when all claimed contacts are outdated, so that it does not claim them in a busy loop.
const OUTDATED_PAUSE: TimeDelta = TimeDelta::milliseconds(200);

impl Lane {
    /// Claims the next contacts; a reason to stop when there are none.
    pub(crate) async fn claim(&mut self, config: &Arc<LaneConfig>) -> anyhow::Result<Option<StopReason>> {
        self.turn += 1;
        let request = ClaimRequest {
            lane: self.key,
            epoch: self.lease.epoch,
            limit: self.claim_limit(config),
            turn: self.turn,
            config: Arc::clone(config),
        };
        let Some(claimed) = self.context.claims.claim(request).await? else {
            return Ok(Some(StopReason::LeaseLost));
        };
        let now = self.context.clock.now();
        // A first attempt is due at its intake, by the clock of the API, which may be ahead of this worker's clock.
        let early = claimed.contacts.iter().map(|contact| contact.due_at).filter(|due_at| *due_at > now);
        let next_due_at = early.chain(claimed.next_due_at).min();
        self.queues = claimed.queues;
        self.claimed = claimed.contacts.into();
        // The claim also reads contacts that a send task of this lane has not marked yet.
        self.claimed.retain(|contact| contact.due_at <= now && !self.sending.contains(&contact.contact_id));
        self.defer_outdated(now);
        Ok(self.claimed.is_empty().then_some(StopReason::Idle { next_due_at }))
    }

    /// Moves outdated contacts behind the others. If there are no others, the lane pauses, because the transaction that
    /// has locked the contacts needs time to end.
    fn defer_outdated(&mut self, now: DateTime<Utc>) {
        let outdated = std::mem::take(&mut self.outdated);
        let (deferred, first): (VecDeque<_>, VecDeque<_>) =
            self.claimed.drain(..).partition(|contact| outdated.contains(&contact.contact_id));
        if first.is_empty() && !deferred.is_empty() {
            self.next_send_at = self.next_send_at.max(Some(now + OUTDATED_PAUSE));
        }
        self.claimed = first;
        self.claimed.extend(deferred);
    }

    /// The number of sends in half a minute, but at least 10 and usually at most `claim_limit`: a more urgent campaign
    /// waits for the contacts that are claimed already. From 60,000 messages a minute, the number in a tenth of a
    /// second.
    fn claim_limit(&self, config: &LaneConfig) -> u32 {
        let per_minute = config.pacing.per_minute.get();
        let usual = (per_minute / 2).clamp(10, self.context.settings.claim_limit.max(10));
        usual.max((per_minute / 600).min(MAX_CLAIM))
    }

    /// Holds a queue and removes its contacts from the claimed ones. A rule about the tenant or the instance holds the
    /// queues of all claimed contacts.
    pub(crate) async fn hold_claimed(
        &mut self,
        queue: QueueId,
        until: Option<DateTime<Utc>>,
        rule: Rule,
    ) -> anyhow::Result<()> {
        let concerns_all = matches!(rule, Rule::DailyCap | Rule::TenantSuspended | Rule::InstanceDown);
        let mut queues = BTreeSet::from([queue]);
        self.claimed.retain(|contact| {
            if concerns_all {
                queues.insert(contact.queue_id);
            }
            !queues.contains(&contact.queue_id)
        });
        let now = self.context.clock.now();
        let tenant = self.key.tenant;
        transact(&self.context.pool, async |conn| {
            for queue in queues {
                claims::hold_queue(conn, tenant, queue, until, rule, now).await?;
            }
            Ok(())
        })
        .await
    }
}
