//! How a lane fills its hand, and how it lets go of what must wait.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use regua_domain::{QueueId, Rule};

use super::{Lane, Stop};
use crate::clerk::{self, Request};
use crate::rules::LaneRules;

/// Most contacts claimed at once, however fast a number is.
const MOST: u32 = 1000;

impl Lane {
    /// Fills the hand with the next batch; a stop when nothing can be claimed now.
    pub(super) async fn claim(&mut self, rules: &Arc<LaneRules>) -> anyhow::Result<Option<Stop>> {
        self.turn += 1;
        let request = Request {
            lane: self.key,
            epoch: self.hold.epoch,
            batch: self.batch(rules),
            turn: self.turn,
            rules: Arc::clone(rules),
        };
        let Some(batch) = self.context.clerk.claim(request).await? else { return Ok(Some(Stop::Lost)) };
        let now = self.context.clock.now();
        // The clock of whoever accepted them may be ahead of ours.
        let early = batch.contacts.iter().map(|contact| contact.due_at).filter(|due_at| *due_at > now);
        let next_due_at = early.chain(batch.next_due_at).min();
        self.types = batch.types;
        self.hand = batch.contacts.into();
        // What is about to be marked looks as if nobody had it.
        self.hand.retain(|contact| contact.due_at <= now && !self.launched.contains(&contact.contact_id));
        Ok(self.hand.is_empty().then_some(Stop::Idle { next_due_at }))
    }

    /// Half a minute's worth of sends, so that a more urgent campaign waits no longer than that; of a number that sends more
    /// than a batch a second, a tenth of a second's worth.
    fn batch(&self, rules: &LaneRules) -> u32 {
        let per_minute = rules.pacing.per_minute.get();
        let usual = (per_minute / 2).clamp(10, self.context.settings.batch.max(10));
        usual.max((per_minute / 600).min(MOST))
    }

    /// Lets go of what is in the hand of a queue that must wait; of all of it where the rule is about the number.
    pub(super) async fn hold_hand(
        &mut self,
        queue: QueueId,
        at: Option<DateTime<Utc>>,
        rule: Rule,
    ) -> anyhow::Result<()> {
        let concerns_all = matches!(rule, Rule::DailyCap | Rule::TenantSuspended | Rule::InstanceDown);
        let mut queues = BTreeSet::from([queue]);
        self.hand.retain(|contact| {
            if concerns_all {
                queues.insert(contact.queue_id);
            }
            !queues.contains(&contact.queue_id)
        });
        let now = self.context.clock.now();
        let mut transaction = self.context.pool.begin().await?;
        for queue in queues {
            clerk::hold_queue(&mut transaction, self.key.tenant, queue, at, rule, now).await?;
        }
        transaction.commit().await?;
        Ok(())
    }
}
