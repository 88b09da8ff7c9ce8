//! How a lane claims contacts, and drops those whose queue must wait.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use regua_domain::{QueueId, Rule};
use regua_store::transact;

use super::{Lane, StopReason};
use crate::claims::{self, ClaimRequest};
use crate::lane_configs::LaneConfig;

/// Most contacts of one claim, however fast the instance sends.
const MOST: u32 = 1000;

/// How long contacts that could not be marked wait when no other contact is due.
const PAUSE: TimeDelta = TimeDelta::milliseconds(200);

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
        // The clock of the API that accepted them may be ahead of this one.
        let early = claimed.contacts.iter().map(|contact| contact.due_at).filter(|due_at| *due_at > now);
        let next_due_at = early.chain(claimed.next_due_at).min();
        self.message_types = claimed.message_types;
        self.claimed = claimed.contacts.into();
        // The claim reads a contact again whose mark is not committed yet.
        self.claimed.retain(|contact| contact.due_at <= now && !self.sending.contains(&contact.contact_id));
        self.defer_outdated(now);
        Ok(self.claimed.is_empty().then_some(StopReason::Idle { next_due_at }))
    }

    /// Contacts that could not be marked before come last. Alone, they wait a little for the transaction that holds them.
    fn defer_outdated(&mut self, now: DateTime<Utc>) {
        let outdated = std::mem::take(&mut self.outdated);
        let (deferred, first): (VecDeque<_>, VecDeque<_>) =
            self.claimed.drain(..).partition(|contact| outdated.contains(&contact.contact_id));
        if first.is_empty() && !deferred.is_empty() {
            self.next_send_at = self.next_send_at.max(Some(now + PAUSE));
        }
        self.claimed = first;
        self.claimed.extend(deferred);
    }

    /// The sends of half a minute, so that a more urgent campaign waits no longer than that; for a very fast instance,
    /// the sends of a tenth of a second.
    fn claim_limit(&self, config: &LaneConfig) -> u32 {
        let per_minute = config.pacing.per_minute.get();
        let usual = (per_minute / 2).clamp(10, self.context.settings.claim_limit.max(10));
        usual.max((per_minute / 600).min(MOST))
    }

    /// Holds a queue and drops its claimed contacts; all claimed contacts where the rule is about tenant or instance.
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
