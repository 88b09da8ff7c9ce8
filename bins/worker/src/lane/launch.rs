//! How contacts of the hand are sent one after the other, or several at once where the number may.

use std::sync::Arc;

use anyhow::bail;
use chrono::TimeDelta;
use regua_domain::{AttemptId, ContactStatus, MessageType, QueueId};
use regua_store::contacts::{Claimed, MarkFacts};
use regua_store::{PATIENCE, within};

use super::flight::{Ended, Flight, Landed};
use super::{Lane, Stop};
use crate::ledger::Mark;
use crate::rules::LaneRules;

/// How long before its slot a mark may be written, where a number sends several at once: as long as a commit takes, so that
/// slots that are closer to each other than that can be kept.
const AHEAD: TimeDelta = TimeDelta::milliseconds(50);

impl Lane {
    /// Lets the next contact of the hand go out, when a place is free and its slot has come; a stop when the lane must end.
    pub(super) async fn launch(&mut self) -> anyhow::Result<Option<Stop>> {
        let rules = self.rules().await?;
        while self.outcomes.len() >= 2 * rules.concurrency {
            self.hear_one().await;
        }
        while self.on_their_way.len() >= rules.concurrency {
            if let Some(stop) = self.land_one().await? {
                return Ok(Some(stop));
            }
        }
        self.wait_for_slot(ahead(&rules)).await;
        if let Some(stop) = self.must_stop() {
            return Ok(Some(stop));
        }
        // The slot may have been far away.
        let rules = self.rules().await?;
        if let Some(stop) = self.check_health(&rules).await? {
            return Ok(Some(stop));
        }
        let Ok(address) = rules.address.clone() else { bail!("the instance's address or token cannot be used") };
        // What has landed meanwhile may have emptied the hand.
        let Some(contact) = self.hand.pop_front() else { return Ok(None) };
        self.launched.insert(contact.contact_id);
        let mark = self.mark_of(&contact, &rules);
        // The row's own slot is the ledger's to judge; this is when to ask for the next one.
        let (instance, now) = (self.key.instance, self.context.clock.now());
        self.next_send_at = Some(rules.pacing.next_send_at(instance, self.next_send_at, now, mark.chance()));
        self.on_their_way.spawn(
            Flight {
                context: Arc::clone(&self.context),
                hold: Arc::clone(&self.hold),
                address,
                message_type: self.type_of(contact.queue_id),
                contact,
                mark,
                rules: Arc::clone(&rules),
            }
            .run(),
        );
        if rules.concurrency == 1 {
            return self.land_one().await;
        }
        Ok(None)
    }

    fn type_of(&self, queue: QueueId) -> MessageType {
        self.types.get(&queue).copied().unwrap_or(MessageType::Notification)
    }

    async fn wait_for_slot(&self, ahead: TimeDelta) {
        if let Some(at) = self.next_send_at {
            tokio::select! {
                () = self.context.clock.sleep_until(at - ahead) => {}
                () = self.hold.leaving.cancelled() => {}
                () = self.context.shutdown.cancelled() => {}
            }
        }
    }

    pub(super) fn mark_of(&self, contact: &Claimed, rules: &LaneRules) -> Mark {
        Mark {
            tenant: self.key.tenant,
            instance: self.key.instance,
            epoch: self.hold.epoch,
            queue: contact.queue_id,
            contact: contact.contact_id,
            claimed: MarkFacts {
                tenant_id: self.key.tenant,
                contact_id: contact.contact_id,
                status: ContactStatus::Pending,
                attempts: contact.attempts,
                due_at: contact.due_at,
                resends: contact.resends,
                unmade: contact.unmade,
                open_attempt: None,
            },
            attempt: AttemptId::new(self.context.clock.now()),
            number: contact.attempts.saturating_add(1),
            rules: Arc::clone(&rules.tenant),
            pacing: rules.pacing,
            ahead: ahead(rules),
            daily_cap: rules.daily_cap,
            is_repeated: false,
        }
    }

    /// Waits for a contact that is on its way; a stop when what became of it says so.
    pub(super) async fn land_one(&mut self) -> anyhow::Result<Option<Stop>> {
        let Some(landed) = self.on_their_way.join_next().await else { return Ok(None) };
        let Ok(Landed { contact, ended, next_send_at, outcome }) = landed else {
            // It panicked: its attempt may be under way.
            self.stumbled = true;
            return Ok(None);
        };
        self.launched.remove(&contact);
        self.outcomes.extend(outcome);
        self.next_send_at = self.next_send_at.max(next_send_at);
        match ended {
            Ended::Sent => self.seen_open = Some(std::time::Instant::now()),
            Ended::Tried { looks_down: true } => self.seen_open = None,
            Ended::Tried { .. } | Ended::Dropped => {}
            Ended::Held { queue, at, rule } => Box::pin(within(PATIENCE, self.hold_hand(queue, at, rule))).await?,
            Ended::LaneLost => return Ok(Some(Stop::Lost)),
            Ended::Stopped => return Ok(self.must_stop()),
        }
        Ok(None)
    }

    /// Waits until the oldest outcome is written, or refused.
    async fn hear_one(&mut self) {
        if let Some(outcome) = self.outcomes.pop_front() {
            self.stumbled |= !outcome.written().await;
        }
    }

    /// Waits until all outcomes are written.
    pub(super) async fn hear_all(&mut self) {
        while !self.outcomes.is_empty() {
            self.hear_one().await;
        }
    }

    /// Waits for all that are on their way, and until their outcomes are written.
    pub(super) async fn land_all(&mut self) {
        while !self.on_their_way.is_empty() {
            if let Err(error) = self.land_one().await {
                self.stumbled = true;
                tracing::warn!(error = format!("{error:#}"), "a lane stumbled");
            }
        }
        self.hear_all().await;
    }
}

fn ahead(rules: &LaneRules) -> TimeDelta {
    if rules.concurrency > 1 { AHEAD } else { TimeDelta::zero() }
}
