//! How a lane fills its hand, and how it puts back what must wait.

use std::collections::{BTreeSet, VecDeque};

use chrono::{DateTime, TimeDelta, Utc};
use fail::fail_point;
use regua_domain::{
    ContactFacts, ContactStatus, Decision, InstanceState, LaneFacts, QueueFacts, QueueId, Rule, TenantId, Waiting,
    decide, shares,
};
use regua_store::queues::{self, Runnable};
use regua_store::{contacts, lanes};

use super::{Lane, Stop};
use crate::rules::LaneRules;

/// When hours that do not open within a year are looked at again: somebody may have set others.
const NEXT_LOOK: TimeDelta = TimeDelta::days(1);

impl Lane {
    /// Fills the hand with the next batch; a stop when nothing can be claimed now.
    pub(super) async fn claim(&mut self, rules: &LaneRules) -> anyhow::Result<Option<Stop>> {
        let now = self.context.clock.now();
        let batch = self.batch(rules);
        let mut transaction = self.context.pool.begin().await?;
        if lanes::lock(&mut transaction, &[(self.key.tenant, self.key.instance, self.hold.epoch)]).await?.is_empty() {
            return Ok(Some(Stop::Lost));
        }
        let (tenant, instance) = (self.key.tenant, self.key.instance);
        let mut runnable = queues::runnable(&mut transaction, tenant, instance, now, i64::from(batch)).await?;
        // In the order that holds everywhere; what follows changes some of them in another.
        let locked: Vec<_> = runnable.iter().map(|queue| (tenant, queue.queue_id)).collect();
        queues::lock(&mut transaction, &locked).await?;
        let mut open = Vec::with_capacity(runnable.len());
        for queue in runnable.drain(..) {
            match self.hold_of(&queue, rules, now) {
                None => open.push(queue),
                Some((at, rule)) => {
                    hold_queue(&mut transaction, tenant, queue.queue_id, at.unwrap_or(now + NEXT_LOOK), rule).await?;
                }
            }
        }
        let waiting: Vec<_> = open
            .iter()
            .map(|queue| Waiting { priority: queue.message_type.priority(), waiting: queue.waiting })
            .collect();
        let quotas: Vec<_> =
            shares(batch, self.turn, &waiting).into_iter().map(|quota| i32::try_from(quota).unwrap_or(0)).collect();
        self.turn += 1;
        let (ids, quotas): (Vec<_>, Vec<_>) =
            open.iter().map(|queue| queue.queue_id).zip(quotas).filter(|(_, quota)| *quota > 0).unzip();
        if !ids.is_empty() {
            queues::start(&mut transaction, tenant, &ids, now).await?;
            self.hand = contacts::claim(&mut transaction, tenant, self.hold.epoch, &ids, &quotas, now).await?.into();
        }
        fail_point!("claim::before_commit");
        transaction.commit().await?;
        fail_point!("claim::committed", |_| Err(anyhow::anyhow!("the commit was not answered")));
        self.types = open.iter().map(|queue| (queue.queue_id, queue.message_type)).collect();
        let next_due_at = open.iter().filter_map(|queue| queue.next_due_at).min();
        Ok(self.hand.is_empty().then_some(Stop::Idle { next_due_at }))
    }

    /// Half a minute's worth of sends: a crash strands little, and a more urgent campaign waits no longer than that.
    fn batch(&self, rules: &LaneRules) -> u32 {
        (rules.pacing.per_minute.get() / 2).clamp(10, self.context.settings.batch.max(10))
    }

    /// Whether all of a queue must wait, before anything of it is claimed.
    fn hold_of(
        &self,
        queue: &Runnable,
        rules: &LaneRules,
        now: DateTime<Utc>,
    ) -> Option<(Option<DateTime<Utc>>, Rule)> {
        let contact = ContactFacts { status: ContactStatus::Pending, due_at: now, attempts: 0 };
        let queue =
            QueueFacts { status: queue.status, message_type: queue.message_type, scheduled_for: queue.scheduled_for };
        // The pace and the cap are the mark's to judge, on the locked row.
        let lane =
            LaneFacts { instance_state: InstanceState::Open, next_send_at: None, sent_today: 0, daily_cap: None };
        match decide(&contact, &queue, &rules.tenant, &lane, now) {
            Decision::Send | Decision::Skip { .. } => None,
            Decision::HoldUntil { at, rule } => Some((at, rule)),
        }
    }

    /// Gives back what is in the hand of a queue that must wait; all of it where the rule is about the number.
    pub(super) async fn hold_hand(&mut self, at: Option<DateTime<Utc>>, rule: Rule) -> anyhow::Result<()> {
        let Some(queue) = self.hand.front().map(|contact| contact.queue_id) else { return Ok(()) };
        let concerns_all = matches!(rule, Rule::DailyCap | Rule::TenantSuspended | Rule::InstanceDown);
        let (held, kept): (VecDeque<_>, _) =
            self.hand.drain(..).partition(|contact| concerns_all || contact.queue_id == queue);
        self.hand = kept;
        let now = self.context.clock.now();
        let ids: Vec<_> = held.iter().map(|contact| contact.contact_id).collect();
        let queues: BTreeSet<_> = held.iter().map(|contact| contact.queue_id).collect();
        let mut transaction = self.context.pool.begin().await?;
        for queue in queues {
            hold_queue(&mut transaction, self.key.tenant, queue, at.unwrap_or(now + NEXT_LOOK), rule).await?;
        }
        contacts::give_back(&mut transaction, self.key.tenant, self.hold.epoch, &ids).await?;
        transaction.commit().await?;
        Ok(())
    }
}

/// Notes on a queue why it waits, where its state does not say so already.
async fn hold_queue(
    conn: &mut sqlx::PgConnection,
    tenant: TenantId,
    queue: QueueId,
    at: DateTime<Utc>,
    rule: Rule,
) -> Result<(), sqlx::Error> {
    match rule {
        Rule::BusinessHours | Rule::DailyCap => {
            queues::pause_for_hours(conn, tenant, queue, Some(at), rule.as_str()).await
        }
        _ => Ok(()),
    }
}
